"""Re-pricing: the jobs that bring stored costs to a newer revision of the catalog, and the costs that were replaced."""

from django.db import models


class RepriceJob(models.Model):
    """One published revision's effect on stored events, and how far it has come.

    `from_revision` NULL: every event is priced anew. Money is in 1e-12 USD. The cursor is the last event that was
    looked at; it moves in the same transactions as the costs, so a job that is cut off goes on where it was.
    """

    from_revision = models.BigIntegerField(null=True)
    to_revision = models.BigIntegerField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    total = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    delta_picousd = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    cursor_organization_id = models.BigIntegerField(default=0)
    cursor_environment = models.SmallIntegerField(default=0)
    cursor_event_id = models.UUIDField(null=True)
    expected = models.JSONField(default=dict)  # what the dry run said, see events.price_changes

    class Meta:
        db_table = "reprice_job"
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"revision {self.to_revision}"

    @property
    def percent(self) -> int:
        """How much of the work is done, 0 to 100; 100 only when it is finished."""
        if self.finished_at is not None:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0


class EventCostHistory(models.Model):
    """What an event cost before it was priced anew. Written by events/repricing.py, never through this class."""

    pk = models.CompositePrimaryKey("event_id", "replaced_at")
    event_id = models.UUIDField()
    replaced_at = models.DateTimeField()
    replaced_by_revision = models.BigIntegerField()
    cost_picousd = models.DecimalField(max_digits=38, decimal_places=0, null=True)
    price_status = models.TextField()
    rate_card_id = models.BigIntegerField(null=True)
    tier_policy_id = models.BigIntegerField(null=True)
    pricing_revision = models.IntegerField()

    class Meta:
        db_table = "event_cost_history"

    def __str__(self) -> str:
        return f"{self.event_id} until {self.replaced_at}"
