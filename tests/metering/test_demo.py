"""The demo's billing: the same arguments give the same usage, it looks like a product's, and it is invoiced."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection

from events import demo as events_demo
from events.demo import Traffic
from events.models import Organization, TrackedUser
from metering import accrual, demo, demo_writer, invoicing
from metering.models import CreditNote, Invoice, InvoiceStatus, Meter, MeterRate, Plan, Subscription, UsageRecord

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 15, tzinfo=UTC)


def traffic(seed: int = 7, days: int = 90, number: int = 20_000, now: datetime = NOW) -> Traffic:
    return Traffic(seed, days, number, now, BERLIN)


def seed_demo(slug: str = "demo", **options: int) -> str:
    output = StringIO()
    call_command("seed_demo", organization=slug, stdout=output, **options)
    return output.getvalue()


@pytest.fixture
def organization(committed_db: None) -> Organization:
    return Organization.objects.create(name="Demo", slug="demo", time_zone="Asia/Kolkata")


# What is made up


def test_the_same_arguments_give_the_same_usage() -> None:
    assert list(demo.records(traffic())) == list(demo.records(traffic()))
    assert list(demo.subscriptions(traffic())) == list(demo.subscriptions(traffic()))


@pytest.mark.parametrize("other", [traffic(seed=8), traffic(days=60), traffic(now=NOW + timedelta(hours=1))])
def test_each_argument_matters(other: Traffic) -> None:
    assert next(demo.records(other)) != next(demo.records(traffic()))


@pytest.mark.parametrize("number", [1, 100, 20_000])
@pytest.mark.parametrize("days", [1, 6, 400])
def test_records_lie_in_the_period_and_after_joining(number: int, days: int) -> None:
    wanted = traffic(days=days, number=number)
    joined = {user.external_id: user.joined_at for user in events_demo.users(wanted)}
    for record in demo.records(wanted):
        assert wanted.at(0) <= record.occurred_at < NOW
        assert record.occurred_at >= joined[record.external_id]
        assert 0 < record.quantity < 10**9


def test_every_meter_is_used_and_working_days_are_busier() -> None:
    found = list(demo.records(traffic()))
    assert set(Counter(record.meter for record in found)) == {meter.name for meter in demo.METERS}
    assert 5_000 < len(found) < 20_000
    days = Counter(
        record.occurred_at.astimezone(BERLIN).isoweekday() for record in found if record.meter == "API calls"
    )
    assert days[3] > 2 * days[6]
    assert all((record.seat is None) == (record.meter != "Active seats") for record in found)


def test_more_traffic_is_more_usage() -> None:
    few, many = (
        sum(record.quantity for record in demo.records(traffic(number=n)) if record.meter == "Documents processed")
        for n in (20_000, 200_000)
    )
    assert 9 * few < many < 11 * few


def test_plans_change_where_the_revenue_does() -> None:
    plans = defaultdict(list)
    for each in demo.subscriptions(traffic()):
        plans[each.external_id].append((each.plan, each.ends_on is None))
    assert plans["user-globex"] == [("team", False), ("business", True)]
    assert plans["user-adventure-works"] == [("business", False), ("team", True)]
    assert "user-hooli" not in plans


# What is written


def test_a_company_that_earns_money_but_not_with_everybody(organization: Organization) -> None:
    output = seed_demo(events=20_000, days=90, seed=7)
    assert "Wrote 20,000 events" in output
    assert "usage records and" in output
    now = datetime.now(UTC)
    earned = accrual.accrued(organization, now - timedelta(days=90), now)
    assert not earned.unrated
    with connection.cursor() as cursor:
        cursor.execute("SELECT tracked_user_id, sum(cost_picousd) FROM event GROUP BY 1")
        spend = {row[0]: (row[1] or 0) / Decimal(10**12) for row in cursor.fetchall()}
    paid = sum_of_revenue(organization, now)
    total = sum(paid.values(), earned.total_usd)
    assert Decimal("0.1") < earned.total_usd / total < Decimal("0.5")
    assert Decimal("0.55") < 1 - sum(spend.values()) / total < Decimal("0.85")
    metered = earned.by_customer()
    assert 1 <= sum(spend[pk] > paid[pk] + usd for pk, usd in metered.items()) <= 4
    check_invoices(organization, now)


def sum_of_revenue(organization: Organization, now: datetime) -> dict[int, Decimal]:
    """What each user paid by their plan in the 90 days; near enough for a comparison."""
    found: dict[int, Decimal] = defaultdict(Decimal)
    for user in TrackedUser.objects.filter(organization=organization):
        changes = list(user.revenue_changes.order_by("effective_at"))
        for change, end in zip(changes, [*(change.effective_at for change in changes), now][1:], strict=False):
            days = (end - max(change.effective_at, now - timedelta(days=90))) / timedelta(days=1)
            found[user.pk] += (change.monthly_revenue_usd or 0) * Decimal(max(days, 0)) / 30
    return found


def check_invoices(organization: Organization, now: datetime) -> None:
    """Past months are finalized in order, the present one is a draft, one of them has a credit note."""
    invoices = Invoice.objects.filter(organization=organization).order_by("period_start", "pk")
    finalized = [invoice for invoice in invoices if invoice.status == InvoiceStatus.FINALIZED]
    assert [invoice.number for invoice in finalized] == [f"INV-{n:06}" for n in range(1, len(finalized) + 1)]
    assert len({invoice.period_start for invoice in finalized}) >= 2
    assert all(invoice.created_at < invoice.finalized_at < now for invoice in finalized if invoice.finalized_at)
    assert {invoice.status for invoice in invoices if invoice.period_end > now} == {InvoiceStatus.DRAFT}
    note = CreditNote.objects.get()
    assert note.invoice.tracked_user.external_id == "user-fabrikam"
    credited = [invoice for invoice in finalized if invoice.lines.filter(kind="credit").exists()]
    assert {invoice.tracked_user.external_id for invoice in credited} == {"user-contoso"}
    for invoice in invoices:
        document = invoicing.document(invoice, now)
        assert document.total_usd >= 0
        assert document.lines


def test_a_second_run_adds_nothing(organization: Organization) -> None:
    seed_demo(events=300, days=40, seed=3)
    before = counts()
    assert min(before) > 0
    for seed in (3, 4):
        assert "has meters already; no metered usage was added" in seed_demo(events=300, days=40, seed=seed)
    assert counts() == before


def counts() -> list[int]:
    return [model.objects.count() for model in (Meter, MeterRate, Plan, Subscription, UsageRecord, Invoice)]


def test_meters_of_ones_own_are_left_alone(organization: Organization) -> None:
    Meter.objects.create(organization=organization, name="Mine")
    seed_demo(events=50, days=5, seed=3)
    assert (Meter.objects.get().name, UsageRecord.objects.count()) == ("Mine", 0)


def test_what_a_killed_run_left_is_written_by_the_next(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo_writer, "_copy", killed)
        with pytest.raises(KeyboardInterrupt):
            seed_demo(events=50, days=5, seed=3)
    assert not Meter.objects.exists()
    assert "usage records and" in seed_demo(events=50, days=5, seed=3)


def test_two_organizations_can_have_the_same_demo(organization: Organization) -> None:
    Organization.objects.create(name="Other", slug="other")
    seed_demo(events=50, days=3, seed=3)
    seed_demo("other", events=50, days=3, seed=3)
    assert UsageRecord.objects.values("organization_id").distinct().count() == 2
