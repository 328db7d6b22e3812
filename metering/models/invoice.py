"""Invoices: what a customer owes for a billing month. A draft follows the usage; a finalized one never changes."""

from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from events.models import Organization, TrackedUser
from metering.models.credit import Credit
from metering.models.meter import Meter
from metering.models.rate import MeterRate


class InvoiceStatus(models.TextChoices):
    """A draft has no number and no stored lines; voiding takes back a finalized one and opens its period again."""

    DRAFT = "draft", "Draft"
    FINALIZED = "finalized", "Finalized"
    VOID = "void", "Void"


class LineKind(models.TextChoices):
    """What a line charges, or takes off."""

    USAGE = "usage", "Usage"
    FEE = "fee", "Plan fee"
    ADJUSTMENT = "adjustment", "Adjustment of an earlier period"
    CREDIT = "credit", "Credit"


def cents() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=40, decimal_places=2, default=Decimal("0.00"))


class Invoice(models.Model):
    """One customer's billing month. Its ends are moments: they stay when the organization's zone changes.

    Who it is for, who issues it and the sums are empty while it is a draft. `rounding_usd` is how much more than the
    exact sum of its lines it comes to.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invoices")
    tracked_user = models.ForeignKey(TrackedUser, on_delete=models.PROTECT, related_name="invoices")
    status = models.CharField(max_length=9, choices=InvoiceStatus, default=InvoiceStatus.DRAFT)
    number = models.CharField(max_length=40, blank=True, default="")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    time_zone = models.CharField(max_length=64)  # in which its days are written
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finalized_at = models.DateTimeField(null=True, editable=False)
    voided_at = models.DateTimeField(null=True, editable=False)
    void_reason = models.CharField(max_length=500, blank=True, default="")
    customer_name = models.CharField(max_length=255, blank=True, default="")
    customer_email = models.CharField(max_length=255, blank=True, default="")
    issuer = models.TextField(blank=True, default="")
    note = models.TextField(blank=True, default="")
    subtotal_usd = cents()  # before credits
    total_usd = cents()
    rounding_usd = models.DecimalField(max_digits=40, decimal_places=21, default=Decimal(0))

    class Meta:
        db_table = "invoice"
        ordering = ("-period_start", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=["tracked_user", "period_start"], condition=~Q(status="void"), name="invoice_period_once"
            ),
            models.UniqueConstraint(
                fields=["organization", "number"], condition=~Q(number=""), name="invoice_number_once"
            ),
            models.CheckConstraint(condition=Q(period_end__gt=F("period_start")), name="invoice_period_order"),
            models.CheckConstraint(
                condition=Q(status="draft", number="", finalized_at=None)
                | (Q(status="finalized") & ~Q(number="") & Q(finalized_at__isnull=False))
                | (Q(status="void") & ~Q(number="") & Q(finalized_at__isnull=False, voided_at__isnull=False)),
                name="invoice_status",
            ),
        )
        indexes = (models.Index(fields=["organization", "-period_start", "-id"], name="invoice_newest"),)

    def __str__(self) -> str:
        return self.number or "Draft"


class InvoiceLine(models.Model):
    """A line of a finalized invoice. `amount_usd` is `exact_usd` in cents; `detail` explains it, see
    `metering.invoice_lines.Detail`. An adjustment's period is the earlier one that it corrects."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=LineKind)
    text = models.CharField(max_length=300)
    meter = models.ForeignKey(Meter, null=True, on_delete=models.PROTECT, related_name="+")
    rate = models.ForeignKey(MeterRate, null=True, on_delete=models.PROTECT, related_name="invoice_lines")
    credit = models.ForeignKey(Credit, null=True, on_delete=models.PROTECT, related_name="invoice_lines")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    quantity = models.DecimalField(max_digits=40, decimal_places=9, null=True)
    unit = models.CharField(max_length=50, blank=True, default="")
    records = models.BigIntegerField(default=0)
    exact_usd = models.DecimalField(max_digits=60, decimal_places=21)
    amount_usd = cents()
    detail = models.JSONField(default=list)

    class Meta:
        db_table = "invoice_line"
        ordering = ("invoice", "position")
        constraints = (models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position"),)
        indexes = (
            models.Index(fields=["meter", "period_start"], condition=Q(meter__isnull=False), name="invoice_line_meter"),
        )

    def __str__(self) -> str:
        return self.text


class CreditNote(models.Model):
    """Takes back a part of a finalized invoice, or all of it; with a number of its own."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="credit_notes")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    number = models.CharField(max_length=40)
    amount_usd = cents()
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "credit_note"
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=["organization", "number"], name="credit_note_number_once"),
            models.CheckConstraint(condition=Q(amount_usd__gt=0), name="credit_note_positive"),
        )

    def __str__(self) -> str:
        return self.number
