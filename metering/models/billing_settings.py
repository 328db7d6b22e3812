"""How an organization bills: when its months start, how its invoices are numbered, and who issues them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from events.models import Organization
from metering.periods import LAST_ANCHOR_DAY


class BillingSettings(models.Model):
    """One per organization, made when it is first needed. The last numbers are taken under the row's lock, in the
    transaction that uses them, so that there are no gaps."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="billing_settings"
    )
    anchor_day = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(LAST_ANCHOR_DAY)],
        help_text="The day of the month on which billing months start, 1 to 28.",
    )
    finalize_after_days = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="Days after a billing month's end when its drafts are finalized. Empty: by hand.",
    )
    invoice_prefix = models.CharField(max_length=20, default="INV-")
    issuer = models.TextField(
        blank=True, default="", max_length=1000, help_text="Name, address and tax number, as printed on invoices."
    )
    note = models.TextField(
        blank=True, default="", max_length=1000, help_text="Printed below the total, for example how to pay."
    )
    last_invoice_number = models.PositiveIntegerField(default=0, editable=False)
    last_credit_note_number = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        db_table = "billing_settings"
        verbose_name = verbose_name_plural = "billing settings"

    def __str__(self) -> str:
        return f"Billing of {self.organization}"
