"""The Cost Breakdown as CSV: every value of the dimension, with exact figures."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from decimal import Decimal

from dashboard.cost_search import METADATA, By, CostSearch
from dashboard.export_files import csv_text, usd_text
from dashboard.pages import cost_figures
from dashboard.pages.cost_figures import CostFigures
from dashboard.queries.breakdown import Line, ValueCost
from dashboard.queries.reading import snapshot
from events.event_columns import guarded
from events.models import ServiceTier, Status

ROWS_AT_ONCE = 10_000
_NAMES: dict[By, tuple[str, ...]] = {
    "user": ("user_id", "user_name"),
    "feature_user": ("feature", "user_id", "user_name"),
    "model": ("provider", "model"),
    "tier": ("service_tier",),
}
"""How the columns are named that say which value it is, where that is not the dimension's own word."""
_USED = ("requests", "failed_requests", "unpriced_requests", "input_tokens", "output_tokens", "cost_usd")
_COMPARED = ("previous_requests", "previous_cost_usd", "change_usd")
_EARNED = ("revenue_usd", "margin_usd")
_METERED = ("metered_revenue_usd",)
"""Of users: the part of the revenue that is metered usage."""


def costs_csv(organization_id: int, search: CostSearch) -> Generator[str]:
    """All rows of the breakdown in its order, piece by piece, all from one snapshot of the database.

    What was not given is empty, as is a cost where no price is known, and a revenue that nobody sent.
    """
    with snapshot():
        figures = cost_figures.read(organization_id, replace(search, after=0, rows=ROWS_AT_ONCE))
        yield csv_text([_head(figures)])
        shown = 0
        while rows := figures.breakdown.rows:
            yield csv_text(_row(found, figures) for found in rows)
            shown += len(rows)
            if shown >= figures.breakdown.count:
                break
            figures = cost_figures.read(organization_id, replace(figures.search, after=shown))


def _head(figures: CostFigures) -> tuple[str, ...]:
    by = figures.search.by
    return (
        *_NAMES.get(by, (guarded(by),)),
        *_USED,
        *(_COMPARED if figures.before else ()),
        *(_EARNED if figures.with_revenue else ()),
        *(_METERED if figures.with_revenue and by == "user" else ()),
    )


def _row(found: ValueCost, figures: CostFigures) -> Sequence[object]:
    line = found.line
    used = line.usage
    cost = None if 0 < used.events == used.unpriced else used.cost_picousd
    cells: list[object] = [guarded(name) for name in _value(found, figures.search.by)]
    cells += [used.events, used.errors, used.unpriced, used.input_tokens, used.output_tokens, _usd(cost)]
    if figures.before:
        change = None if cost is None else cost - line.before_picousd
        cells += [line.before_events, _usd(line.before_picousd), _usd(change)]
    if figures.with_revenue:
        cells += [_usd(line.revenue_picousd), _usd(_margin(line))]
        cells += [_usd(figures.metered.get(found.value, 0))] if figures.search.by == "user" else []
    return cells


def _value(found: ValueCost, by: By) -> tuple[str, ...]:
    match by:
        case "user":
            return found.value, found.name
        case "feature_user":
            return found.provider, found.value, found.name
        case "model":
            return found.provider, found.value
        case "status":
            return (Status(int(found.value)).label,)
        case "tier":
            return (ServiceTier(int(found.value)).label,)
        case _:
            return (found.value,)


def _margin(line: Line) -> int | None:
    return None if line.revenue_picousd is None else line.revenue_picousd - line.usage.cost_picousd


def _usd(picousd: int | None) -> str | None:
    return None if picousd is None else usd_text(Decimal(picousd).scaleb(-12))


def dimension_noun(by: By) -> str:
    """The dimension as a file's name has it."""
    return f"costs-by-{METADATA if by.startswith(METADATA) else by.replace('_', '-and-')}"
