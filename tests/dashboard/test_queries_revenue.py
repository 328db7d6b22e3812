"""Revenue by the second, against hand-made sums."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dashboard.queries import revenue
from events.models import Organization, RevenueChange
from tests.factories import OrganizationFactory, TrackedUserFactory

USD = 10**12
UTC_ZONE, NEW_YORK = ZoneInfo("UTC"), ZoneInfo("America/New_York")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def pays(organization: Organization, external_id: str, *changes: tuple[str, str]) -> int:
    user = TrackedUserFactory(organization=organization, external_id=external_id)
    for moment, usd in changes:
        RevenueChange.objects.create(tracked_user=user, effective_at=at(moment), monthly_revenue_usd=Decimal(usd))
    return int(user.pk)


@pytest.mark.parametrize(
    ("start", "end", "usd"),
    [
        ("2026-11-01", "2026-12-01", "30"),
        ("2026-10-01", "2026-11-01", "30"),
        ("2026-11-01", "2026-11-02", "1"),
        ("2026-10-01", "2026-12-01", "60"),
        ("2026-11-30", "2026-12-02", "1.967741935484"),  # 30/30 + 30/31
        ("2026-09-01", "2026-09-16", "0"),
        ("2026-09-01", "2026-10-01", "15"),
    ],
)
def test_an_amount_is_spread_over_the_seconds_of_its_month(
    organization: Organization, start: str, end: str, usd: str
) -> None:
    user = pays(organization, "u-1", ("2026-09-16", "30"))
    pays(OrganizationFactory(), "u-1", ("2020-01-01", "1000"))
    wanted = int(Decimal(usd) * USD)
    found = revenue.by_bucket(organization.pk, [at(start), at(end)], at(end), UTC_ZONE)
    assert found.total == wanted
    assert found.ever_sent
    assert revenue.by_user(organization.pk, [user], at(start), at(end), UTC_ZONE).get(user, 0) == wanted


def test_changes_count_from_their_second_in_their_bucket(organization: Organization) -> None:
    first = pays(organization, "u-1", ("2026-11-01", "30"), ("2026-11-02T12:00", "60"), ("2026-11-04", "0"))
    second = pays(organization, "u-2", ("2026-11-03T06:00", "30"), ("2026-11-20", "900"))
    edges = [at("2026-11-01") + timedelta(days=number) for number in range(6)]
    found = revenue.by_bucket(organization.pk, edges, edges[-1], UTC_ZONE)
    assert found.by_bucket == (1 * USD, 3 * USD // 2, 2 * USD + 3 * USD // 4, 1 * USD, 1 * USD)
    each = revenue.by_user(organization.pk, [first, second], edges[0], edges[-1], UTC_ZONE)
    assert each == {first: 9 * USD // 2, second: 11 * USD // 4}
    assert sum(each.values()) == found.total
    assert revenue.by_bucket(organization.pk, edges, edges[-1], UTC_ZONE, "u-2").total == each[second]


def test_what_has_not_happened_is_not_earned(organization: Organization) -> None:
    pays(organization, "u-1", ("2026-11-01", "30"))
    edges = [at("2026-11-01"), at("2026-11-02"), at("2026-11-03"), at("2026-11-04")]
    found = revenue.by_bucket(organization.pk, edges, at("2026-11-02T12:00"), UTC_ZONE)
    assert found.by_bucket == (USD, USD // 2, 0)


def test_a_month_with_a_changed_clock_is_worth_the_same(organization: Organization) -> None:
    # November in New York has 30 days and one hour.
    pays(organization, "u-1", ("2026-01-01", "721"))
    month = [at("2026-11-01T04:00"), at("2026-12-01T05:00")]
    assert revenue.by_bucket(organization.pk, month, month[1], NEW_YORK).total == 721 * USD
    long_day = [at("2026-11-01T04:00"), at("2026-11-02T05:00")]
    assert revenue.by_bucket(organization.pk, long_day, long_day[1], NEW_YORK).total == 25 * USD


def test_never_sent_is_told_from_none_in_the_period(organization: Organization) -> None:
    edges = [at("2026-11-01"), at("2026-11-02")]
    assert revenue.by_bucket(organization.pk, edges, edges[1], UTC_ZONE) == revenue.Revenue((0,), ever_sent=False)
    pays(organization, "u-1", ("2026-11-20", "30"))
    assert revenue.by_bucket(organization.pk, edges, edges[1], UTC_ZONE) == revenue.Revenue((0,), ever_sent=True)
