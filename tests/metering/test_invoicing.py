"""Invoices: figures worked by hand, and that nothing which was finalized ever moves."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from metering import invoicing
from metering.invoice_document import InvoiceDocument
from metering.invoicing import NoSuchInvoice, Refused
from metering.models import (
    BillingSettings,
    Credit,
    CreditNote,
    Invoice,
    InvoiceLine,
    Plan,
    RateKind,
    Subscription,
)
from tests.metering.billing import Billing, at

NOW = at("2026-05-05T10:00")


def opened(billing: Billing, month: str = "2026-03-15", customer: str = "cust_1") -> Invoice:
    return invoicing.open_draft(billing.organization.pk, billing.customer(customer).pk, at(month))


def read(invoice: Invoice) -> InvoiceDocument:
    return invoicing.document(invoicing.find(invoice.pk, invoice.organization_id), NOW)


def finalized(billing: Billing, month: str = "2026-03-15", customer: str = "cust_1") -> Invoice:
    return invoicing.finalize(opened(billing, month, customer).pk, billing.organization.pk, NOW)


def lines(invoice: Invoice) -> list[tuple[str, str, str]]:
    """Kind, text and amount of each line."""
    return [(line.kind, line.text, f"{line.amount_usd}") for line in read(invoice).lines]


class TestDrafts:
    def test_it_follows_the_usage(self, billing: Billing) -> None:
        meter = billing.meter()
        billing.per_unit(meter, "0.25")
        draft = opened(billing)
        assert (list(read(draft).lines), read(draft).total_usd) == ([], Decimal(0))
        billing.used(meter, "3")
        assert lines(draft) == [("usage", "Documents", "0.75")]
        billing.used(meter, "1.5")
        (line,) = read(draft).lines
        assert (line.quantity, line.records, line.exact_usd, line.amount_usd) == (
            Decimal("4.5"),
            2,
            Decimal("1.125"),
            Decimal("1.13"),
        )
        assert read(draft).rounding_usd == Decimal("0.005")
        assert not InvoiceLine.objects.exists()

    def test_there_is_one_a_month(self, billing: Billing) -> None:
        first = opened(billing, "2026-03-01")
        assert opened(billing, "2026-03-31T23:59") == first
        assert opened(billing, "2026-04-01") != first
        assert (first.period_start, first.period_end) == (at("2026-03-01"), at("2026-04-01"))

    def test_months_are_those_of_the_zone_and_the_anchor_day(self, db: None) -> None:
        billing = Billing("America/New_York")
        BillingSettings.objects.create(organization=billing.organization, anchor_day=15)
        draft = opened(billing, "2026-03-10")
        # New York's clocks went forward on 8 March: 28 days less an hour.
        assert (draft.period_start, draft.period_end) == (at("2026-02-15T05:00"), at("2026-03-15T04:00"))

    def test_where_the_zone_has_changed_a_month_starts_where_the_last_one_ended(self, billing: Billing) -> None:
        march = opened(billing, "2026-03-15")
        billing.organization.time_zone = "America/New_York"
        billing.organization.save()
        april = opened(billing, "2026-04-15")
        assert (april.period_start, april.period_end) == (at("2026-04-01T04:00"), at("2026-05-01T04:00"))
        between = opened(billing, "2026-04-01T02:00")
        assert (between.period_start, between.period_end) == (march.period_end, april.period_start)

    def test_a_finalized_month_is_not_opened_again(self, billing: Billing) -> None:
        billing.per_unit(meter := billing.meter(), "1")
        billing.used(meter)
        finalized(billing)
        with pytest.raises(Refused, match="INV-000001"):
            opened(billing)

    def test_a_customer_of_somebody_else(self, billing: Billing) -> None:
        with pytest.raises(NoSuchInvoice):
            invoicing.open_draft(billing.organization.pk, Billing().customer().pk, NOW)


class TestCharges:
    @pytest.mark.parametrize(
        ("quantity", "amount"), [("0.5", "6.00"), ("100", "105.00"), ("101", "105.50"), ("250.5", "180.25")]
    )
    def test_graduated_tiers(self, billing: Billing, quantity: str, amount: str) -> None:
        meter = billing.meter()
        billing.rate(meter, RateKind.GRADUATED, tiers=[("100", "1", "5"), (None, "0.5", "0")])
        billing.used(meter, quantity)
        # 5 + 0.5 × 1 = 5.50, and the least is 6; 5 + 100; 105 + 1 × 0.50; 105 + 150.5 × 0.50
        meter.rates.update(minimum_usd=6)
        assert lines(opened(billing)) == [("usage", "Documents", amount)]

    def test_a_line_is_explained_to_the_last_digit(self, billing: Billing) -> None:
        meter = billing.meter(unit="pages")
        billing.rate(meter, RateKind.PACKAGE, package_size=Decimal(1000), package_price_usd=Decimal(4), allowance=500)
        billing.used(meter, "3500.5")
        (line,) = read(opened(billing)).lines
        assert line.unit == "pages"
        assert [(d.text, int(d.quantity), int(d.unit_price_usd), int(d.amount_usd)) for d in line.details] == [
            ("Free allowance", 500, 0, 0),
            ("Packages of 1000", 4, 4, 16),
        ]

    def test_a_customers_own_rate_goes_first_and_is_charged_without_usage(self, billing: Billing) -> None:
        meter = billing.meter()
        billing.per_unit(meter, "1")
        billing.per_unit(meter, "0.5", customer=billing.customer(), minimum_usd=20)
        assert lines(opened(billing)) == [("usage", "Documents", "20.00")]
        billing.used(meter, "100")
        billing.used(meter, "100", customer=billing.customer("cust_2"))
        assert lines(opened(billing)) == [("usage", "Documents", "50.00")]
        assert lines(opened(billing, customer="cust_2")) == [("usage", "Documents", "100.00")]

    @pytest.mark.parametrize(
        ("since", "price"),
        [
            (["2026-01-01"], "1"),
            (["2026-01-01", "2026-03-01"], "2"),
            (["2026-01-01", "2026-03-02"], "1"),  # a month has one rate
            (["2026-03-20", "2026-03-25"], "1"),  # the first one, where there was none
            (["2026-01-01", "2026-02-01", "2026-04-01"], "2"),
        ],
    )
    def test_the_rate_of_a_month_is_the_one_in_force_when_it_begins(
        self, billing: Billing, since: list[str], price: str
    ) -> None:
        meter = billing.meter()
        for number, day in enumerate(since, start=1):
            billing.per_unit(meter, str(number), day)
        billing.used(meter)
        assert lines(opened(billing)) == [("usage", "Documents", f"{price}.00")]

    def test_usage_without_a_rate_is_shown_and_not_given_away(self, billing: Billing) -> None:
        meter = billing.meter()
        billing.used(meter)
        draft = opened(billing)
        assert lines(draft) == [("usage", "Documents", "0.00")]
        with pytest.raises(Refused, match="Documents has no rate"):
            invoicing.finalize(draft.pk, billing.organization.pk, NOW)

    def test_plan_fees_are_charged_by_the_second_where_they_start_or_end(self, billing: Billing) -> None:
        plan = Plan.objects.create(organization=billing.organization, name="Pro", fee_usd=Decimal(31))
        # March has 31 days: a dollar a day.
        Subscription.objects.create(tracked_user=billing.customer(), plan=plan, starts_on=date(2026, 1, 1))
        ending = Plan.objects.create(organization=billing.organization, name="Trial", fee_usd=Decimal(31))
        Subscription.objects.create(
            tracked_user=billing.customer(), plan=ending, starts_on=date(2026, 3, 5), ends_on=date(2026, 3, 12)
        )
        Subscription.objects.create(
            tracked_user=billing.customer(), plan=ending, starts_on=date(2026, 4, 1), ends_on=date(2026, 4, 2)
        )
        draft = opened(billing)
        assert lines(draft) == [("fee", "Pro", "31.00"), ("fee", "Trial", "7.00")]
        assert [line.period_start for line in read(draft).lines] == [at("2026-03-01"), at("2026-03-05")]

    def test_a_share_of_a_month_with_a_change_of_clocks(self, db: None) -> None:
        billing = Billing("Europe/Berlin")
        plan = Plan.objects.create(organization=billing.organization, name="Pro", fee_usd=Decimal(100))
        Subscription.objects.create(tracked_user=billing.customer(), plan=plan, starts_on=date(2026, 3, 29))
        (line,) = read(opened(billing)).lines
        # 29 March has 23 hours: 71 of 743.
        assert (line.exact_usd, line.amount_usd) == (Decimal("9.555854643338"), Decimal("9.56"))


class TestFinalizing:
    @pytest.fixture
    def invoice(self, billing: Billing) -> Invoice:
        billing.per_unit(meter := billing.meter(unit="pages"), "0.333")
        billing.used(meter, "10")
        return finalized(billing)

    def test_it_has_a_number_and_its_figures(self, invoice: Invoice) -> None:
        document = read(invoice)
        assert (document.status, document.number, document.finalized_at) == ("finalized", "INV-000001", NOW)
        assert (document.subtotal_usd, document.total_usd, document.due_usd) == (Decimal("3.33"),) * 3
        assert document.rounding_usd == 0

    def test_it_stays_as_it_is_whatever_happens(self, invoice: Invoice, billing: Billing) -> None:
        before = read(invoice)
        meter = billing.organization.meters.get()
        meter.rates.update(unit_price_usd=9)
        meter.name, meter.unit = "Sheets", "sheets"
        meter.save()
        billing.used(meter, "5")
        customer = billing.customer()
        customer.name = "Renamed"
        customer.save()
        BillingSettings.objects.update(issuer="Somebody else", invoice_prefix="X-")
        assert read(invoice) == before

    def test_numbers_have_no_gaps(self, billing: Billing) -> None:
        billing.per_unit(meter := billing.meter(), "1")
        for number in range(4):
            billing.used(meter, customer=billing.customer(f"c{number}"))
        opened(billing, customer="c9")
        empty = opened(billing, customer="c9")
        numbers = []
        for number in range(4):
            with pytest.raises(Refused, match="nothing to charge"):
                invoicing.finalize(empty.pk, billing.organization.pk, NOW)
            numbers.append(finalized(billing, customer=f"c{number}").number)
        assert numbers == [f"INV-00000{number}" for number in (1, 2, 3, 4)]

    def test_numbers_are_each_organizations_own(self, invoice: Invoice) -> None:
        other = Billing()
        other.per_unit(meter := other.meter(), "1")
        other.used(meter)
        assert finalized(other).number == invoice.number

    @pytest.mark.parametrize("change", ["UPDATE invoice SET total_usd = 0", "DELETE FROM invoice"])
    def test_the_database_refuses_to_change_it(self, invoice: Invoice, change: str) -> None:
        with pytest.raises(IntegrityError, match="does not change"), transaction.atomic():
            self.execute(change)

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE invoice_line SET amount_usd = 0",
            "DELETE FROM invoice_line",
            """INSERT INTO invoice_line (invoice_id, position, kind, text, period_start, period_end, unit, records,
                exact_usd, amount_usd, detail)
            SELECT id, 9, 'usage', '', now(), now(), '', 0, 1, 1, '[]' FROM invoice""",
        ],
    )
    def test_nor_its_lines(self, invoice: Invoice, change: str) -> None:
        with pytest.raises(IntegrityError, match="do not change"), transaction.atomic():
            self.execute(change)

    def execute(self, statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    def test_not_while_the_period_lasts(self, billing: Billing) -> None:
        billing.per_unit(meter := billing.meter(), "1")
        billing.used(meter, when="2026-05-04")
        draft = opened(billing, "2026-05-04")
        for moment in (NOW, draft.period_end, draft.period_end + timedelta(seconds=59)):
            with pytest.raises(Refused, match="not over"):
                invoicing.finalize(draft.pk, billing.organization.pk, moment)
        invoicing.finalize(draft.pk, billing.organization.pk, draft.period_end + timedelta(seconds=60))

    def test_only_once(self, invoice: Invoice) -> None:
        with pytest.raises(Refused, match="is finalized"):
            invoicing.finalize(invoice.pk, invoice.organization_id, NOW)

    @pytest.mark.parametrize("act", ["finalize", "void", "credit"])
    def test_not_that_of_somebody_else(self, invoice: Invoice, act: str) -> None:
        stranger = Billing().organization.pk
        actions: dict[str, Callable[[], Any]] = {
            "finalize": lambda: invoicing.finalize(invoice.pk, stranger, NOW),
            "void": lambda: invoicing.void(invoice.pk, stranger, "mistake", NOW),
            "credit": lambda: invoicing.credit(invoice.pk, stranger, Decimal(1), "mistake", NOW),
        }
        with pytest.raises(NoSuchInvoice):
            actions[act]()

    def test_voiding_opens_the_period_again(self, invoice: Invoice, billing: Billing) -> None:
        invoicing.void(invoice.pk, invoice.organization_id, "  wrong rate ", NOW)
        document = read(invoice)
        assert (document.status, document.number, document.void_reason) == ("void", "INV-000001", "wrong rate")
        assert (document.total_usd, document.due_usd) == (Decimal("3.33"), Decimal(0))
        billing.organization.meters.get().rates.update(unit_price_usd=1)
        again = finalized(billing)
        assert (again.number, again.total_usd) == ("INV-000002", Decimal(10))

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\x00b"])
    def test_no_void_without_a_reason(self, invoice: Invoice, reason: str) -> None:
        with pytest.raises(Refused, match="reason"):
            invoicing.void(invoice.pk, invoice.organization_id, reason, NOW)

    def test_credit_notes_take_back_what_is_left_at_most(self, invoice: Invoice) -> None:
        pk, organization = invoice.pk, invoice.organization_id
        first = invoicing.credit(pk, organization, Decimal("1.33"), "late delivery", NOW)
        for wrong in ("2.01", "0", "-1", "0.001", "1.005"):
            with pytest.raises(Refused, match="amount_usd"):
                invoicing.credit(pk, organization, Decimal(wrong), "more", NOW)
        second = invoicing.credit(pk, organization, Decimal("2.00"), "the rest", NOW)
        assert (first.number, second.number) == ("CN-000001", "CN-000002")
        document = read(invoice)
        assert (document.credited_usd, document.due_usd) == (Decimal("3.33"), Decimal(0))
        with pytest.raises(Refused, match="credit_notes"):
            invoicing.void(pk, organization, "mistake", NOW)
        with pytest.raises(IntegrityError), transaction.atomic():
            CreditNote.objects.update(amount_usd=1)


class TestLateUsage:
    @pytest.fixture
    def march(self, billing: Billing) -> Invoice:
        meter = billing.meter()
        billing.rate(meter, RateKind.GRADUATED, tiers=[("100", "1", "0"), (None, "0.5", "0")])
        billing.used(meter, "90")
        return finalized(billing)

    def late(self, billing: Billing, march: Invoice, quantity: str = "20") -> None:
        billing.used(billing.organization.meters.get(), quantity, "2026-03-20", late_for_id=march.pk)

    def test_it_is_charged_by_the_difference_on_the_next_invoice(self, billing: Billing, march: Invoice) -> None:
        self.late(billing, march)
        # 100 × 1 + 10 × 0.50 = 105, of which 90 are invoiced.
        assert lines(opened(billing, "2026-04-10")) == [("adjustment", "Documents, late for INV-000001", "15.00")]
        assert read(march).total_usd == 90

    def test_by_the_rate_that_it_had_then(self, billing: Billing, march: Invoice) -> None:
        self.late(billing, march)
        billing.per_unit(billing.organization.meters.get(), "7", "2026-02-01")
        assert lines(opened(billing, "2026-04-10")) == [("adjustment", "Documents, late for INV-000001", "15.00")]

    def test_once(self, billing: Billing, march: Invoice) -> None:
        self.late(billing, march)
        april, may = opened(billing, "2026-04-10"), opened(billing, "2026-05-01")
        assert lines(may) == []
        invoicing.finalize(april.pk, billing.organization.pk, NOW)
        assert lines(may) == []
        self.late(billing, march, "4")
        assert lines(may) == [("adjustment", "Documents, late for INV-000001", "2.00")]

    def test_a_meter_that_was_not_on_the_invoice(self, billing: Billing, march: Invoice) -> None:
        seats = billing.meter("Seats", "MAX")
        billing.per_unit(seats, "3")
        billing.used(seats, "5", "2026-03-20", late_for_id=march.pk)
        assert lines(opened(billing, "2026-04-10")) == [("adjustment", "Seats, late for INV-000001", "15.00")]

    def test_in_the_customers_favour(self, billing: Billing) -> None:
        storage = billing.meter("Storage", "LATEST")
        billing.per_unit(storage, "1")
        billing.used(storage, "50", "2026-03-10")
        march = finalized(billing)
        billing.used(storage, "20", "2026-03-20", late_for_id=march.pk)
        billing.used(storage, "40", "2026-04-20")
        april = finalized(billing, "2026-04-10")
        assert lines(april) == [
            ("usage", "Storage", "40.00"),
            ("adjustment", "Storage, late for INV-000001", "-30.00"),
        ]
        assert april.total_usd == 10

    def test_where_the_closed_invoice_is_voided_it_is_charged_there(self, billing: Billing, march: Invoice) -> None:
        self.late(billing, march)
        finalized(billing, "2026-04-10")
        invoicing.void(march.pk, march.organization_id, "mistake", NOW)
        again = opened(billing)
        # What the adjustment has charged already is not charged twice.
        assert lines(again) == [
            ("usage", "Documents", "105.00"),
            ("adjustment", "Documents, charged already", "-15.00"),
        ]


class TestCredits:
    def test_they_are_used_up_the_one_that_expires_first(self, billing: Billing) -> None:
        billing.per_unit(meter := billing.meter(), "1")
        billing.used(meter, "10")
        billing.used(meter, "10", "2026-04-10")
        customer = billing.customer()
        Credit.objects.create(tracked_user=customer, amount_usd=8, note="Welcome")
        Credit.objects.create(tracked_user=customer, amount_usd=4, note="Goodwill", expires_at=NOW + timedelta(days=1))
        Credit.objects.create(tracked_user=customer, amount_usd=99, note="Expired", expires_at=NOW)
        Credit.objects.create(tracked_user=billing.customer("cust_2"), amount_usd=99)
        first = finalized(billing)
        assert lines(first)[1:] == [("credit", "Goodwill", "-4.00"), ("credit", "Welcome", "-6.00")]
        assert (first.subtotal_usd, first.total_usd) == (Decimal(10), Decimal(0))
        second = finalized(billing, "2026-04-10")
        assert lines(second)[1:] == [("credit", "Welcome", "-2.00")]
        assert second.total_usd == 8

    def test_a_voided_invoice_gives_them_back(self, billing: Billing) -> None:
        billing.per_unit(meter := billing.meter(), "1")
        billing.used(meter, "10")
        Credit.objects.create(tracked_user=billing.customer(), amount_usd=7, note="Welcome")
        first = finalized(billing)
        invoicing.void(first.pk, first.organization_id, "mistake", NOW)
        assert lines(opened(billing))[1:] == [("credit", "Welcome", "-7.00")]

    def test_none_is_used_where_nothing_is_owed(self, billing: Billing) -> None:
        billing.per_unit(meter := billing.meter(), "0")
        billing.used(meter, "10")
        Credit.objects.create(tracked_user=billing.customer(), amount_usd=7)
        invoice = finalized(billing)
        assert (invoice.total_usd, str(invoice.status)) == (Decimal(0), "finalized")
        assert lines(invoice) == [("usage", "Documents", "0.00")]
