"""Metered revenue: spans add up to the month, and the month to its invoice."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from metering import accrual, invoicing
from metering.models import RateKind
from tests.metering.billing import Billing, at

TIERS = [("10", "2", "1"), ("50", "1", "0"), (None, "0.25", "3")]


def by_span(billing: Billing, *edges: str) -> list[Decimal]:
    return [span.total_usd for span in accrual.by_span(billing.organization, [at(edge) for edge in edges])]


def test_spans_follow_the_tiers(billing: Billing) -> None:
    meter = billing.meter()
    billing.rate(meter, RateKind.GRADUATED, tiers=TIERS)
    billing.used(meter, "8", "2026-03-05")
    billing.used(meter, "8", "2026-03-15")
    billing.used(meter, "8", "2026-04-15")
    # 1 + 8 × 2 = 17, then 2 × 2 + 6 × 1 = 10; April starts anew.
    found = by_span(billing, "2026-03-01", "2026-03-10", "2026-03-20", "2026-04-01", "2026-05-01")
    assert found == [17, 10, 0, 17]
    assert by_span(billing, "2026-03-10", "2026-05-01") == [27]
    assert by_span(billing, "2026-03-06", "2026-03-14") == [0]


def test_of_whom_and_for_what(billing: Billing) -> None:
    documents, seats = billing.meter(), billing.meter("Seats", "UNIQUE_COUNT")
    billing.per_unit(documents, "1")
    billing.per_unit(seats, "10")
    one, two = billing.customer("one"), billing.customer("two")
    billing.used(documents, "3", customer=one)
    for value in ("a", "b", "a"):
        billing.used(seats, customer=two, unique_value=value)
    found = accrual.accrued(billing.organization, at("2026-03-01"), at("2026-04-01"))
    assert found.by_customer() == {one.pk: 3, two.pk: 20}
    assert found.by_meter() == {documents.pk: 3, seats.pk: 20}
    only = accrual.accrued(billing.organization, at("2026-03-01"), at("2026-04-01"), customer_ids=[two.pk])
    assert only.by_customer() == {two.pk: 20}


def test_a_value_counts_in_the_span_of_its_first_record(billing: Billing) -> None:
    seats = billing.meter("Seats", "UNIQUE_COUNT")
    billing.per_unit(seats, "10")
    for value, when in (("a", "03-02"), ("a", "03-12"), ("b", "03-12"), ("a", "04-02")):
        billing.used(seats, when=f"2026-{when}", unique_value=value)
    assert by_span(billing, "2026-03-01", "2026-03-10", "2026-03-20", "2026-05-01") == [10, 10, 10]


def test_the_latest_may_take_back(billing: Billing) -> None:
    storage = billing.meter("Storage", "LATEST")
    billing.per_unit(storage, "1")
    for quantity, when in (("50", "05"), ("20", "15")):
        billing.used(storage, quantity, f"2026-03-{when}")
    assert by_span(billing, "2026-03-01", "2026-03-10", "2026-04-01") == [50, -30]


def test_a_customers_own_fee_counts_at_the_months_first_moment(billing: Billing) -> None:
    meter = billing.meter()
    billing.rate(meter, RateKind.FLAT, fee_usd=Decimal(9))
    billing.rate(meter, RateKind.FLAT, fee_usd=Decimal(5), customer=billing.customer())
    assert by_span(billing, "2026-02-28", "2026-03-01", "2026-03-02", "2026-04-02") == [0, 5, 5]
    billing.used(meter, customer=billing.customer("two"))
    assert by_span(billing, "2026-03-01", "2026-03-10", "2026-03-11") == [5, 9]


def test_what_has_no_rate_is_said(billing: Billing) -> None:
    meter = billing.meter()
    billing.used(meter)
    found = accrual.accrued(billing.organization, at("2026-03-01"), at("2026-04-01"))
    assert (found.total_usd, found.unrated) == (Decimal(0), {meter.pk})


def test_edges_may_repeat(billing: Billing) -> None:
    billing.per_unit(meter := billing.meter(), "1")
    billing.used(meter, "5", "2026-03-05")
    assert by_span(billing, "2026-03-01", "2026-03-06", "2026-03-06", "2026-03-06") == [5, 0, 0]
    assert by_span(billing, "2026-03-01", "2026-03-01", "2026-03-06") == [0, 5]


def test_without_meters_nothing_is_read(billing: Billing) -> None:
    assert by_span(billing, "2026-03-01", "2026-04-01", "2026-05-01") == [0, 0]
    assert accrual.by_span(billing.organization, [at("2026-03-01")]) == []


type Record = tuple[int, int, Decimal, datetime]
"""Number of the meter, customer, quantity, when."""
ZONES = ["UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York", "Pacific/Apia"]
START = at("2026-03-01")
moments = st.integers(0, 92 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
records = st.tuples(st.integers(0, 4), st.integers(0, 2), st.decimals("0.000000001", "120", places=9), moments)


class Additive(TestCase):
    """However a stretch is cut, its parts add up, and whole months are what their invoices charge."""

    @settings(max_examples=25)
    @given(st.sampled_from(ZONES), st.lists(records, max_size=25), st.lists(moments, max_size=6))
    def test_spans_add_up(self, zone: str, used: list[Record], cuts: list[datetime]) -> None:
        billing = Billing(zone)
        meters = [billing.meter(name, name) for name in ("SUM", "COUNT", "MAX", "LATEST", "UNIQUE_COUNT")]
        for meter, kind in zip(meters, ("graduated", "volume", "package", "per_unit", "volume"), strict=True):
            tiers = TIERS if kind in ("graduated", "volume") else ()
            billing.rate(
                meter,
                kind,
                tiers=tiers,
                package_size=Decimal(7),
                package_price_usd=Decimal(3),
                unit_price_usd=Decimal("0.123456789012"),
            )
        for meter_number, customer, quantity, moment in used:
            billing.used(
                meters[meter_number],
                str(quantity),
                moment.replace(tzinfo=None).isoformat(),
                customer=billing.customer(str(customer)),
                unique_value=str(int(quantity) % 4),
            )
        edges = sorted({START - timedelta(days=40), *cuts, START + timedelta(days=140)})
        spans = accrual.by_span(billing.organization, edges)
        whole = accrual.accrued(billing.organization, edges[0], edges[-1])
        assert sum(span.total_usd for span in spans) == whole.total_usd
        assert whole.total_usd == sum(invoiced(billing, edges[-1]))
        transaction.set_rollback(True)


def invoiced(billing: Billing, now: datetime) -> list[Decimal]:
    """What each invoice of each month that has usage comes to, exact."""
    found = []
    for customer in billing.organization.tracked_users.all():
        moment = START - timedelta(days=1)
        while moment < now:
            draft = invoicing.open_draft(billing.organization.pk, customer.pk, moment)
            document = invoicing.document(draft, now)
            assert sum(line.amount_usd for line in document.lines) == document.total_usd
            assert document.total_usd - document.rounding_usd == sum(line.exact_usd for line in document.lines)
            found.append(document.total_usd - document.rounding_usd)
            moment = draft.period_end
    return found
