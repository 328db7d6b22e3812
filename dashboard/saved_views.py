"""Keeping a page with its filters under a name, for oneself or for the organization."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from django.db.models import Q

from dashboard.models import SavedView, ViewedPage
from events.models import User

MOST = 200
"""How many views one person keeps in one organization."""
MAX_NAME = 80
MAX_QUERY = 2_000
MOMENTARY = frozenset({"after", "rev", "rows", "newest"})
"""Words that say how far somebody had read, not what was looked at."""


class Refused(Exception):
    """A view that cannot be kept; its text is for the person."""


def canonical(query: str) -> str:
    """The query string with what is worth keeping. Pages read it forgivingly, so nothing else is checked."""
    words = parse_qsl(query.removeprefix("?"), keep_blank_values=False, max_num_fields=100)
    return urlencode([(word, value) for word, value in words if word not in MOMENTARY])


def visible(organization_id: int, person: User) -> Sequence[SavedView]:
    """The person's own views and those that others share, by name."""
    found = SavedView.objects.filter(organization_id=organization_id).filter(Q(owner=person) | Q(is_shared=True))
    return list(found.select_related("owner").order_by("name", "id")[: 10 * MOST])


def save(
    organization_id: int, person: User, page: str, name: str, query: str, now: datetime, *, is_shared: bool
) -> SavedView:
    """Keep the view; one of the same page, name and owner is replaced. Raises Refused."""
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > MAX_NAME:
        raise Refused(f"Give the view a name of at most {MAX_NAME} characters.")
    if page not in ViewedPage.values:
        raise Refused("This page has no filters to keep.")
    kept = canonical(query)
    if len(kept) > MAX_QUERY:
        raise Refused("These filters are too long to keep. Remove some of them.")
    own = SavedView.objects.filter(organization_id=organization_id, owner=person)
    if own.count() >= MOST and not own.filter(page=page, name=name).exists():
        raise Refused(f"You keep {MOST} views already. Remove one first.")
    values = {"query": kept, "is_shared": is_shared, "created_at": now}
    first = values | {"organization_id": organization_id, "owner": person}
    view, _ = own.update_or_create(page=page, name=name, defaults=values, create_defaults=first)
    return view


def may_remove(view: SavedView, person: User, *, administers: bool) -> bool:
    """One's own; those who administer the organization may remove shared ones too."""
    return view.owner_id == person.pk or (view.is_shared and administers)


def remove(organization_id: int, view_id: int, person: User, *, administers: bool) -> bool:
    """Forget a view; False when the person sees no such view, or may not remove it."""
    view = SavedView.objects.filter(organization_id=organization_id, pk=view_id).first()
    if view is None or not may_remove(view, person, administers=administers):
        return False
    view.delete()
    return True
