"""The price catalog: models of this organization's traffic without a price first, then what everything costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import count, money, money_exact
from dashboard.pages import model_use, rates
from dashboard.pages.links import price_href, requests_href
from dashboard.pages.parts import Frame, Option
from dashboard.pages.rates import Held, RateCell, Source
from dashboard.pages.unpriced import UnpricedRow, unpriced_rows
from dashboard.price_search import PriceSearch
from dashboard.queries import prices, rate_cards
from dashboard.queries.prices import ListedModel, UnpricedUse
from dashboard.queries.rate_cards import CardRow, PolicyRow
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit
from pricing import catalog
from pricing.catalog import Catalog

PAGE_SIZE = 50
MOST_UNPRICED = 100


@dataclass(frozen=True)
class Progress:
    """A re-pricing at work, or (text '') that there is none; `is_over` when one ended while the page was open."""

    text: str
    done: int
    total: int
    revision: str
    """What the poll sends back, so that an answer without news can be empty."""
    poll_href: str
    is_over: bool = False


@dataclass(frozen=True)
class ProgressPage:
    """The variable of the `progress` fragment when it is asked for alone."""

    progress: Progress


@dataclass(frozen=True)
class PricedRow:
    """A model of the catalog as the list shows it."""

    href: str
    provider: str
    key: str
    marks: Sequence[tuple[str, str]]
    """Tone and words of what is special about it: "your own", "no longer listed"."""
    input: RateCell | None
    """None: no price is known, and the other cells are None too."""
    cache_read: RateCell | None
    cache_write_5m: RateCell | None
    cache_write_1h: RateCell | None
    """None also where the list has no rate of its own."""
    output: RateCell | None
    tiers: Sequence[str]
    since: str
    requests: str
    """'' : no calls in the last 30 days."""
    cost: str
    cost_title: str
    use_href: str
    source: Source | None


@dataclass(frozen=True)
class Prices:
    """All that `prices.html` prints, as a page, its results, or its next rows."""

    frame: Frame
    href: str
    action: str
    progress: Progress
    unpriced: Sequence[UnpricedRow]
    unpriced_summary: str
    unpriced_more: str
    """How many more there are than are shown; '' for none."""
    can_administer: bool
    search: PriceSearch
    providers: Sequence[Option]
    summary: str
    period_text: str
    rows: Sequence[PricedRow]
    more_href: str
    """The next page; '' after the last one."""
    clear_href: str


@dataclass(frozen=True)
class _Found:
    """What the page's statements found, in one snapshot. `models` has one more than are shown if there are more."""

    unpriced: Sequence[UnpricedUse]
    models: Sequence[ListedModel]
    cards: Sequence[CardRow]
    policies: Sequence[PolicyRow]
    providers: Sequence[tuple[str, str]]
    progress: Progress


def build(visit: Visit, search: PriceSearch) -> Prices:
    """Read the page in one snapshot. Nine statements, whatever the size of the catalog and of the traffic."""
    known = catalog.current()
    period = Filters.from_query({"environment": search.environment}, visit.now, visit.zone)
    found = _read(visit, search, period, known)
    unpriced, action = found.unpriced, reverse("dashboard:prices")
    return Prices(
        frame=visit.frame("Pricing", "pricing", search.environment),
        href=search.href(action, after=search.after),
        action=action,
        progress=found.progress,
        unpriced=unpriced_rows(unpriced[:MOST_UNPRICED], visit, known, repricing=bool(found.progress.text)),
        unpriced_summary=_unpriced_summary(unpriced),
        unpriced_more=count(len(unpriced) - MOST_UNPRICED) if len(unpriced) > MOST_UNPRICED else "",
        can_administer=visit.can_administer,
        search=search,
        providers=_providers(found.providers, search),
        summary=_summary(found.models, search),
        period_text=period.period_text,
        rows=_rows(found, visit, period),
        more_href=search.href(action, after=search.after + PAGE_SIZE) if len(found.models) > PAGE_SIZE else "",
        clear_href=PriceSearch(environment=search.environment).href(action),
    )


def _read(visit: Visit, search: PriceSearch, period: Filters, known: Catalog) -> _Found:
    organization = visit.organization_id
    with snapshot():
        unpriced = prices.unpriced_use(organization, prices.unpriced_names(organization))
        used = model_use.by_model(prices.name_use(organization, period), known, organization, visit.zone)
        also = model_use.card_of_name(search.q, known, organization, visit.now)
        models = prices.models(organization, search, used, also, PAGE_SIZE + 1)
        ids = [model.id for model in models]
        return _Found(
            unpriced,
            models,
            rate_cards.cards_at(organization, ids, visit.now),
            rate_cards.policies_at(ids, (model.provider for model in models), visit.now),
            prices.providers(organization),
            progress(visit, search),
        )


def progress(visit: Visit, search: PriceSearch, *, polled: bool = False) -> Progress:
    """How far the re-pricing is that is at work. `polled`: somebody watched it, so its end is said."""
    found = prices.repricing(visit.organization_id)
    if found is None:
        return Progress("", 0, 0, "", search.href(reverse("dashboard:prices")), is_over=polled)
    revision = f"{found.revision}-{found.done}-{found.total}"
    text = f"Re-pricing {count(found.done)} of {_requests(found.total)} for revision {found.revision}"
    poll_href = search.href(reverse("dashboard:prices"), rev=revision)
    return Progress(text, found.done, found.total, revision, poll_href)


def _unpriced_summary(unpriced: Sequence[UnpricedUse]) -> str:
    requests = sum(use.events for use in unpriced)
    subject = "1 request has no cost and is" if requests == 1 else f"{count(requests)} requests have no cost and are"
    return f"{subject} left out of every total until a price is set."


def _providers(providers: Sequence[tuple[str, str]], search: PriceSearch) -> tuple[Option, ...]:
    chosen = [Option(name, slug, selected=slug == search.provider) for slug, name in providers]
    return (Option("All providers", ""), *chosen)


def _summary(found: Sequence[ListedModel], search: PriceSearch) -> str:
    total = found[0].found if found else 0
    noun = "model" if total == 1 else "models"
    return f"{count(total)} {noun}{' found' if search.is_narrowed else ''}"


def _rows(found: _Found, visit: Visit, period: Filters) -> tuple[PricedRow, ...]:
    of_model: dict[int, list[CardRow]] = {model.id: [] for model in found.models}
    for card in found.cards:
        of_model[card.model_id].append(card)
    return tuple(
        _row(model, Held(model.id, model.provider, model.key, of_model[model.id], found.policies), visit, period)
        for model in found.models[:PAGE_SIZE]
    )


def _row(model: ListedModel, held: Held, visit: Visit, period: Filters) -> PricedRow:
    standing = held.standing("standard")
    shown = standing[-1] if standing else None
    href = price_href(model.provider, model.key)
    cells = rates.cells(shown.rates) if shown else (None,) * 6
    since = shown.card.valid_from if shown else None
    return PricedRow(
        href=href,
        provider=model.provider_name,
        key=model.key,
        marks=_marks(model, varies=len(standing) > 1),
        input=cells[0],
        cache_read=cells[1],
        cache_write_5m=cells[2],
        cache_write_1h=_unless_empty(cells[3]),
        output=cells[4],
        tiers=held.other_tiers(),
        since=formats.day(since.astimezone(visit.zone)) if since else "",
        requests=_requests(model.events) if model.events else "",
        cost=money(model.cost_picousd),
        cost_title=money_exact(model.cost_picousd),
        use_href=_use_href(model, href, period),
        source=rates.source_of(shown.card) if shown else None,
    )


def _unless_empty(cell: RateCell | None) -> RateCell | None:
    """A second line under a rate says something or is not there."""
    return None if cell is None or (cell.rate == formats.UNKNOWN and not cell.above) else cell


def _requests(events: int) -> str:
    return "1 request" if events == 1 else f"{count(events)} requests"


def _marks(model: ListedModel, *, varies: bool) -> tuple[tuple[str, str], ...]:
    marks = [
        ("", "your own", model.is_own),
        ("warn", "no longer listed", model.is_dropped),
        ("", "varies by hour", varies),
    ]
    return tuple((tone, words) for tone, words, holds in marks if holds)


def _use_href(model: ListedModel, href: str, period: Filters) -> str:
    """The requests themselves where one name was sent; else the model's page, which lists them name by name."""
    if model.names == 1:
        return requests_href(period, model=model.sent_model, provider=model.sent_provider)
    return f"{href}#use" if href else ""
