"""Plans: what a customer pays every month whether or not anything is used."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from events.models import Organization, TrackedUser


class Plan(models.Model):
    """A recurring fee. It stays what it is once somebody subscribes; another fee is another plan."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="plans")
    name = models.CharField(max_length=100)
    fee_usd = models.DecimalField("fee in USD per billing month", max_digits=18, decimal_places=2)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "plan"
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "name"],
                name="plan_name",
                violation_error_message="There is a plan of this name.",
            ),
            models.CheckConstraint(condition=Q(fee_usd__gte=0), name="plan_fee_not_negative"),
        )

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """A customer's plan from a day to the day before another, both in the organization's zone. Parts of a billing month
    are charged by the second."""

    tracked_user = models.ForeignKey(
        TrackedUser, on_delete=models.CASCADE, related_name="subscriptions", verbose_name="customer"
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True, help_text="The first day that is not charged. Empty: goes on.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "subscription"
        ordering = ("-starts_on", "-id")
        constraints = (
            models.CheckConstraint(
                condition=Q(ends_on=None) | Q(ends_on__gt=F("starts_on")),
                name="subscription_ends_after_start",
                violation_error_message="A subscription ends after the day on which it starts.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.plan} from {self.starts_on}"
