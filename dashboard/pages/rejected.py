"""Calls that were refused, with the reason: their callers do not look at answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard import formats
from dashboard.pages.parts import Frame
from dashboard.queries import rejected
from dashboard.queries.reading import snapshot
from dashboard.queries.rejected import RejectedRow
from dashboard.visit import Visit

PAGE_SIZE = 50


@dataclass(frozen=True)
class RejectedCall:
    """One refused call as the list shows it."""

    id: int
    moment: str
    ago: str
    http_status: int
    message: str
    endpoint: str
    key_prefix: str
    """'' : no key was shown."""
    unknown_key: bool
    excerpt: str


@dataclass(frozen=True)
class Rejected:
    """All that `rejected.html` prints."""

    frame: Frame
    calls: Sequence[RejectedCall]
    more_href: str
    sees_unknown_keys: bool


def build(visit: Visit, before: int | None) -> Rejected:
    """One page of the list, newest first; `before` continues it behind that call."""
    with snapshot():
        found = rejected.newest(
            visit.organization_id, with_unknown=visit.sees_unknown_keys, limit=PAGE_SIZE + 1, before=before
        )
    more = found[PAGE_SIZE:]
    href = f"{reverse('dashboard:rejected')}?after={found[PAGE_SIZE - 1].id}" if more else ""
    return Rejected(
        frame=visit.frame("Rejected calls", "rejected"),
        calls=rejected_calls(found[:PAGE_SIZE], visit),
        more_href=href,
        sees_unknown_keys=visit.sees_unknown_keys,
    )


def rejected_calls(rows: Iterable[RejectedRow], visit: Visit) -> tuple[RejectedCall, ...]:
    """The rows as text on the organization's clock."""
    return tuple(
        RejectedCall(
            id=row.id,
            moment=formats.moment(row.at, visit.zone),
            ago=formats.ago(row.at, visit.now),
            http_status=row.http_status,
            message=row.message,
            endpoint=row.endpoint,
            key_prefix=row.key_prefix,
            unknown_key=not row.known_key,
            excerpt=row.excerpt,
        )
        for row in rows
    )
