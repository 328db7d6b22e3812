"""The event: one LLM call. Rows are written by `events/writer.py` with COPY and never through this class."""

from datetime import UTC, datetime
from uuid import UUID

from django.db import models

from events.models.api_key import Environment


class Status(models.IntegerChoices):
    """How the call ended; the labels are the words of the wire contract."""

    SUCCESS = 0, "SUCCESS"
    ERROR = 1, "ERROR"
    BLOCKED = 2, "BLOCKED"
    MAX_TOKENS = 3, "MAX_TOKENS"
    CONTENT_FILTER = 4, "CONTENT_FILTER"
    RECITATION = 5, "RECITATION"
    MALFORMED_REQUEST = 6, "MALFORMED_REQUEST"


FINE_STATUSES = (Status.SUCCESS, Status.MAX_TOKENS)
"""Statuses that are no errors: a full answer, and one that met its own limit."""


class ServiceTier(models.IntegerChoices):
    """The tier that served the call."""

    STANDARD = 0, "standard"
    BATCH = 1, "batch"
    FLEX = 2, "flex"
    PRIORITY = 3, "priority"


class Flag(models.IntegerChoices):
    """What the server had to mend in an event, as bits of `Event.flags`; see `docs/api.md`."""

    TIMESTAMP_OUT_OF_RANGE = 1, "timestamp_out_of_range"
    INPUT_TOKENS_EXCLUSIVE = 2, "input_tokens_exclusive"
    REASONING_TOKENS_EXCLUSIVE = 4, "reasoning_tokens_exclusive"
    CACHE_WRITE_1H_TOKENS_EXCLUSIVE = 8, "cache_write_1h_tokens_exclusive"
    TEXT_CUT = 16, "text_cut"
    TEXT_CLEANED = 32, "text_cleaned"


class Event(models.Model):
    """One LLM call. `id` is a uuidv7 of the call's own time; money is in integers of 1e-12 USD, NULL while unknown.

    The table is partitioned by `id` and made in migration 0002; `slot` is the id's last byte. There are no foreign
    keys in or out, so that rows can be spread over machines and retention is a dropped partition.
    """

    pk = models.CompositePrimaryKey("id", "slot")
    id = models.UUIDField()
    slot = models.SmallIntegerField()
    organization_id = models.BigIntegerField()
    environment = models.SmallIntegerField(choices=Environment)
    status = models.SmallIntegerField(choices=Status)
    service_tier = models.SmallIntegerField(choices=ServiceTier)
    is_streamed = models.BooleanField(null=True)
    flags = models.IntegerField()
    received_at = models.DateTimeField()
    api_key_id = models.BigIntegerField()
    tracked_user_id = models.BigIntegerField(null=True)
    feature = models.TextField()
    step = models.TextField()
    session_id = models.TextField()
    conversation_id = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    cache_write_1h_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    latency_ms = models.FloatField(null=True)
    streaming_duration_ms = models.FloatField(null=True)
    cost_picousd = models.DecimalField(max_digits=38, decimal_places=0, null=True)
    price_status = models.TextField()
    rate_card_id = models.BigIntegerField(null=True)
    tier_policy_id = models.BigIntegerField(null=True)
    pricing_revision = models.IntegerField()
    error_message = models.TextField(null=True)  # noqa: DJ001  NULL: the call reported no error text
    api_flavor = models.TextField(null=True)  # noqa: DJ001  NULL: the counters were sent, not read from a provider
    provider_usage = models.JSONField(null=True)
    region = models.TextField(default="global")
    metadata = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "event"

    def __str__(self) -> str:
        return public_id(self.id)

    @property
    def occurred_at(self) -> datetime:
        """When the call happened, to the millisecond, as its id says."""
        return time_of(self.id)


def public_id(event_id: UUID) -> str:
    """The id as clients see it: `evt_` and 32 hex digits."""
    return f"evt_{event_id.hex}"


def time_of(event_id: UUID) -> datetime:
    """The time inside a uuidv7, to the millisecond."""
    return datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC)
