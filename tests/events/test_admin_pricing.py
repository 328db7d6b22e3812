"""Prices in the admin: who may, what a dry run says and does not write, what publishing does, and taking it back."""

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from events import admin_pricing_tables as tables
from events import price_changes, repricing
from events.models import Organization, RepriceJob, Role
from pricing import entries
from pricing.catalog import current_revision, epoch_ms, load
from pricing.costs import Meter, Usage
from pricing.entries import Entered, NewRates
from pricing.importers.rows import AliasRow, CardRow, PriceList, ProviderRow, RateRow
from pricing.importers.store import import_price_list
from pricing.models import ModelAlias, PricingRevision, ProviderTerms, Rate, RateCard
from tests.events_table import Call, store_events
from tests.factories import MembershipFactory, OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db
SOURCE = "https://acme.example/prices"
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
LIST = reverse("admin:pricing_pricingrevision_changelist")
SET, CHANGE, CORRECT, ENTERED = (
    reverse(f"admin:pricing_{name}") for name in ("set_price", "price_change", "correction", "entered")
)
ACTORS = ("superuser", "owner", "admin", "member", "viewer", "stranger")
MANAGING = ("superuser", "owner", "admin", "stranger")
GPT = {"provider": "openai", "model": "gpt-4o"}
TOKENS = Usage(1_000_000, 0)


@dataclass
class Place:
    """Two organizations, people of every role in the first, and revisions of everybody and of both of them."""

    ours: Organization
    theirs: Organization
    people: dict[str, Any]
    revisions: dict[str, PricingRevision]

    def client(self, actor: str) -> Client:
        client = Client()
        client.force_login(self.people[actor])
        return client


def card(key: str, *rates: tuple[Meter, int, str]) -> CardRow:
    rows = tuple(RateRow(meter, over, Decimal(usd)) for meter, over, usd in rates)
    return CardRow(("openai", key), "standard", None, None, None, "assumed", False, SOURCE, rows)


def small_catalog() -> None:
    """A few models of one provider and another one that resells them, in place of thousands: it loads in no time."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE pricing_revision, pricing_provider CASCADE")
    usual: tuple[tuple[Meter, int, str], ...] = (("input", 0, "2.5"), ("cache_read", 0, "1.25"), ("output", 0, "10"))
    long: tuple[Meter, int, str] = ("input", 200_000, "5")
    keys = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano")
    wanted = PriceList(
        source="a test",
        version="1",
        raw=b"1",
        providers=(ProviderRow("openai", "OpenAI", (), "^gpt"), ProviderRow("azure", "Azure", ("openai",))),
        provider_aliases=(),
        models=tuple(("openai", key) for key in (*keys, "long")),
        aliases=tuple(AliasRow("openai", "exact", key, 0, ("openai", key), SOURCE) for key in (*keys, "long")),
        cards=(*(card(key, *usual) for key in keys), card("long", *usual, long)),
        policies=(),
    )
    import_price_list(wanted, now=NOW - 1000 * DAY)


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Place]:
    """The place, made once for all tests, each of which undoes what it does to it."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield build_place()
        transaction.set_rollback(True)


@pytest.fixture
def place(built: Place, db: None) -> Place:
    return deepcopy(built)


def build_place() -> Place:
    small_catalog()
    ours = OrganizationFactory(slug="ours", name="Ours", time_zone="Asia/Kolkata")
    theirs = OrganizationFactory(slug="theirs", name="Theirs")
    people = {role.value: MembershipFactory(organization=ours, role=role, user__is_staff=True).user for role in Role}
    people["superuser"] = UserFactory(is_staff=True, is_superuser=True)
    people["stranger"] = MembershipFactory(organization=theirs, role=Role.OWNER, user__is_staff=True).user
    revisions = {
        "import": PricingRevision.objects.earliest("pk"),
        "everyone's": enter("gpt-4.1", None),
        "ours": enter("gpt-4.1-mini", ours.pk),
        "theirs": enter("gpt-4.1-nano", theirs.pk),
    }
    return Place(ours, theirs, people, revisions)


@pytest.fixture
def reprice(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The re-pricing job, here and now. It reads in a thread, whose connection does not see what a test has written."""
    monkeypatch.setattr(repricing, "_ahead", nullcontext)
    return repricing.run_pending


def listed(usd: str) -> tuple[RateRow, ...]:
    return (RateRow("input", 0, Decimal(usd)), RateRow("output", 0, Decimal(usd)))


def enter(model: str, organization_id: int | None, usd: str = "9") -> PricingRevision:
    wanted = NewRates(provider="openai", model=model, rates=listed(usd), source_url=SOURCE)
    by = Entered(now=NOW, author_id=None, note=f"about {model}", organization_id=organization_id)
    return price_changes.publish(lambda: entries.correct_price(wanted, by), now=NOW).result


def detail(revision: PricingRevision) -> str:
    return reverse("admin:pricing_pricingrevision_change", args=[revision.pk])


def taking_back(revision: PricingRevision) -> str:
    return reverse("admin:pricing_retract", args=[revision.pk])


def counts() -> list[int]:
    """Everything that an entry may write."""
    written = (PricingRevision, RateCard, Rate, ModelAlias, ProviderTerms, RepriceJob)
    return [table._default_manager.count() for table in written]


def filled(client: Client, url: str, organization: Any = None, **values: Any) -> dict[str, Any]:
    """The form as a browser posts it: what the page holds, and what somebody types."""
    whose = "everyone" if organization is None else organization.pk
    asked = {"tier": "standard", "region": "global", "organization": whose, **GPT}
    asked |= {name: values.pop(name) for name in list(values) if name in asked}
    page = client.get(url, asked)
    form = page.context["form"]
    held = {name: form[name].value() for name in form.fields}
    typed = {"source_url": SOURCE, "note": "as their page says", "form_token": page.context["token"], **values}
    return {name: value for name, value in (asked | held | typed).items() if value not in (None, False)}


def fields_with_errors(answer: Any) -> list[str]:
    return [*answer.context["asked"].errors, *(answer.context["form"].errors if answer.context["form"] else ())]


def costs() -> list[Decimal | None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cost_picousd FROM event ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def effect_of(page: Any) -> tuple[str, ...]:
    total = page.context["effect"].total
    return total.events, total.before, total.after, total.unpriced_before, total.unpriced_after


# Who may what


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("url", [LIST, SET, CHANGE, CORRECT, ENTERED])
def test_owners_admins_and_superusers_open_the_pages(place: Place, actor: str, url: str) -> None:
    client = place.client(actor)
    expected = 200 if actor in MANAGING else 403
    assert client.get(url).status_code == expected
    if url not in (LIST, ENTERED):
        assert client.get(url, GPT).status_code == expected
        assert client.post(url, GPT).status_code == expected


@pytest.mark.parametrize("actor", ACTORS)
def test_each_sees_everybody_s_revisions_and_their_own(place: Place, actor: str) -> None:
    client = place.client(actor)
    if actor not in MANAGING:
        urls = [f(revision) for f in (detail, taking_back) for revision in place.revisions.values()]
        assert {client.get(url).status_code for url in urls} == {403}
        return
    seen = {"superuser": {"ours", "theirs"}, "stranger": {"theirs"}}.get(actor, {"ours"}) | {"import", "everyone's"}
    in_list = set(client.get(LIST).context["cl"].queryset)
    for name, revision in place.revisions.items():
        assert (revision in in_list, client.get(detail(revision)).status_code) == (
            name in seen,
            200 if name in seen else 404,
        )


@pytest.mark.parametrize("actor", MANAGING)
def test_each_takes_back_only_what_is_theirs(place: Place, actor: str) -> None:
    client = place.client(actor)
    mine = {"superuser": {"everyone's", "ours", "theirs"}, "stranger": {"theirs"}}.get(actor, {"ours"})
    for name, revision in place.revisions.items():
        if name == "import":
            continue
        shown = client.get(taking_back(revision)).status_code
        hidden = 403 if name == "everyone's" else 404
        assert shown == (200 if name in mine else hidden)
        if name in mine:
            assert taking_back(revision) in client.get(detail(revision)).content.decode()
        elif name == "everyone's":
            assert taking_back(revision) not in client.get(detail(revision)).content.decode()
            assert client.post(taking_back(revision), {"note": "no"}).status_code == 403
    assert current_revision() == max(revision.pk for revision in place.revisions.values())


@pytest.mark.parametrize("url", [SET, CHANGE, CORRECT])
@pytest.mark.parametrize(
    ("actor", "allowed"),
    [("superuser", {"everyone", "ours", "theirs"}), ("owner", {"ours"}), ("admin", {"ours"}), ("stranger", {"theirs"})],
)
def test_whose_price_one_may_enter(place: Place, url: str, actor: str, allowed: set[str]) -> None:
    client = place.client(actor)
    whose = {"everyone": "everyone", "ours": str(place.ours.pk), "theirs": str(place.theirs.pk)}
    form = filled(client, url, getattr(place, next(iter(allowed - {"everyone"}))), how="rates", input="5", output="5")
    before = counts()
    for name, value in whose.items():
        answer = client.post(url, form | {"organization": value, "publish": "Publish"})
        if name not in allowed:
            assert fields_with_errors(answer) == ["organization"]
            assert counts() == before
        else:
            assert answer.status_code == 302
            assert PricingRevision.objects.latest("pk").organization_id == (int(value) if value.isdecimal() else None)
            form = filled(client, url, getattr(place, next(iter(allowed - {"everyone"}))), how="rates", input="5",
                          output="5")  # fmt: skip
            before = counts()


@pytest.mark.parametrize("actor", ["owner", "superuser"])
def test_what_a_change_for_everybody_did_is_for_superusers(place: Place, actor: str) -> None:
    store_events(place.theirs, [Call(at=NOW - DAY, model="secret-model-of-theirs", cost=None, usage=TOKENS)])
    revision = enter("secret-model-of-theirs", None)
    client = place.client(actor)
    page = client.get(detail(revision))
    assert (page.context["effect"] is not None) == (page.context["job"] is not None) == (actor == "superuser")
    assert ("$9.00" in client.get(LIST).content.decode()) == (actor == "superuser")


def test_nothing_is_added_changed_or_deleted_in_the_stock_pages(place: Place) -> None:
    client, revision = place.client("superuser"), place.revisions["ours"]
    before = PricingRevision.objects.filter(pk=revision.pk).values().get()
    assert client.post(reverse("admin:pricing_pricingrevision_add"), {"note": "x"}).status_code == 403
    client.post(detail(revision), {"note": "rewritten"})
    delete = reverse("admin:pricing_pricingrevision_delete", args=[revision.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    assert PricingRevision.objects.filter(pk=revision.pk).values().get() == before


# The forms


@pytest.mark.parametrize("url", [CHANGE, CORRECT])
def test_the_form_holds_the_rates_that_hold(place: Place, url: str) -> None:
    form = filled(place.client("owner"), url, place.ours)
    assert (form["input"], form["output"], form["cache_read"]) == ("2.50", "10.00", "1.25")
    assert "cache_write_5m" not in form
    assert ("valid_from" in form) == (url == CHANGE)


def test_a_price_change_starts_now_in_the_organization_s_zone(place: Place) -> None:
    page = place.client("owner").get(CHANGE, GPT)
    assert "Asia/Kolkata time" in page.context["form"]["valid_from"].label
    shown = datetime.fromisoformat(page.context["form"]["valid_from"].value())
    assert abs(shown - (datetime.now(UTC) + timedelta(hours=5, minutes=30)).replace(tzinfo=None)) < timedelta(minutes=2)


def test_thresholds_are_filled_in(place: Place) -> None:
    page = place.client("owner").get(CORRECT, {"provider": "openai", "model": "long"})
    form = page.context["form"]
    held = {name: form[name].value() for name in ("above_1", "input_above_1", "output_above_1", "above_2")}
    assert held == {"above_1": 200_000, "input_above_1": "5.00", "output_above_1": "10.00", "above_2": None}
    assert '<details class="pricing-thresholds" open>' in page.content.decode()


def test_an_unpriced_model_starts_with_an_empty_form_that_reaches_back_for_ever(place: Place) -> None:
    page = place.client("owner").get(SET, {"provider": "house", "model": "gpt-4o-minni"})
    form = page.context["form"]
    assert [form[name].value() for name in ("input", "output", "valid_from", "valid_to")] == [None] * 4
    assert "openai/gpt-4o-mini" in page.context["similar"]
    assert "openai/gpt-4o" in page.context["models"]


@pytest.mark.parametrize(
    ("url", "wrong", "field"),
    [
        (CHANGE, {"valid_from": ""}, "valid_from"),
        (CHANGE, {"valid_from": "soon"}, "valid_from"),
        (CHANGE, {"valid_from": "0001-01-01T00:00"}, "valid_from"),
        (CHANGE, {"valid_from": "2026-11-01T00:00", "valid_to": "2026-11-01T00:00"}, "valid_to"),
        (CORRECT, {"valid_from": "2090-01-01T00:00"}, "valid_from"),
        (CORRECT, {"input": ""}, "input"),
        (CORRECT, {"output": "-1"}, "output"),
        (CORRECT, {"input": "0.0000001"}, "input"),
        (CORRECT, {"input": "NaN"}, "input"),
        (CORRECT, {"reasoning": "cheap"}, "reasoning"),
        (CORRECT, {"above_1": "200000"}, "above_1"),
        (CORRECT, {"input_above_1": "3"}, "above_1"),
        (CORRECT, {"above_1": "0", "input_above_1": "3"}, "above_1"),
        (CORRECT, {"above_1": "9", "input_above_1": "3", "above_2": "9", "input_above_2": "3"}, "above_2"),
        (CORRECT, {"source_url": ""}, "source_url"),
        (CORRECT, {"source_url": "http://acme.example"}, "source_url"),
        (CORRECT, {"source_url": "javascript:alert(1)"}, "source_url"),
        (CORRECT, {"note": "  "}, "note"),
        (CORRECT, {"model": ""}, "model"),
        (CORRECT, {"tier": "express"}, "tier"),
        (CORRECT, {"organization": "987654321"}, "organization"),
        (CORRECT, {"provider": "azure", "tier": "batch"}, "tier"),
        (CORRECT, {"provider": "", "model": "house-model"}, "provider"),
        (SET, {"how": ""}, "how"),
        (SET, {"how": "name", "means": "openai/no-such-model"}, "means"),
        (SET, {"how": "name", "means": ""}, "means"),
        (SET, {"how": "name", "means": "openai/gpt-4o", "provider": "litellm"}, "provider"),
        (SET, {"how": "rates", "input": ""}, "input"),
    ],
)
@pytest.mark.parametrize("step", ["dry run", "publish"])
def test_a_mistake_is_said_at_its_field(place: Place, url: str, wrong: dict[str, str], field: str, step: str) -> None:
    client = place.client("superuser")
    form = filled(client, url, how="rates", input="5", output="5")
    before = counts()
    answer = client.post(url, form | wrong | ({"publish": "Publish"} if step == "publish" else {}))
    assert answer.status_code == 200
    assert fields_with_errors(answer) == [field]
    assert 'class="errorlist"' in answer.content.decode()
    assert counts() == before
    wrong_only = {name: form.get(name, "") for name in wrong}
    assert client.post(url, form | wrong_only).context["effect"] is not None


def test_times_that_the_clocks_skip_are_refused(place: Place) -> None:
    Organization.objects.filter(pk=place.ours.pk).update(time_zone="Europe/Berlin")
    client = place.client("owner")
    form = filled(client, CORRECT, place.ours, valid_from="2026-03-29T02:30")
    answer = client.post(CORRECT, form)
    assert fields_with_errors(answer) == ["valid_from"]
    assert "skip this time" in answer.content.decode()


# The dry run, and publishing


@pytest.mark.parametrize(("start", "usd", "after"), [("2026-11-01T05:30", "5", "$10.00"), ("", "3.5", "$7.00")])
def test_the_dry_run_says_what_publishing_then_does(
    place: Place, reprice: Callable[[], None], start: str, usd: str, after: str
) -> None:
    calls = [Call(at=NOW - hours * timedelta(hours=1), cost=2_500_000_000_000, usage=TOKENS) for hours in (1, 2)]
    store_events(place.ours, calls)
    client, before = place.client("owner"), (counts(), costs())
    form = filled(client, CORRECT, place.ours, valid_from=start, input=usd)
    tried = client.post(CORRECT, form)
    assert effect_of(tried) == ("2", "$5.00", after, "0", "0")
    assert (counts(), costs()) == before
    done = client.post(CORRECT, form | {"publish": "Publish"})
    revision = PricingRevision.objects.latest("pk")
    assert done["Location"] == detail(revision)
    assert (revision.author_id, revision.note, revision.kind) == (
        place.people["owner"].pk,
        "as their page says",
        "correction",
    )
    reprice()
    job = RepriceJob.objects.get(to_revision=revision.pk)
    page = client.get(detail(revision))
    assert effect_of(page) == effect_of(tried)
    assert page.context["periods"] == tried.context["periods"]
    assert sum(cost or 0 for cost in costs()) - 5 * 10**12 == job.delta_picousd
    assert f"${sum(cost or 0 for cost in costs()) / 10**12:.2f}" == after
    assert "Done" in page.context["progress"]


def test_pricing_an_unknown_model_prices_its_past_requests(place: Place, reprice: Callable[[], None]) -> None:
    unknown: dict[str, Any] = {"provider": "house", "model": "tuned"}
    for owner in (place.ours, place.theirs):
        store_events(owner, [Call(at=NOW - 30 * DAY, cost=None, usage=TOKENS, **unknown)])
    client = place.client("owner")
    form = filled(client, SET, place.ours, how="rates", input="4", output="4", **unknown)
    assert effect_of(client.post(SET, form)) == ("1", "—", "$4.00", "1", "0")
    client.post(SET, form | {"publish": "Publish"})
    reprice()
    assert sorted(costs(), key=str) == [Decimal(4 * 10**12), None]


def test_saying_what_a_name_means(place: Place, reprice: Callable[[], None]) -> None:
    store_events(place.ours, [Call(at=NOW - DAY, cost=None, provider="azure", model="our-chat", usage=TOKENS)])
    client = place.client("owner")
    form = filled(client, SET, place.ours, provider="azure", model="our-chat", how="name", means="openai/gpt-4o")
    tried = client.post(SET, form)
    assert effect_of(tried) == ("1", "—", "$2.50", "1", "0")
    done = client.post(SET, form | {"publish": "Publish"}, follow=True)
    assert "openai/gpt-4o" in done.content.decode()
    reprice()
    assert costs() == [Decimal(2_500_000_000_000)]


def test_a_price_change_that_starts_in_the_past_is_warned_about(place: Place) -> None:
    store_events(place.ours, [Call(at=NOW - timedelta(hours=1), cost=2_500_000_000_000, usage=TOKENS)])
    client = place.client("owner")
    local = NOW + timedelta(hours=5, minutes=30)
    for start, warned in ((local - DAY, True), (local + DAY, False)):
        form = filled(client, CHANGE, place.ours, input="5", valid_from=f"{start:%Y-%m-%dT%H:%M}")
        page = client.post(CHANGE, form).content.decode()
        assert ("starts in the past" in page) == warned


@pytest.mark.parametrize(
    ("events", "newly_unpriced", "words"),
    [
        (1_000_000, 0, []),
        (1_000_001, 0, ["about 51 seconds"]),
        (3, 2, ["2 more requests than now will have no price"]),
    ],
)
def test_large_changes_and_losses_are_warned_about(events: int, newly_unpriced: int, words: list[str]) -> None:
    model = {"provider": "openai", "model": "gpt-4o", "events": events, "before_picousd": "1", "after_picousd": "2"}
    effect = tables.effect_table({"models": [model | {"unpriced_before": 0, "unpriced_after": newly_unpriced}]})
    assert effect
    found = tables.warnings(effect, True, False)
    assert [part in said for part, said in zip(words, found, strict=True)] == [True] * len(words)


def test_who_manages_several_organizations_chooses_one(place: Place) -> None:
    MembershipFactory(organization=place.theirs, user=place.people["owner"], role=Role.ADMIN)
    client = place.client("owner")
    choices = client.get(CHANGE).context["asked"].fields["organization"].choices
    assert [value for value, _ in choices] == [str(place.ours.pk), str(place.theirs.pk)]
    labels = {
        slug: client.get(CHANGE, GPT | {"organization": slug}).context["form"]["valid_from"].label
        for slug in ("ours", "theirs")
    }
    assert labels == {"ours": "Holds from (Asia/Kolkata time)", "theirs": "Holds from (UTC time)"}


@pytest.mark.parametrize(
    ("picousd", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000000001"),
        (-1_500_000_000_000, "−$1.50"),
        (1_234_567_000_000_000_000, "$1,234,567.00"),
        (10**30 + 1, "$1,000,000,000,000,000,000.000000000001"),
    ],
)
def test_amounts_are_exact(picousd: int, text: str) -> None:
    assert tables.dollars(picousd) == text


def test_the_same_price_again_changes_nothing_and_says_so(place: Place) -> None:
    client = place.client("owner")
    page = client.post(CORRECT, filled(client, CORRECT, place.ours))
    assert page.context["periods"] == ()
    assert "these rates hold already" in page.content.decode()


def test_the_moment_is_stored_as_utc(place: Place) -> None:
    client = place.client("owner")
    form = filled(client, CHANGE, place.ours, input="5", valid_from="2030-01-01T00:00", publish="Publish")
    client.post(CHANGE, form)
    card = RateCard.objects.latest("pk")
    assert card.valid_from == datetime(2029, 12, 31, 18, 30, tzinfo=UTC)
    catalog = load()
    before, after = (
        catalog.resolve("openai", "gpt-4o", epoch_ms(card.valid_from + shift), organization_id=place.ours.pk).card
        for shift in (-timedelta(milliseconds=1), timedelta(0))
    )
    assert before
    assert after
    assert (before.bands[0].per_token[0], after.bands[0].per_token[0]) == (2_500_000, 5_000_000)


def test_every_value_survives_the_dry_run(place: Place) -> None:
    client = place.client("superuser")
    form = filled(
        client, SET, place.ours, model="<b>tuned</b>", how="rates", means="openai/gpt-4o", input="1.5",
        cache_read="0.25",
        cache_write_5m="2", cache_write_1h="3", output="4", reasoning="5", above_1="200000", input_above_1="6",
        above_2="500000", output_above_2="7.000001", valid_from="2026-01-02T03:04:05", valid_to="2030-01-01T00:00",
        has_other_charges="on", source_url=f"{SOURCE}?a=1&b=<2>", note="two\r\nlines & <i>more</i>", tier="flex",
    )  # fmt: skip
    tried = client.post(SET, form)
    posted = dict(tried.context["hidden"])
    assert posted == {name: str(value) for name, value in form.items()}
    back = client.post(SET, posted | {"back": "Back to the form"})
    again = back.context["form"]
    assert {name: str(again[name].value()) for name in again.fields if name in form} == {
        name: {"has_other_charges": "True"}.get(name, str(form[name])) for name in again.fields if name in form
    }
    assert back.context["token"] == form["form_token"]
    page = back.content.decode()
    assert "<b>tuned" not in page
    client.post(SET, posted | {"publish": "Publish"})
    card = RateCard.objects.latest("pk")
    assert {(rate.meter, rate.prompt_over): rate.usd_per_mtok for rate in card.rates.all()} == {
        ("input", 0): Decimal("1.5"), ("cache_read", 0): Decimal("0.25"), ("cache_write_5m", 0): Decimal(2),
        ("cache_write_1h", 0): Decimal(3), ("output", 0): Decimal(4), ("reasoning", 0): Decimal(5),
        ("input", 200_000): Decimal(6), ("output", 500_000): Decimal("7.000001"),
    }  # fmt: skip
    assert (card.has_other_charges, card.tier, card.source_url) == (True, "flex", f"{SOURCE}?a=1&b=<2>")


def test_a_form_is_published_once(place: Place) -> None:
    client = place.client("owner")
    form = filled(client, CORRECT, place.ours, input="5", publish="Publish")
    first = client.post(CORRECT, form)
    before = counts()
    again = client.post(CORRECT, form | {"input": "6"}, follow=True)
    assert again.redirect_chain[0][0] == first["Location"]
    assert "sent before" in again.content.decode()
    assert counts() == before


@pytest.mark.parametrize("token", ["", "made up"])
def test_a_form_that_was_never_shown_here_publishes_nothing(place: Place, token: str) -> None:
    client, before = place.client("owner"), counts()
    form = filled(client, CORRECT, place.ours, input="5", publish="Publish", form_token=token)
    answer = client.post(CORRECT, form)
    assert "too old" in answer.content.decode()
    assert answer.context["form"]["input"].value() == "5"
    assert counts() == before
    assert client.post(CORRECT, form | {"form_token": answer.context["token"]}).status_code == 302


# Taking back


def test_taking_back_brings_the_first_costs_back(place: Place, reprice: Callable[[], None]) -> None:
    store_events(place.ours, [Call(at=NOW - DAY, cost=2_500_000_000_000, usage=TOKENS)])
    client = place.client("owner")
    client.post(CORRECT, filled(client, CORRECT, place.ours, input="5", publish="Publish"))
    reprice()
    assert costs() == [Decimal(5 * 10**12)]
    entered, before = PricingRevision.objects.latest("pk"), counts()
    asked = client.get(taking_back(entered))
    assert effect_of(asked) == ("1", "$5.00", "$2.50", "0", "0")
    assert counts() == before
    form = {"note": "it was right before", "form_token": asked.context["token"]}
    assert list(client.post(taking_back(entered), form | {"note": ""}).context["form"].errors) == ["note"]
    done = client.post(taking_back(entered), form)
    taken_back = PricingRevision.objects.latest("pk")
    assert (done["Location"], taken_back.retracts, taken_back.author_id) == (
        detail(taken_back),
        entered,
        place.people["owner"].pk,
    )
    reprice()
    assert costs() == [Decimal(2_500_000_000_000)]
    assert client.post(taking_back(entered), form)["Location"] == detail(taken_back)
    for revision, other in ((entered, taken_back), (taken_back, entered)):
        page = client.get(detail(revision)).content.decode()
        assert detail(other) in page
        assert taking_back(revision) not in page
    assert "taken back before" in client.get(taking_back(entered)).content.decode()


def test_an_import_cannot_be_taken_back(place: Place) -> None:
    client, before = place.client("superuser"), counts()
    page = client.get(taking_back(place.revisions["import"])).content.decode()
    assert "entered here can be taken back" in page
    assert taking_back(place.revisions["import"]) not in client.get(detail(place.revisions["import"])).content.decode()
    answer = client.post(taking_back(place.revisions["import"]), {"note": "no", "form_token": "x"})
    assert answer.status_code == 200
    assert counts() == before


# What people read


XSS = "<script>alert(1)</script>"


def test_what_callers_and_people_write_is_never_markup(place: Place) -> None:
    store_events(place.ours, [Call(at=NOW - DAY, cost=None, provider="house", model=XSS, usage=TOKENS)])
    client = place.client("owner")
    values = {"provider": "house", "model": XSS, "how": "rates", "input": "4", "output": "4", "note": XSS}
    form = filled(client, SET, place.ours, **values)
    pages = [client.get(SET, {"provider": "house", "model": XSS}), client.post(SET, form)]
    pages.append(client.post(SET, form | {"publish": "Publish"}, follow=True))
    revision = PricingRevision.objects.latest("pk")
    pages += [client.get(url) for url in (LIST, ENTERED, taking_back(revision))]
    for page in pages:
        text = page.content.decode()
        assert XSS not in text
        assert "&lt;script&gt;alert(1)" in text


def test_pages_have_no_inline_script_or_style(place: Place) -> None:
    client = place.client("superuser")
    for url in (ENTERED, detail(place.revisions["ours"]), taking_back(place.revisions["ours"])):
        page = client.get(url).content.decode()
        assert not re.search(r"<style|style=|<script(?![^>]*src=)|onclick=", page)


@pytest.mark.parametrize("name", ["import", "everyone's", "ours", "theirs"])
def test_a_revision_is_told_in_words(place: Place, name: str) -> None:
    page = place.client("superuser").get(detail(place.revisions[name]))
    terms = dict(page.context["facts"])
    if name == "import":
        assert terms["New cards"] == "6"
    else:
        assert (terms["From"], terms["Until"], terms["Source"]) == ("since ever", "until further notice", SOURCE)
        assert [line.after for line in page.context["periods"][0].lines][:2] == ["$9.00", "$9.00 (as input)"]


@pytest.mark.parametrize(
    ("words", "found"), [("gpt-4.1-mini", {"ours"}), ("about", {"everyone's", "ours"}), ("nothing", set())]
)
def test_the_list_is_searched_by_model_and_note(place: Place, words: str, found: set[str]) -> None:
    seen = place.client("owner").get(LIST, {"q": words}).context["cl"].queryset
    assert {name for name, revision in place.revisions.items() if revision in seen} == found


@pytest.mark.parametrize(
    "query",
    [
        GPT | {"organization": "\x00"},
        GPT | {"model": "\x00"},
        GPT | {"organization": "theirs"},
        GPT | {"tier": "express"},
        {"model": ""},
        {"model": "x" * 300},
    ],
)
def test_a_link_that_asks_for_nothing_that_there_is_shows_no_form(place: Place, query: dict[str, str]) -> None:
    answer = place.client("owner").get(CHANGE, query)
    assert (answer.status_code, answer.context["form"], bool(answer.context["asked"].errors)) == (200, None, True)


def test_the_list_asks_as_often_for_many_revisions_as_for_few(place: Place, django_assert_max_num_queries: Any) -> None:
    client = place.client("owner")
    with django_assert_max_num_queries(20) as few:
        client.get(LIST)
    for number in range(10):
        PricingRevision.objects.create(created_at=NOW, kind="import", note=f"{number}", summary={"counts": {}})
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get(LIST)
