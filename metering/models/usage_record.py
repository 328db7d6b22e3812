"""Usage records: one reported quantity. Rows are written by `metering/record_store.py`, never through this class."""

from uuid import UUID

from django.db import models
from django.db.models import F, Q

from events.models import Environment


class UsageRecord(models.Model):
    """A quantity of a meter that a customer used at a time; never changed, never removed.

    There are no foreign keys, as for events. `key_hash` is the idempotency key's: unlike an event's it is kept as long
    as the record, because what is billed twice is paid twice. `late_for_id` is the finalized invoice whose period was
    closed when the record came; it is billed by an adjustment on a later one.
    """

    id = models.UUIDField(primary_key=True)  # a uuidv7 of the time it was received
    organization_id = models.BigIntegerField()
    environment = models.SmallIntegerField(choices=Environment)
    meter_id = models.BigIntegerField()
    tracked_user_id = models.BigIntegerField()
    quantity = models.DecimalField(max_digits=18, decimal_places=9)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    unique_value = models.TextField(null=True)  # noqa: DJ001  NULL: the meter does not count different values
    metadata = models.JSONField(null=True)
    key_hash = models.UUIDField(null=True)
    content_hash = models.UUIDField()  # of what was sent under the key
    api_key_id = models.BigIntegerField(null=True)
    person_id = models.BigIntegerField(null=True)
    late_for_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "usage_record"
        constraints = (
            models.UniqueConstraint(
                fields=["organization_id", "key_hash"], condition=Q(key_hash__isnull=False), name="usage_record_key"
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0) & Q(quantity__lt=10**9), name="usage_record_quantity"),
        )
        indexes = (
            models.Index(
                fields=["organization_id", "environment", "meter_id", "tracked_user_id", "occurred_at"],
                include=["quantity", "id"],
                name="usage_record_of_customer",
            ),
            models.Index(
                fields=["organization_id", "environment", "occurred_at"],
                include=["meter_id", "tracked_user_id", "quantity"],
                name="usage_record_by_time",
            ),
            models.Index(F("organization_id"), F("id").desc(), name="usage_record_newest"),
            models.Index(
                fields=["organization_id", "late_for_id"],
                condition=Q(late_for_id__isnull=False),
                name="usage_record_late",
            ),
        )

    def __str__(self) -> str:
        return public_id(self.id)


def public_id(record_id: UUID) -> str:
    """The id as clients see it: `use_` and 32 hex digits."""
    return f"use_{record_id.hex}"
