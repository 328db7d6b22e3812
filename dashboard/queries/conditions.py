"""The filters of a page as conditions on the `event` table and on the rollup of all dimensions."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from dashboard.filters import META, Filters, picousd
from dashboard.queries.reading import Sql
from events.models import Environment, ServiceTier, Status
from events.models.event import FINE_STATUSES

FINE = tuple(status.value for status in FINE_STATUSES)
"""The statuses that are no errors, as they are stored."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
PUBLIC_ID = re.compile(r"evt_([0-9a-f]{32})")

_COLUMNS = {
    "feature": "feature",
    "step": "step",
    "provider": "provider",
    "model": "model",
    "session": "session_id",
    "conversation": "conversation_id",
}
_BOUNDS = {
    "min_cost": "e.cost_picousd >=",
    "max_cost": "e.cost_picousd <=",
    "min_latency": "e.latency_ms >=",
    "max_latency": "e.latency_ms <=",
    "min_tokens": "e.input_tokens + e.output_tokens >=",
    "max_tokens": "e.input_tokens + e.output_tokens <=",
}
CELL_WORDS = frozenset({"feature", "step", "provider", "model", "status", "tier"})
"""The conditions that `usage_day_cell_now` can answer."""


def environment_of(filters: Filters) -> int:
    """The stored number of the filters' environment."""
    return Environment.TEST.value if filters.environment == "test" else Environment.LIVE.value


def id_floor(at: datetime) -> UUID:
    """The smallest uuidv7 of a moment or later: a period is the range from its start's floor up to its end's."""
    return UUID(int=-((_EPOCH - at) // _MILLISECOND) << 80)


def parse_public_id(text: str) -> UUID | None:
    """The event id in `evt_…`, or None when the text is not one."""
    found = PUBLIC_ID.fullmatch(text)
    return UUID(found[1]) if found else None


def contains(text: str) -> str:
    """The pattern of LIKE for values that contain the text as it stands."""
    return f"%{re.sub(r'([%_\\])', r'\\\1', text)}%"


def on_events(organization_id: int, filters: Filters, lower: UUID, upper: UUID) -> Sql:
    """Events `e` of the organization with lower <= id < upper that meet every condition.

    A keyset cursor takes the place of `upper`: beside it, the planner would start at the period's end and walk.
    """
    return Sql.all_of(parted(organization_id, filters, None, lower, upper))


def on_cells(filters: Filters) -> Sql:
    """Rows `e` of `usage_day_cell_now` that meet every condition; all of them must be in CELL_WORDS."""
    return Sql.all_of([_dimension(word, value) for word, value in filters.conditions.items()])


def on_users(organization_id: int, filters: Filters) -> Sql:
    """Rows `e` of the rollups by user, or by user and feature, that meet the conditions on these two."""
    found = [Sql("true")]
    if filters.user is not None:
        known = "SELECT id FROM tracked_user WHERE organization_id = %s AND external_id = %s"
        found.append(
            Sql(f"e.tracked_user_id = ({known})", (organization_id, filters.user))
            if filters.user
            else Sql("e.tracked_user_id = 0")
        )
    if filters.feature is not None:
        found.append(_dimension("feature", filters.feature))
    return Sql.all_of(found)


def parted(organization_id: int, filters: Filters, first: str | None, lower: UUID, upper: UUID) -> tuple[Sql, Sql]:
    """As `on_events`, in two parts: what the index of the condition `first` finds, and all other conditions."""
    conditions = dict(filters.conditions)
    range_ = Sql(
        "e.organization_id = %s AND e.environment = %s AND e.id >= %s AND e.id < %s",
        (organization_id, environment_of(filters), lower, upper),
    )
    leading = [range_] if first is None else [range_, _event(organization_id, first, conditions.pop(first))]
    others = [_event(organization_id, *each) for each in conditions.items()]
    return Sql.all_of(leading), Sql.all_of([Sql("true"), *others])


def _event(organization_id: int, word: str, value: str) -> Sql:
    match word:
        case "user":
            return _user(organization_id, value)
        case "priced":
            return Sql("e.cost_picousd IS NULL")
        case "key":
            return Sql(
                "e.api_key_id IN (SELECT id FROM api_key WHERE organization_id = %s AND prefix = %s)",
                (organization_id, value),
            )
        case "q":
            return _text(organization_id, value)
        case _ if word in _BOUNDS:
            return Sql(f"{_BOUNDS[word]} %s", (picousd(value) if word.endswith("cost") else Decimal(value),))
        case _ if word.startswith(META):
            return _metadata(word.removeprefix(META), value)
        case _:
            return _dimension(word, value)


def _metadata(name: str, value: str) -> Sql:
    """A key of the metadata by the text of its value; of lists and objects, as PostgreSQL writes them."""
    if not value:
        return Sql("e.metadata ->> %s IS NULL", (name,))
    return Sql("e.metadata ->> %s = %s", (name, value))


def _dimension(word: str, value: str) -> Sql:
    if word == "status":
        return _status(value)
    if word == "tier":
        return Sql("e.service_tier = %s", (ServiceTier[value.upper()].value,))
    return Sql(f"e.{_COLUMNS[word]} = %s", (value,))


def _status(value: str) -> Sql:
    if value == "ok":
        return Sql(f"e.status IN {FINE}")
    if value == "error":
        # "<> 0" says again what the list implies, so that the partial index event_failed fits.
        return Sql(f"e.status NOT IN {FINE} AND e.status <> 0")
    number = Status[value].value
    return Sql("e.status = %s AND e.status <> 0" if number else "e.status = %s", (number,))


def _user(organization_id: int, external_id: str) -> Sql:
    if not external_id:
        return Sql("e.tracked_user_id IS NULL")
    return Sql(
        "e.tracked_user_id = (SELECT id FROM tracked_user WHERE organization_id = %s AND external_id = %s)",
        (organization_id, external_id),
    )


def _text(organization_id: int, text: str) -> Sql:
    event_id = parse_public_id(text.lower())
    if event_id is not None:
        return Sql("e.id = %s AND e.slot = %s", (event_id, event_id.int & 0xFF))
    pattern = contains(text)
    columns = ("model", "feature", "step", "provider", "session_id", "conversation_id", "error_message")
    own = " OR ".join(f"e.{column} ILIKE %s" for column in columns)
    return Sql(
        f"({own} OR e.tracked_user_id IN (SELECT id FROM tracked_user WHERE organization_id = %s"  # noqa: S608
        " AND (external_id ILIKE %s OR name ILIKE %s OR email ILIKE %s)))",
        (*(pattern for _ in columns), organization_id, pattern, pattern, pattern),
    )
