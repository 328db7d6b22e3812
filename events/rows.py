"""An event on its way into the database: its counters normalised, its price, its id, and what became of it."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from events.keys import KeyRecord
from events.models.event import Flag
from events.schema import IncomingEvent
from pricing.catalog import Catalog
from pricing.costs import Cost, Usage, normalise

FLAGS = {flag.label: flag.value for flag in Flag}


UNPRICED = Cost(None, "unpriced_model")


@dataclass(slots=True)
class Row:
    """One event on its way into the database, and what became of it."""

    event: IncomingEvent
    key: KeyRecord
    usage: Usage
    cost: Cost
    pricing_revision: int
    flags: int
    received_at: datetime
    id: UUID | None = None
    tracked_user_id: int | None = None
    # The answer: of this event, or of the first one under the same idempotency key.
    answer_id: UUID | None = None
    answer_cost: int | None = None
    created_at: datetime | None = None
    replayed: bool = False
    error: str | None = None

    def price(self, catalog: Catalog) -> None:
        """Take the price that this revision of the catalog has for the call, at the call's own time."""
        event = self.event
        self.pricing_revision = catalog.revision
        self.cost = catalog.price(
            event.provider,
            event.model,
            event.occurred_at_ms,
            self.usage,
            event.service_tier,
            event.region,
            self.key.organization_id,
        )

    @property
    def idempotency(self) -> tuple[int, UUID] | None:
        """Organization and hash of the key that makes a retry safe."""
        if self.event.idempotency_key is None:
            return None
        digest = hashlib.sha256(self.event.idempotency_key.encode()).digest()
        return self.key.organization_id, UUID(bytes=digest[:16])

    def accept_own(self) -> None:
        """The event is stored: answer with its own id and cost."""
        self.answer_id, self.answer_cost, self.created_at = self.id, self.cost.picousd, self.received_at

    def accept(self, event_id: UUID, cost: int | None, created_at: datetime) -> None:
        """Answer as the first event under the same key was answered. After a lost reply that may be this very row."""
        self.answer_id, self.answer_cost, self.created_at = event_id, cost, created_at
        self.replayed = event_id != self.id


def priced_row(event: IncomingEvent, key: KeyRecord, catalog: Catalog, received_at: datetime) -> Row:
    """The event on its way: its counters normalised, priced at its own time, what was mended as flags."""
    usage, usage_flags = normalise(
        Usage(
            event.input_tokens,
            event.output_tokens,
            event.cached_tokens,
            event.cache_write_tokens,
            event.cache_write_1h_tokens,
            event.reasoning_tokens,
        )
    )
    flags = sum(FLAGS[flag] for flag in (*event.flags, *usage_flags))
    row = Row(event, key, usage, UNPRICED, 0, flags, received_at)
    row.price(catalog)
    return row


def give_ids(rows: Sequence[Row], random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
    """Make the ids of a batch: uuidv7 of each event's own time, in order of arrival within a millisecond, all ending in
    the same random byte, the batch's slot."""
    slot = random_bytes(1)[0]
    entropy = random_bytes(7 * len(rows))
    for number, row in enumerate(rows):
        random = int.from_bytes(entropy[7 * number : 7 * number + 7]) >> 2
        head = row.event.occurred_at_ms << 80 | 0x7 << 76 | (number & 0xFFF) << 64
        row.id = UUID(int=head | 0b10 << 62 | random << 8 | slot)
