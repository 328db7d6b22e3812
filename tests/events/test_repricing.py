"""Re-pricing: exact, resumable, in step with the rollups, and right whatever is stored meanwhile."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import price_changes, repricing, rollups, writer
from events.models import EventCostHistory, Organization, RepriceJob
from events.price_changes import Change
from pricing import catalog as price_catalog
from pricing import entries
from pricing.costs import METERS, Meter, Usage
from pricing.entries import Entered, NewName, NewRates
from pricing.importers.rows import RateRow
from pricing.models import PricedModel, PricingRevision
from tests.events_table import Call, store_events
from tests.fences import wait_until_blocked
from tests.native_client import NativeClient
from tests.wire_client import event

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SOURCE = "https://acme.example/prices"


def by(**fields: Any) -> Entered:
    return Entered(now=NOW, author_id=None, note="a test", **fields)


def rates(model: str = "gpt-4o", provider: str = "openai", **fields: Any) -> NewRates:
    listed: dict[Meter, str] = fields.pop("usd", {"input": "5", "output": "20"})
    above: dict[int, dict[Meter, str]] = {0: listed, **fields.pop("above", {})}
    rows = tuple(
        RateRow(meter, over, Decimal(usd)) for over, by_meter in above.items() for meter, usd in by_meter.items()
    )
    return NewRates(provider=provider, model=model, rates=rows, source_url=SOURCE, **fields)


def publish(change: Callable[[], PricingRevision]) -> Change[PricingRevision]:
    done = price_changes.publish(change, now=NOW)
    repricing.run_pending()
    return done


def stored(columns: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM event ORDER BY id")
        return list(cursor.fetchall())


def price_stored(organization: Organization) -> None:
    """Bring events that a test stored at made-up costs to what the catalog says."""
    RepriceJob.objects.create(to_revision=price_catalog.current_revision(), created_at=NOW)
    repricing.run_pending()
    EventCostHistory.objects.all().delete()


@pytest.fixture
def acme(committed_db: None) -> Organization:
    return Organization.objects.create(name="Acme", slug="acme", time_zone="Asia/Kolkata")


def test_a_correction_prices_the_past_anew_and_keeps_the_old_costs(acme: Organization) -> None:
    calls = [Call(at=NOW - days * DAY, usage=Usage(1_000_000, 0)) for days in (20, 10, 0)]
    store_events(acme, [*calls, Call(at=NOW - 5 * DAY, model="gpt-4o-mini", usage=Usage(1_000_000, 0))])
    price_stored(acme)
    first = stored("cost_picousd, rate_card_id, pricing_revision")
    assert [int(row[0]) for row in first] == [2_500_000_000_000] * 2 + [150_000_000_000, 2_500_000_000_000]
    span: dict[str, Any] = {"valid_from": NOW - 15 * DAY, "valid_to": NOW - DAY}
    tried = price_changes.try_out(lambda: entries.correct_price(rates(**span), by()))
    assert (tried.effect.events, tried.effect.delta_picousd) == (1, 2_500_000_000_000)
    assert stored("cost_picousd, rate_card_id, pricing_revision") == first
    done = publish(lambda: entries.correct_price(rates(**span), by()))
    assert done.effect == tried.effect
    changed = stored("cost_picousd, pricing_revision")
    assert [int(row[0]) for row in changed] == [
        2_500_000_000_000,
        5_000_000_000_000,
        150_000_000_000,
        2_500_000_000_000,
    ]
    assert [row[1] == done.result.pk for row in changed] == [False, True, False, False]
    old = EventCostHistory.objects.get()
    assert (old.cost_picousd, old.rate_card_id, old.pricing_revision) == first[1]
    assert old.replaced_by_revision == done.result.pk
    assert rollups.audit() == []
    job = RepriceJob.objects.get(to_revision=done.result.pk)
    assert (job.changed, int(job.delta_picousd), job.percent) == (1, 2_500_000_000_000, 100)
    assert PricingRevision.objects.get(pk=done.result.pk).summary["effect"]["events"] == 1


def test_taking_a_correction_back_returns_the_first_costs(acme: Organization) -> None:
    store_events(acme, [Call(at=NOW - DAY, usage=Usage(1200, 350, 1000, 100, 50, 7)) for _ in range(3)])
    price_stored(acme)
    first = stored("cost_picousd, price_status")
    done = publish(lambda: entries.correct_price(rates(usd={"input": "7.000001", "output": "0"}), by()))
    assert stored("cost_picousd, price_status") != first
    publish(lambda: entries.retract(done.result, by()))
    assert stored("cost_picousd, price_status") == first
    assert EventCostHistory.objects.count() == 6
    assert rollups.audit() == []


def test_a_price_change_touches_no_earlier_call(acme: Organization) -> None:
    store_events(acme, [Call(at=NOW - timedelta(milliseconds=1)), Call(at=NOW), Call(at=NOW + timedelta(minutes=1))])
    price_stored(acme)
    before = stored("cost_picousd")
    done = publish(lambda: entries.change_price(rates(valid_from=NOW), by()))
    after = stored("cost_picousd")
    assert after[0] == before[0]
    assert [row[0] for row in after[1:]] == [Decimal("13_000_000_000")] * 2
    assert done.effect.events == 2


def test_pricing_an_unknown_model_prices_its_past_calls(acme: Organization) -> None:
    unknown: dict[str, Any] = {"provider": "acme-llm", "model": "house-model", "cost": None}
    store_events(acme, [Call(at=NOW - 30 * DAY, usage=Usage(10, 20), **unknown), Call(at=NOW, **unknown)])
    tried = price_changes.try_out(lambda: entries.correct_price(rates("house-model", "acme-llm"), by()))
    assert [(m.unpriced_before, m.unpriced_after) for m in tried.effect.models] == [(2, 0)]
    publish(lambda: entries.correct_price(rates("house-model", "acme-llm"), by()))
    assert [int(row[0]) for row in stored("cost_picousd")] == [450_000_000, 13_000_000_000]
    assert {row[0] for row in stored("price_status")} == {"priced"}
    assert rollups.audit() == []


def test_naming_a_model_prices_the_calls_under_that_name(acme: Organization) -> None:
    store_events(acme, [Call(at=NOW, model="our-deployment", cost=None, usage=Usage(1_000_000, 0))])
    model = PricedModel.objects.get(provider="openai", key="gpt-4o")
    name = NewName(provider="openai", name="Our-Deployment", model=model, source_url=SOURCE)
    publish(lambda: entries.name_model(name, by(organization_id=acme.pk)))
    assert stored("cost_picousd") == [(Decimal(2_500_000_000_000),)]


def test_an_organization_s_own_price_touches_nobody_else(acme: Organization) -> None:
    other = Organization.objects.create(name="Other", slug="other")
    for organization in (acme, other):
        store_events(organization, [Call(at=NOW)])
    price_stored(acme)
    publish(lambda: entries.correct_price(rates(), by(organization_id=acme.pk)))
    costs = {row[0]: int(row[1]) for row in stored("organization_id, cost_picousd")}
    assert costs == {acme.pk: 13_000_000_000, other.pk: 5_250_000_000}


def test_a_region_s_price_is_for_calls_that_ran_there(acme: Organization) -> None:
    store_events(acme, [Call(at=NOW, region="us"), Call(at=NOW)])
    price_stored(acme)
    publish(lambda: entries.correct_price(rates(region="us"), by()))
    assert sorted(int(row[0]) for row in stored("cost_picousd")) == [5_250_000_000, 13_000_000_000]


def test_a_job_that_is_stopped_goes_on_where_it_was(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repricing, "PAGE_EVENTS", 3)
    store_events(acme, [Call(at=NOW - timedelta(minutes=number)) for number in range(10)])
    price_stored(acme)
    done = price_changes.publish(lambda: entries.correct_price(rates(), by()), now=NOW)
    assert done.job
    answers: Iterator[bool] = iter([False, False, False, True])
    repricing.run_pending(lambda: next(answers, True))
    job = RepriceJob.objects.get(pk=done.job.pk)
    assert (job.done, job.changed, job.finished_at) == (6, 6, None)
    assert job.percent == 60
    assert rollups.audit() == []
    seen: list[int] = []
    repricing.run_pending(progress=lambda job: seen.append(job.done))
    assert seen == [9, 10, 10]
    job.refresh_from_db()
    assert (job.changed, int(job.delta_picousd)) == (10, done.effect.delta_picousd)
    assert {int(row[0]) for row in stored("cost_picousd")} == {13_000_000_000}
    assert EventCostHistory.objects.count() == 10


def test_jobs_that_meet_the_same_events_end_at_the_newest_price(acme: Organization) -> None:
    store_events(acme, [Call(at=NOW) for _ in range(4)])
    price_stored(acme)
    for usd in ("5", "6", "7"):
        correction = rates(usd={"input": usd, "output": usd})
        price_changes.publish(lambda correction=correction: entries.correct_price(correction, by()), now=NOW)  # type: ignore[misc]
    repricing.run_pending()
    assert {int(row[0]) for row in stored("cost_picousd")} == {10_850_000_000}
    assert rollups.audit() == []


def test_pricing_everything_anew_changes_nothing_that_is_right(acme: Organization) -> None:
    store_events(
        acme, [Call(at=NOW - number * DAY, tier="batch", usage=Usage(9000, 900, 50, 30, 10, 3)) for number in range(4)]
    )
    price_stored(acme)
    before = stored("cost_picousd, pricing_revision")
    job = RepriceJob.objects.create(to_revision=price_catalog.current_revision(), created_at=NOW)
    repricing.run_pending()
    job.refresh_from_db()
    assert (job.done, job.changed, stored("cost_picousd, pricing_revision")) == (4, 0, before)


counters = st.integers(0, 300_000)
usd = st.integers(0, 10**10).map(lambda millionths: str(Decimal(millionths) / 10**6))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    reads, writes_5m, writes_1h, uncached, output, reasoning = (draw(counters) for _ in range(6))
    return Usage(
        reads + writes_5m + writes_1h + uncached, output + reasoning, reads, writes_5m + writes_1h, writes_1h, reasoning
    )


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(st.tuples(usages(), st.integers(0, 40 * 24)), min_size=1, max_size=12),
    listed=st.dictionaries(st.sampled_from(METERS), usd),
    above=st.dictionaries(st.sampled_from(METERS), usd),
    threshold=st.integers(1, 400_000),
)
def test_the_dry_run_says_exactly_what_re_pricing_does(
    acme: Organization,
    calls: list[tuple[Usage, int]],
    listed: dict[Meter, str],
    above: dict[Meter, str],
    threshold: int,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM event; DELETE FROM usage_delta")
    store_events(acme, [Call(at=NOW - timedelta(hours=hours), usage=usage) for usage, hours in calls])
    price_stored(acme)
    spent = sum(row[0] for row in stored("coalesce(cost_picousd, 0)"))
    correction = rates(
        usd={"input": "1", "output": "2"} | listed,
        above={threshold: above} if above else {},
        valid_from=NOW - 30 * DAY,
        valid_to=NOW - 2 * DAY,
    )
    done = publish(lambda: entries.correct_price(correction, by()))
    assert sum(row[0] for row in stored("coalesce(cost_picousd, 0)")) - spent == done.effect.delta_picousd
    assert rollups.audit() == []


def test_nothing_is_stored_at_an_older_revision_after_a_new_one_is_published(ingest: NativeClient) -> None:
    stale = ingest.runtime.catalog
    assert stale
    done = price_changes.publish(lambda: entries.correct_price(rates(), by()), now=datetime.now(UTC))
    answer = ingest.post("/api/events", event())
    assert answer.body["cost"] == 0.013
    assert stored("pricing_revision, cost_picousd") == [(done.result.pk, Decimal(13_000_000_000))]
    ingest.runtime.catalog = stale
    batch = ingest.post("/api/events/batch", {"events": [event(), event(model="no-such-model")]})
    assert [result["cost"] for result in batch.body["results"]] == [0.013, None]


def test_a_commit_under_way_is_waited_for_and_priced_anew(
    ingest: NativeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is between its look at the revision and its commit when somebody publishes."""
    ingest.post("/api/events", event())
    published: list[Change[PricingRevision]] = []

    def publish_beside() -> None:
        try:
            published.append(price_changes.publish(lambda: entries.correct_price(rates(), by()), now=datetime.now(UTC)))
        finally:
            connection.close()

    publisher = Thread(target=publish_beside)
    copy = writer._copy

    async def copy_slowly(*arguments: Any) -> None:
        await copy(*arguments)
        if publisher.ident is None:
            publisher.start()
            await asyncio.to_thread(wait_until_blocked)

    monkeypatch.setattr(writer, "_copy", copy_slowly)
    ingest.post("/api/events", event())
    publisher.join()
    assert published[0].effect.events == 1, "the dry run could not see the second event yet"
    repricing.run_pending()
    assert [int(row[0]) for row in stored("cost_picousd")] == [13_000_000_000] * 2
    assert rollups.audit() == []
