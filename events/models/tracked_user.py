"""Tracked users: the accounts of an organization's own product, and what they pay."""

from django.db import models
from django.db.models.functions import Now

from events.models.organization import Organization


class TrackedUser(models.Model):
    """An account of the organization's product, known by the organization's own id for it."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="tracked_users")
    external_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255, blank=True, default="")
    email = models.CharField(max_length=255, blank=True, default="")
    image = models.CharField(max_length=2000, blank=True, default="")
    described_at = models.DateTimeField(
        null=True, editable=False, help_text="The time of the newest event that described this user."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "tracked_user"
        ordering = ("external_id",)
        constraints = (
            models.UniqueConstraint(fields=["organization", "external_id"], name="tracked_user_external_id"),
        )

    def __str__(self) -> str:
        return self.name or self.external_id


class RevenueChange(models.Model):
    """From `effective_at` on, the tracked user pays `monthly_revenue_usd` per month, until the next change."""

    tracked_user = models.ForeignKey(TrackedUser, on_delete=models.CASCADE, related_name="revenue_changes")
    effective_at = models.DateTimeField()
    monthly_revenue_usd = models.DecimalField("monthly revenue in USD", max_digits=18, decimal_places=6)

    class Meta:
        db_table = "revenue_change"
        ordering = ("-effective_at",)
        # What changed in a period is found among what everybody ever paid.
        indexes = (models.Index(fields=["effective_at"], name="revenue_change_at"),)
        constraints = (
            models.UniqueConstraint(fields=["tracked_user", "effective_at"], name="revenue_change_once"),
            models.CheckConstraint(condition=models.Q(monthly_revenue_usd__gte=0), name="revenue_change_not_negative"),
        )

    def __str__(self) -> str:
        return f"{self.monthly_revenue_usd} USD per month from {self.effective_at:%Y-%m-%d}"
