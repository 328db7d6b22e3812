"""The organization's API keys: what each may do, whether it is accepted, and how much it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from dashboard.filters import ENVIRONMENTS, Filters
from dashboard.formats import UNKNOWN, ago, count, day, moment
from dashboard.pages.links import admin_href, requests_href
from dashboard.pages.parts import Frame, Option
from dashboard.pages.settings import whom_to_ask
from dashboard.queries import api_keys
from dashboard.queries.api_keys import COUNTED_EVENTS, MOST_KEYS, KeyRow, KeyUse
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit
from events.models import Environment, Scope


@dataclass(frozen=True)
class Key:
    """One row of the list. Addresses are '' where there is nothing to do, or nobody here to do it."""

    name: str
    shown: str
    environment: str
    scopes: Sequence[Option]
    """What it may do: the word of the API, and what that means."""
    created: str
    created_title: str
    last_used: str
    last_used_title: str
    requests: str
    requests_title: str
    requests_href: str
    expires: str
    expires_title: str
    state: str
    tone: str
    state_note: str
    """Since when, or until when."""
    manage_href: str
    rotate_href: str
    revoke_href: str


@dataclass(frozen=True)
class ApiKeys:
    """All that `api_keys.html` prints."""

    frame: Frame
    accepted: Sequence[Key]
    ended: Sequence[Key]
    """Keys that are refused: revoked, expired or replaced."""
    notes: Sequence[str]
    """What the counts leave out, and how many keys the lists do."""
    can_administer: bool
    create_href: str
    ask: str
    """Whom to ask for a key; '' for those who administer."""


def build(visit: Visit) -> ApiKeys:
    """Read the page in one snapshot: three statements, and one more for those who have to ask."""
    periods = {name: Filters.from_query({"environment": name}, visit.now, visit.zone) for name in ENVIRONMENTS}
    with snapshot():
        rows = api_keys.of_organization(visit.organization_id, visit.now)
        uses = {name: api_keys.use(visit.organization_id, period) for name, period in periods.items()}
        ask = "" if visit.can_administer else whom_to_ask(visit)
    keys = [(row, _key(row, visit, periods, uses)) for row in rows[:MOST_KEYS]]
    return ApiKeys(
        frame=visit.frame("API keys", "api_keys"),
        accepted=tuple(key for row, key in keys if row.is_accepted),
        ended=tuple(key for row, key in keys if not row.is_accepted),
        notes=tuple(_notes(uses, visit, len(rows))),
        can_administer=visit.can_administer,
        create_href=admin_href("events_apikey_add", organization=str(visit.organization_id)),
        ask=ask,
    )


def _key(row: KeyRow, visit: Visit, periods: Mapping[str, Filters], uses: Mapping[str, KeyUse]) -> Key:
    environment = Environment(row.environment).label
    tone, state, state_note = _state(row, visit)
    used, use = uses[environment].events.get(row.id, 0), uses[environment]
    may_replace = visit.can_administer and row.is_accepted
    return Key(
        name=row.name,
        shown=f"{row.prefix}…{row.last4}",
        environment=environment,
        scopes=tuple(Option(Scope(scope).label, scope) for scope in row.scopes),
        created=day(row.created_at.astimezone(visit.zone)),
        created_title=_created(row, visit),
        last_used=ago(row.last_used_at, visit.now) if row.last_used_at else "never",
        last_used_title=f"{moment(row.last_used_at, visit.zone)}, noted every 15 minutes" if row.last_used_at else "",
        requests=_requests(used, use),
        requests_title=_requests_title(use, visit),
        requests_href=requests_href(periods[environment], key=row.prefix) if used else "",
        expires=day(row.expires_at.astimezone(visit.zone)) if row.expires_at else "never",
        expires_title=moment(row.expires_at, visit.zone) if row.expires_at else "",
        state=state,
        tone=tone,
        state_note=state_note,
        manage_href=reverse("admin:events_apikey_change", args=[row.id]) if visit.can_administer else "",
        rotate_href=_admin("rotate", row) if may_replace and not row.is_replaced else "",
        revoke_href=_admin("revoke", row) if may_replace else "",
    )


def _admin(what: str, row: KeyRow) -> str:
    return reverse(f"admin:events_apikey_{what}", args=[row.id])


def _created(row: KeyRow, visit: Visit) -> str:
    at = moment(row.created_at, visit.zone)
    return f"{at}, by {row.created_by}" if row.created_by else at


def _state(row: KeyRow, visit: Visit) -> tuple[str, str, str]:
    """Tone and word of the state at the visit's moment, and since or until when it is so."""
    if row.revoked_at is not None:
        return "bad", "revoked", day(row.revoked_at.astimezone(visit.zone))
    if row.is_accepted:
        if row.is_replaced:
            return "warn", "replaced", f"works {_until(row.expires_at, visit)}"
        return "good", "in force", ""
    return "", "replaced" if row.is_replaced else "expired", ""


def _until(expires_at: datetime | None, visit: Visit) -> str:
    return f"until {moment(expires_at, visit.zone)}" if expires_at else "until it is revoked"


def _requests(used: int, use: KeyUse) -> str:
    """Exact where all requests were looked at; else at least so many."""
    if use.since is None:
        return count(used)
    return f"{count(used)}+" if used else UNKNOWN


def _requests_title(use: KeyUse, visit: Visit) -> str:
    if use.since is None:
        return "in the last 30 days"
    return f"among the newest {count(COUNTED_EVENTS)} requests, since {moment(use.since, visit.zone)}"


def _notes(uses: Mapping[str, KeyUse], visit: Visit, keys: int) -> list[str]:
    notes = [
        f"Of {name} requests, the newest {count(COUNTED_EVENTS)} are counted by key:"
        f" those since {moment(use.since, visit.zone)}. “+” means at least so many in 30 days."
        for name, use in uses.items()
        if use.since is not None
    ]
    return notes + ([f"Only {MOST_KEYS} keys are shown; the administration has them all."] if keys > MOST_KEYS else [])
