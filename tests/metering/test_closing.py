"""The period job: what it opens and finalizes, and that running it again changes nothing."""

from datetime import date
from decimal import Decimal

from metering import closing, invoicing
from metering.models import BillingSettings, Invoice, Plan, Subscription
from tests.metering.billing import Billing, at

NOW = at("2026-05-05T10:00")


def invoices(billing: Billing) -> list[tuple[str, str, str, str]]:
    """Customer, first day, status and number of each invoice."""
    return [
        (one.tracked_user.external_id, f"{one.period_start:%m-%d}", str(one.status), one.number)
        for one in Invoice.objects.filter(organization=billing.organization).order_by("period_start", "tracked_user")
    ]


def test_everybody_with_usage_gets_a_draft_for_each_month(billing: Billing) -> None:
    meter = billing.meter()
    for customer, when in (("a", "03-05"), ("a", "03-06"), ("b", "04-30T23:59"), ("a", "05-01")):
        billing.used(meter, when=f"2026-{when}", customer=billing.customer(customer))
    closing.run(NOW)
    expected = [("a", "03-01", "draft", ""), ("b", "04-01", "draft", ""), ("a", "05-01", "draft", "")]
    assert invoices(billing) == expected
    closing.run(NOW)
    assert invoices(billing) == expected


def test_plans_and_own_rates_need_no_usage(billing: Billing) -> None:
    plan = Plan.objects.create(organization=billing.organization, name="Pro", fee_usd=Decimal(49))
    Subscription.objects.create(
        tracked_user=billing.customer("a"), plan=plan, starts_on=date(2026, 4, 20), ends_on=date(2026, 5, 1)
    )
    billing.per_unit(billing.meter(), "1", "2026-05-03", customer=billing.customer("b"), minimum_usd=10)
    closing.run(NOW)
    assert invoices(billing) == [("a", "04-01", "draft", ""), ("b", "05-01", "draft", "")]


def test_what_is_due_is_finalized_and_nothing_else(billing: Billing) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1", "2026-03-01")
    for when in ("02-20", "03-05", "04-05", "05-01"):
        billing.used(meter, when=f"2026-{when}")
    closing.run(NOW)
    assert {status for _, _, status, _ in invoices(billing)} == {"draft"}
    BillingSettings.objects.create(organization=billing.organization, finalize_after_days=4)
    for _ in range(2):
        closing.run(NOW)
        # February has no rate, and waits for one.
        assert invoices(billing) == [
            ("cust_1", "02-01", "draft", ""),
            ("cust_1", "03-01", "finalized", "INV-000001"),
            ("cust_1", "04-01", "finalized", "INV-000002"),
            ("cust_1", "05-01", "draft", ""),
        ]


def test_four_days_are_four_days(billing: Billing) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1")
    billing.used(meter, when="2026-04-05")
    BillingSettings.objects.create(organization=billing.organization, finalize_after_days=4)
    closing.run(at("2026-05-05T00:00:59"))
    assert invoices(billing)[0][2] == "draft"
    closing.run(at("2026-05-05T00:01:00"))
    assert invoices(billing)[0][2] == "finalized"


def test_late_usage_of_a_customer_who_left_gets_a_draft_in_the_present_month(billing: Billing) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1")
    billing.used(meter)
    closing.run(NOW)
    march = Invoice.objects.get()
    invoicing.finalize(march.pk, billing.organization.pk, NOW)
    billing.used(meter, when="2026-03-20", late_for_id=march.pk, received_at=NOW)
    closing.run(NOW)
    assert invoices(billing)[1:] == [("cust_1", "05-01", "draft", "")]
    (line,) = invoicing.document(Invoice.objects.get(status="draft"), NOW).lines
    assert (line.kind, line.amount_usd) == ("adjustment", Decimal(1))


def test_records_of_a_customer_who_was_removed_are_passed_over(billing: Billing) -> None:
    billing.used(billing.meter(), customer=billing.customer("gone"))
    billing.customer("gone").delete()
    closing.run(NOW)
    assert invoices(billing) == []


def test_it_can_be_stopped_between_two_invoices(billing: Billing) -> None:
    for name in ("a", "b", "c"):
        billing.used(billing.meter(name), customer=billing.customer(name))
    asked = iter([False, True])
    closing.run(NOW, lambda: next(asked))
    assert len(invoices(billing)) == 1
