"""Models of the organization's traffic without a price: what was sent, why it has none, and where to set one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import compact, count
from dashboard.pages.links import admin_href, named, price_href, requests_href
from dashboard.queries.prices import UnpricedUse
from dashboard.visit import Visit
from events.models import Environment, ServiceTier
from metering.periods import day_start
from pricing.catalog import Catalog, Resolution, epoch_ms
from pricing.costs import Status

_DAY = timedelta(days=1)
_MOMENT = timedelta(milliseconds=1)
WHY: dict[Status, str] = {
    "unpriced_provider": "No such provider in the catalog",
    "unpriced_model": "No price for this model",
    "unpriced_tier": "No price for this tier",
}


@dataclass(frozen=True)
class UnpricedRow:
    """Calls under one name and tier that have no cost."""

    provider: str
    model: str
    model_href: str
    """The catalog's page of the model, where it knows it; else ''."""
    tier: str
    environment: str
    """'test', or '' for live."""
    why: str
    requests: str
    requests_href: str
    tokens_in: str
    tokens_in_title: str
    tokens_out: str
    tokens_out_title: str
    first_seen: str
    last_seen: str
    set_price_href: str
    """'' for who may not administer."""


def unpriced_rows(
    uses: Iterable[UnpricedUse], visit: Visit, catalog: Catalog, *, repricing: bool
) -> tuple[UnpricedRow, ...]:
    """The uses as rows; `repricing` says whether costs are being brought up to date right now."""
    return tuple(_row(use, visit, catalog, repricing) for use in uses)


def _row(use: UnpricedUse, visit: Visit, catalog: Catalog, repricing: bool) -> UnpricedRow:
    tier = ServiceTier(use.service_tier).label
    first = _resolved(use, catalog, visit, tier, day_start(use.first_day, visit.zone))
    last = _resolved(use, catalog, visit, tier, day_start(use.last_day + _DAY, visit.zone) - _MOMENT)
    today = _resolved(use, catalog, visit, tier, visit.now)
    environment = Environment(use.environment).label
    filters = _period(use, visit, environment)
    query = {"provider": use.provider, "model": use.model, "tier": tier}
    return UnpricedRow(
        provider=named(use.provider),
        model=named(use.model),
        model_href=price_href(today.model_provider, today.model) if today.model else "",
        tier=tier,
        environment="" if use.environment == Environment.LIVE else environment,
        why=_why(first, last, today, repricing),
        requests=count(use.events),
        requests_href=requests_href(filters, provider=use.provider, model=use.model, tier=tier, priced="no"),
        tokens_in=compact(use.input_tokens),
        tokens_in_title=count(use.input_tokens),
        tokens_out=compact(use.output_tokens),
        tokens_out_title=count(use.output_tokens),
        first_seen=formats.day(use.first_day),
        last_seen=formats.day(use.last_day),
        set_price_href=admin_href("pricing_set_price", **query) if visit.can_administer else "",
    )


def _resolved(use: UnpricedUse, catalog: Catalog, visit: Visit, tier: str, at: datetime) -> Resolution:
    """What the catalog says today about such a call at a moment, at the latest now."""
    at_ms = epoch_ms(min(at, visit.now))
    return catalog.resolve(use.provider, use.model, at_ms, tier, organization_id=visit.organization_id)


def _why(first: Resolution, last: Resolution, today: Resolution, repricing: bool) -> str:
    """In words, from the answers for the first day, for the last day, and for now."""
    if today.card is None:
        return WHY[today.status]
    if last.card is not None and repricing:
        return "A price is known; re-pricing is under way"
    if first.card is None or last.card is None:
        return "The price does not reach back to these calls"
    return "The price has no rate for some of their tokens"


def _period(use: UnpricedUse, visit: Visit, environment: str) -> Filters:
    """The days between which such calls were seen, as a filter of requests."""
    days = {"from": use.first_day.isoformat(), "to": use.last_day.isoformat(), "environment": environment}
    return Filters.from_query(days, visit.now, visit.zone)
