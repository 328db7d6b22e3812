"""The views that people keep: their own, the shared ones, and a form for the page that they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from django.urls import reverse

from dashboard import saved_views
from dashboard.filters import CHIP_LABELS, CHIP_VALUES, PERIODS
from dashboard.models import SavedView, ViewedPage
from dashboard.pages.parts import Frame
from dashboard.visit import Visit
from events.models import Role, User

LABELS = CHIP_LABELS | {
    "environment": "Environment",
    "period": "Period",
    "from": "From",
    "to": "To",
    "compare": "Compared with",
    "by": "By",
    "paying": "Revenue",
    "sort": "Order",
}
VALUES = CHIP_VALUES | {
    **{("period", period): label for period, label in PERIODS.items()},
    ("compare", "none"): "nothing",
    ("compare", "year"): "a year before",
    ("by", "feature_user"): "feature and user",
    ("paying", "short"): "less than the cost",
    ("paying", "unknown"): "not known",
}
"""The words of addresses as people read them; a word that is not here stands for itself."""


@dataclass(frozen=True)
class ViewRow:
    """One view that is kept."""

    id: int
    name: str
    page: str
    href: str
    words: str
    """What it filters, in the words of its address."""
    owner: str
    """Who shares it; '' for one's own."""
    is_shared: bool
    is_current: bool
    remove_href: str
    """'' for those who may not remove it."""


@dataclass(frozen=True)
class SaveForm:
    """The form that keeps the page which the person comes from."""

    action: str
    page: str
    page_name: str
    query: str
    words: str
    name: str
    can_share: bool
    is_shared: bool
    error: str


@dataclass(frozen=True)
class SavedViews:
    """All that `saved_views.html` prints."""

    frame: Frame
    rows: Sequence[ViewRow]
    form: SaveForm | None
    """None where the person does not come from a page with filters."""


def build(
    visit: Visit, person: User, page: str, query: str, *, name: str = "", is_shared: bool = False, error: str = ""
) -> SavedViews:
    """The views that the person sees, and the form for `page` with its `query`."""
    kept = saved_views.canonical(query)
    known = page if page in ViewedPage.values else ""
    rows = [_row(view, visit, person, known, kept) for view in saved_views.visible(visit.organization_id, person)]
    form = SaveForm(
        action=reverse("dashboard:saved_views"),
        page=known,
        page_name=ViewedPage(known).label if known else "",
        query=kept,
        words=_words(kept),
        name=name,
        can_share=can_share(visit),
        is_shared=is_shared,
        error=error,
    )
    return SavedViews(visit.frame("Saved views", "views"), rows, form if known else None)


def can_share(visit: Visit) -> bool:
    """Viewers keep views for themselves; members share them."""
    return visit.has_role(Role.MEMBER)


def href_of(view: SavedView) -> str:
    """The address that was kept."""
    path = reverse(f"dashboard:{view.page}")
    return f"{path}?{view.query}" if view.query else path


def _row(view: SavedView, visit: Visit, person: User, page: str, query: str) -> ViewRow:
    is_own = view.owner_id == person.pk
    removable = saved_views.may_remove(view, person, administers=visit.has_role(Role.ADMIN))
    return ViewRow(
        id=view.pk,
        name=view.name,
        page=ViewedPage(view.page).label,
        href=href_of(view),
        words=_words(view.query),
        owner="" if is_own else view.owner.name or view.owner.email,
        is_shared=view.is_shared,
        is_current=(view.page, view.query) == (page, query),
        remove_href=reverse("dashboard:saved_view_remove", args=[view.pk]) if removable else "",
    )


def _words(query: str) -> str:
    said = (f"{LABELS.get(word, word)}: {VALUES.get((word, value), value)}" for word, value in parse_qsl(query))
    return ", ".join(said) or "as the page opens"
