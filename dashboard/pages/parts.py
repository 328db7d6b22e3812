"""The pieces that several pages are made of: each is what one template of `templates/components/` prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.formats import Delta


@dataclass(frozen=True)
class StatCard:
    """One figure with its change (`components/stat_card.html`)."""

    label: str
    value: str
    href: str
    title: str = ""
    """Exact value or explanation, shown on hover and read by screen readers."""
    delta: Delta | None = None
    previous: str = ""
    """The figure of the comparison period, as text."""
    sparkline: str = ""
    """Points of an SVG polyline in a box of 100 × 24, which cuts off the ends that close its area."""


@dataclass(frozen=True)
class BarRow:
    """One row of a ranked list with a bar behind it (`components/bar_list.html`)."""

    name: str
    href: str
    value: str
    title: str = ""
    share: str = ""
    """Text at the right: a share of the total, or spend as a share of revenue."""
    width_percent: float = 0.0
    """Length of the bar, 0 to 100."""
    tone: str = ""
    """'' or 'bad' (the share is shown as a problem)."""


@dataclass(frozen=True)
class LegendEntry:
    """One series of a chart: colour class, name, total, and the requests behind it."""

    name: str
    color: int | None
    """Index of the series' colour, 0 to 9; None for "Other", which is grey; -1 for the dotted previous period."""
    value: str
    href: str = ""


@dataclass(frozen=True)
class ChartTable:
    """The chart's figures as a table: one row per bucket."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Chart:
    """A plotly figure with its legend and its table (`components/chart.html`)."""

    key: str
    """Unique in the page; the element ids derive from it."""
    title: str
    subtitle: str
    description: str
    """What the chart shows, for people who cannot see it."""
    figure: Mapping[str, Any] | None
    """None: there is nothing to draw, which is said instead."""
    legend: Sequence[LegendEntry] = field(default_factory=tuple)
    table: ChartTable | None = None


@dataclass(frozen=True)
class Option:
    """One choice of a menu or a segmented control."""

    label: str
    value: str
    href: str = ""
    selected: bool = False


@dataclass(frozen=True)
class Chip:
    """A filter in force, with the link that removes it."""

    label: str
    value: str
    remove_href: str


@dataclass(frozen=True)
class Banner:
    """A message above the page's content (`components/banner.html`); `tone` is 'warn', 'bad' or 'info'."""

    text: str
    tone: str = "warn"
    href: str = ""
    action: str = ""


@dataclass(frozen=True)
class Frame:
    """What surrounds every page: who is signed in, where, and what is open (`base.html`)."""

    title: str
    section: str
    """Key of the navigation entry that is current: overview, requests, rejected, …"""
    organization: str
    organizations: Sequence[Option]
    person: str
    environment: str
    theme: str
    """auto, light or dark; from a cookie."""
    can_administer: bool
    keys: str = "on"
    """Keyboard shortcuts: on or off; from a cookie."""


@dataclass(frozen=True)
class FramedPage:
    """A page with nothing of its own but its template."""

    frame: Frame
