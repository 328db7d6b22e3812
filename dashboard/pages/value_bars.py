"""Ranked lists of features, users and models as rows with bars."""

from collections.abc import Sequence
from decimal import Decimal

from dashboard import formats
from dashboard.filters import Filters
from dashboard.pages.cost_rows import NOT_GIVEN, Figure, ratio
from dashboard.pages.links import model_name, requests_href
from dashboard.pages.overview_figures import Figures, has_revenue
from dashboard.pages.parts import BarRow
from dashboard.queries.usage import Usage, ValueUsage
from dashboard.queries.users import UserUsage


def feature_bars(rows: Sequence[ValueUsage], total: int, filters: Filters) -> tuple[BarRow, ...]:
    """Features with their cost and its share of `total`."""
    largest = max((row.usage.cost_picousd for row in rows), default=0)
    return tuple(
        BarRow(
            name=row.value or NOT_GIVEN["feature"],
            href=requests_href(filters, feature=row.value),
            value=_cost(row.usage),
            title=formats.money_exact(row.usage.cost_picousd),
            share=_share(row.usage.cost_picousd, total),
            width_percent=_width(row.usage.cost_picousd, largest),
        )
        for row in rows
    )


def user_bars(
    rows: Sequence[UserUsage], earned: dict[int, int], filters: Filters, *, total: int = 0
) -> tuple[BarRow, ...]:
    """Users with their cost as a share of their revenue; where revenue has no meaning, of `total`."""
    largest = max((row.cost_picousd for row in rows), default=0)
    # Under a filter by feature or model the cost is a part and the revenue the whole: no ratio of the two.
    comparable = has_revenue(filters)
    found = []
    for row in rows:
        pays = earned.get(row.tracked_user_id, 0)
        of_revenue = ratio(row.cost_picousd, pays) if pays else Figure("no revenue")
        found.append(
            BarRow(
                name=row.name or row.external_id or NOT_GIVEN["user"],
                href=requests_href(filters, user=row.external_id),
                value=formats.money(row.cost_picousd),
                title=f"{row.external_id} {formats.money_exact(row.cost_picousd)}".strip(),
                share=of_revenue.text if comparable else _share(row.cost_picousd, total),
                width_percent=_width(row.cost_picousd, largest),
                tone="bad" if comparable and of_revenue.tone == "bad" else "",
            )
        )
    return tuple(found)


def model_bars(figures: Figures, filters: Filters, limit: int) -> tuple[BarRow, ...]:
    """The dearest models with their cost and its share of all."""
    used = {key: Usage.total(series) for key, series in figures.by_model.items()}
    total, largest = figures.totals.cost_picousd, max((one.cost_picousd for one in used.values()), default=0)
    return tuple(
        BarRow(
            name=model_name(provider, model),
            href=requests_href(filters, model=model, provider=provider),
            value=_cost(sums),
            title=formats.money_exact(sums.cost_picousd),
            share=_share(sums.cost_picousd, total),
            width_percent=_width(sums.cost_picousd, largest),
        )
        for (provider, model), sums in list(used.items())[:limit]
    )


def _cost(sums: Usage) -> str:
    return "no price" if sums.events and sums.events == sums.unpriced else formats.money(sums.cost_picousd)


def _share(cost: int, total: int) -> str:
    return formats.percent(Decimal(cost) / total) if total else ""


def _width(cost: int, largest: int) -> float:
    return 100 * cost / largest if largest else 0
