"""Sums of usage: the same from every table that can answer, in zones and on days that are awkward."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard.filters import Filters
from dashboard.queries import events, options, usage, users
from dashboard.queries.usage import Usage
from events import rollups
from events.models import Environment, Organization
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)
KOLKATA = ZoneInfo("Asia/Kolkata")


@pytest.fixture
def organization(db: None) -> Organization:
    made: Organization = OrganizationFactory(time_zone="Asia/Kolkata")
    return made


def read(**words: str) -> Filters:
    return Filters.from_query(words, NOW, KOLKATA)


def hours_ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


@pytest.fixture
def varied(organization: Organization) -> list[Call]:
    """Calls of all kinds over 40 days, and another organization's, which must never count."""
    calls = [
        Call(
            at=hours_ago(7.3 * number + 0.2),
            cost=None if number % 11 == 5 else (number + 1) * USD // 7,
            model=("gpt-4o", "claude-sonnet-4-5", "")[number % 3],
            provider=("openai", "anthropic", "")[number % 3],
            status=("SUCCESS", "ERROR", "MAX_TOKENS", "BLOCKED")[number % 4],
            feature=("chat", "search", "")[number % 3],
            user=("u-1", "u-2", "")[number % 3],
            tier=("standard", "batch")[number % 2],
            environment=Environment.TEST if number % 13 == 7 else Environment.LIVE,
        )
        for number in range(130)
    ]
    store_events(organization, calls)
    store_events(OrganizationFactory(), [Call(at=hours_ago(1), cost=999 * USD)])
    return calls


def expected(calls: list[Call], filters: Filters) -> Usage:
    found = Usage()
    for call in calls:
        fine = call.status in ("SUCCESS", "MAX_TOKENS")
        wanted = (
            filters.start <= call.at < filters.end
            and call.environment.label == filters.environment
            and filters.feature in (None, call.feature)
            and filters.model in (None, call.model)
            and filters.user in (None, call.user)
            and filters.status in (None, "ok" if fine else "error", call.status)
            and filters.tier in (None, call.tier)
        )
        if wanted:
            found += Usage(1, int(not fine), int(call.cost is None), 1200, 350, call.cost or 0)
    return found


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize(
    ("words", "source"),
    [
        ({}, "narrow"),
        ({"period": "24h"}, "narrow"),
        ({"period": "7d"}, "narrow"),
        ({"environment": "test"}, "narrow"),
        ({"feature": "chat"}, "cells"),
        ({"feature": "(none)", "status": "error"}, "cells"),
        ({"model": "gpt-4o", "tier": "batch", "period": "7d"}, "cells"),
        ({"status": "MAX_TOKENS"}, "cells"),
        ({"status": "ok"}, "cells"),
        ({"user": "u-1"}, "users"),
        ({"user": "(none)", "feature": "(none)"}, "pairs"),
        ({"period": "24h", "feature": "chat"}, "events"),
        ({"user": "nobody"}, "users"),
        ({"user": "u-1", "model": "gpt-4o"}, "events"),
    ],
)
def test_each_source_gives_the_sums_of_the_events(
    organization: Organization, varied: list[Call], words: dict[str, str], source: str, folded: bool
) -> None:
    if folded:
        rollups.fold_now()
    filters = read(**words)
    wanted = expected(varied, filters)
    assert usage.source_of(filters) == source
    assert usage.totals(organization.pk, filters) == wanted
    for hourly in (False, True):
        if hourly or filters.whole_days:
            buckets = usage.by_bucket(organization.pk, filters, "model", hourly=hourly)
            assert sum((one.usage for one in buckets), Usage()) == wanted
    by_feature = usage.by_value(organization.pk, filters, "feature", 100)
    assert sum((one.usage for one in by_feature), Usage()) == wanted
    by_user = users.top(organization.pk, filters, 100)
    assert (sum(one.events for one in by_user), sum(one.cost_picousd for one in by_user)) == (
        wanted.events,
        wanted.cost_picousd,
    )
    assert events.capped_totals(organization.pk, filters) == wanted


def test_a_bucket_starts_at_the_local_midnight_of_its_events(organization: Organization) -> None:
    # 18:30 UTC is midnight in Kolkata.
    store_events(organization, [Call(at=datetime(2026, 11, 20, 18, minute, tzinfo=UTC)) for minute in (29, 30)])
    days = usage.by_bucket(organization.pk, read(), "total", hourly=False)
    hours = usage.by_bucket(organization.pk, read(), "total", hourly=True)
    assert [one.start for one in days] == [datetime(2026, 11, day, 18, 30, tzinfo=UTC) for day in (19, 20)]
    assert [one.start for one in hours] == [datetime(2026, 11, 20, hour, 30, tzinfo=UTC) for hour in (17, 18)]


@pytest.mark.parametrize("words", [{}, {"feature": "chat"}, {"user": "u-1"}, {"period": "24h"}])
def test_the_comparison_counts_up_to_the_same_moment(organization: Organization, words: dict[str, str]) -> None:
    before = read(**words).previous()
    inside, outside = before.until - timedelta(hours=2), before.until + timedelta(minutes=31)
    store_events(organization, [Call(at=at, cost=3 * USD, user="u-1") for at in (before.start, inside)])
    if outside < before.end:
        store_events(organization, [Call(at=outside, cost=5 * USD, user="u-1")])
    rows = usage.previous(organization.pk, before, hourly=before.hourly)
    compared = sum((row.comparable for row in rows), Usage())
    assert (compared.events, compared.cost_picousd) == (2, 6 * USD)
    assert sum(row.cost_picousd for row in rows) == (11 if outside < before.end else 6) * USD


def test_the_first_event_is_found_folded_or_not(organization: Organization) -> None:
    assert usage.first_event_at(organization.pk, Environment.LIVE) is None
    store_events(organization, [Call(at=hours_ago(3)), Call(at=hours_ago(50))])
    assert usage.first_event_at(organization.pk, Environment.LIVE) == datetime(2026, 11, 19, 7, 30, tzinfo=UTC)
    rollups.fold_now()
    store_events(organization, [Call(at=hours_ago(1))])
    assert usage.first_event_at(organization.pk, Environment.LIVE) == datetime(2026, 11, 19, 7, 30, tzinfo=UTC)
    assert usage.first_event_at(organization.pk, Environment.TEST) is None


def test_menus_offer_what_the_period_holds(organization: Organization, varied: list[Call]) -> None:
    found = options.in_use(organization.pk, read())
    assert set(found["model"]) == {"gpt-4o", "claude-sonnet-4-5", ""}
    assert set(found["provider"]) == {"openai", "anthropic", ""}
    assert options.in_use(organization.pk, read(**{"from": "2026-01-01", "to": "2026-01-02"})) == {}
