"""What records come to: every aggregation, at its edges."""

from decimal import Decimal

import pytest

from events.models import Environment
from metering import quantities
from metering.models import Aggregation
from metering.quantities import Span
from tests.metering.billing import Billing, at

MARCH = Span(at("2026-03-01"), at("2026-04-01"))


@pytest.mark.parametrize(
    ("aggregation", "expected"), [("SUM", "10.000000002"), ("COUNT", "4"), ("MAX", "5"), ("LATEST", "1.000000001")]
)
def test_one_number_of_many_records(billing: Billing, aggregation: str, expected: str) -> None:
    meter = billing.meter(aggregation=aggregation)
    # Arrival is not the order of the usage.
    for quantity, when in (("5", "03-02"), ("1.000000001", "03-30"), ("1.000000001", "03-01"), ("3", "03-29T23:59")):
        billing.used(meter, quantity, f"2026-{when}")
    (found,) = quantities.by_customer(billing.organization.pk, [MARCH])
    assert (found.quantity, found.records) == (Decimal(expected), 4)


def test_different_values_are_counted_exactly(billing: Billing) -> None:
    meter = billing.meter(aggregation="UNIQUE_COUNT")
    for value in ("a", "b", "a", "A", " a", "\u00e9", "e\u0301"):
        billing.used(meter, unique_value=value)
    (found,) = quantities.by_customer(billing.organization.pk, [MARCH])
    assert (found.quantity, found.records) == (Decimal(6), 7)


def test_of_the_same_moment_the_record_that_came_last_is_the_latest(billing: Billing) -> None:
    meter = billing.meter(aggregation="LATEST")
    for quantity in ("5", "9", "7"):
        billing.used(meter, quantity, "2026-03-10T12:00")
    assert [used.quantity for used in quantities.by_customer(billing.organization.pk, [MARCH])] == [7]


@pytest.mark.parametrize("aggregation", Aggregation.values)
def test_a_span_has_its_first_moment_and_not_its_last(billing: Billing, aggregation: str) -> None:
    meter = billing.meter(aggregation=aggregation)
    for when in ("2026-02-28T23:59:59.999", "2026-03-01", "2026-03-31T23:59:59.999", "2026-04-01"):
        billing.used(meter, "1", when, unique_value=when)
    (found,) = quantities.by_customer(billing.organization.pk, [MARCH])
    assert found.records == 2


def test_customers_meters_and_spans_are_kept_apart(billing: Billing) -> None:
    first, second = billing.meter("A"), billing.meter("B")
    one, two = billing.customer("one"), billing.customer("two")
    billing.used(first, "1", customer=one)
    billing.used(first, "2", customer=two)
    billing.used(second, "3", customer=two)
    billing.used(first, "4", "2026-04-10", customer=one)
    april = Span(at("2026-04-01"), at("2026-05-01"))
    found = quantities.by_customer(billing.organization.pk, [MARCH, april])
    assert [(u.span, u.customer_id, u.meter_id, int(u.quantity)) for u in found] == [
        (0, one.pk, first.pk, 1),
        (0, two.pk, first.pk, 2),
        (0, two.pk, second.pk, 3),
        (1, one.pk, first.pk, 4),
    ]
    assert len(quantities.by_customer(billing.organization.pk, [MARCH], customer_ids=[one.pk])) == 1
    assert len(quantities.by_customer(billing.organization.pk, [MARCH], meter_id=second.pk)) == 1
    assert quantities.by_customer(billing.organization.pk, []) == []


def test_test_usage_and_other_organizations_do_not_count(billing: Billing) -> None:
    meter = billing.meter()
    billing.used(meter, environment=Environment.TEST)
    other = Billing()
    other.used(other.meter())
    assert quantities.by_customer(billing.organization.pk, [MARCH]) == []


def test_buckets_sum_what_each_customer_comes_to(billing: Billing) -> None:
    seats = billing.meter("Seats", "UNIQUE_COUNT")
    for customer, value, when in (("one", "a", "01"), ("two", "a", "01"), ("two", "b", "01"), ("one", "b", "03")):
        billing.used(seats, when=f"2026-03-{when}", customer=billing.customer(customer), unique_value=value)
    edges = [at(f"2026-03-0{day}") for day in (1, 2, 3, 4)]
    found = quantities.by_bucket(billing.organization.pk, edges)
    assert [(b.number, int(b.quantity), b.records, b.customers) for b in found] == [(0, 3, 3, 2), (2, 1, 1, 1)]
    only = quantities.by_bucket(billing.organization.pk, edges, customer_id=billing.customer("one").pk)
    assert [(b.number, int(b.quantity)) for b in only] == [(0, 1), (2, 1)]
