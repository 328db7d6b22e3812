"""Credits: money that a customer has with the organization, taken from what invoices come to."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from events.models import TrackedUser


class Credit(models.Model):
    """An amount granted once. Invoices use it up when they are finalized, what expires first before the rest."""

    tracked_user = models.ForeignKey(
        TrackedUser, on_delete=models.CASCADE, related_name="credits", verbose_name="customer"
    )
    amount_usd = models.DecimalField("amount in USD", max_digits=18, decimal_places=2)
    note = models.CharField(max_length=200, blank=True, default="", help_text="Printed on the invoice.")
    granted_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it does not expire.")

    class Meta:
        db_table = "credit"
        ordering = ("-granted_at", "-id")
        constraints = (models.CheckConstraint(condition=Q(amount_usd__gt=0), name="credit_positive"),)

    def __str__(self) -> str:
        return self.note or f"{self.amount_usd} USD"
