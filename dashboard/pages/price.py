"""One model of the catalog: its names, what it costs now and cost before, what used it, and who changed it when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from django.urls import reverse

from dashboard import formats
from dashboard.filters import TIERS, Filters
from dashboard.formats import count, money, money_exact
from dashboard.pages import model_use, rates
from dashboard.pages.links import admin_href, model_name, requests_href
from dashboard.pages.parts import Frame
from dashboard.pages.price_history import Change, HistoryRow, changes, history_rows, replaced_rows
from dashboard.pages.rates import Held, RateCell, Source, Standing
from dashboard.queries import price, prices, rate_cards
from dashboard.queries.price import ModelRow, NameRow, RevisionRow
from dashboard.queries.prices import ModelUse, NameUse
from dashboard.queries.rate_cards import CardRow, PolicyRow
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit
from pricing import catalog
from pricing.catalog import Catalog
from pricing.costs import Meter

MATCH_WORDS = {"exact": "", "prefix": "starts with", "regex": "matches"}


@dataclass(frozen=True)
class Name:
    """A name that leads to the model, as it is sent to a provider."""

    text: str
    match: str
    """'' : exactly; "starts with"; "matches" (a regular expression)."""
    provider: str
    """The provider it is sent to, where that is not the model's own."""
    dates: str
    """From when to when; '' : always."""
    is_own: bool


@dataclass(frozen=True)
class TierRow:
    """What a call costs now at one tier, region and time of the week; one cell for each of the page's meters."""

    tier: str
    when: str
    """Region and weekly window; '' : everywhere, always."""
    cells: Sequence[RateCell]
    since: str
    how: str
    """How the rates were derived; '' : they are listed."""
    source: Source


@dataclass(frozen=True)
class UseRow:
    """The calls of the last 30 days under one name."""

    name: str
    requests: str
    href: str
    cost: str
    cost_title: str


@dataclass(frozen=True)
class Price:
    """All that `price.html` prints."""

    frame: Frame
    list_href: str
    provider: str
    key: str
    marks: Sequence[tuple[str, str]]
    names: Sequence[Name]
    resellers: str
    meters: Sequence[str]
    """Heads of the columns of rates."""
    tiers: Sequence[TierRow]
    has_other_charges: bool
    history: Sequence[HistoryRow]
    replaced: Sequence[HistoryRow]
    uses: Sequence[UseRow]
    period_text: str
    total_requests: str
    total_cost: str
    changes: Sequence[Change]
    change_href: str
    """"Change the price from a date" in the admin; '' for who may not administer."""
    correct_href: str


@dataclass(frozen=True)
class _Found:
    """What the page's statements found, in one snapshot. `used` is what all of the organization's calls used."""

    model: ModelRow
    cards: Sequence[CardRow]
    policies: Sequence[PolicyRow]
    names: Sequence[NameRow]
    resellers: Sequence[str]
    used: Sequence[NameUse]
    revisions: Sequence[RevisionRow]

    @property
    def open_cards(self) -> list[CardRow]:
        """The cards that nothing has replaced."""
        return [card for card in self.cards if card.superseded_in is None]

    @property
    def replaced_cards(self) -> list[CardRow]:
        """The other ones."""
        return [card for card in self.cards if card.superseded_in is not None]

    def held(self, now: datetime) -> Held:
        """What is valid at the moment."""
        cards = [card for card in self.open_cards if _is_valid(card, now)]
        return Held(self.model.id, self.model.provider, self.model.key, cards, self.policies)


def build(visit: Visit, provider: str, key: str, environment: str) -> Price | None:
    """The model, or None when the organization may see none under this key. Seven statements."""
    known = catalog.current()
    period = Filters.from_query({"environment": environment}, visit.now, visit.zone)
    found = _read(visit, provider, key, period)
    if found is None:
        return None
    held, meters = found.held(visit.now), rates.meters_of(found.cards)
    uses = _uses(model_use.by_model(found.used, known, visit.organization_id, visit.zone), found)
    change_href, correct_href = _admin_hrefs(visit, provider, key)
    return Price(
        frame=visit.frame(model_name(provider, key), "pricing", period.environment),
        list_href=reverse("dashboard:prices"),
        provider=found.model.provider_name,
        key=key,
        marks=_marks(found.model, held.cards),
        names=tuple(_name(name, provider, visit.zone) for name in found.names),
        resellers=", ".join(found.resellers),
        meters=[rates.METER_WORDS[meter] for meter in meters],
        tiers=_tiers(held, meters, visit.zone),
        has_other_charges=any(card.rates.has_other_charges for card in held.cards),
        history=history_rows(found.open_cards, meters, visit),
        replaced=replaced_rows(found.replaced_cards, found.revisions, meters, visit),
        uses=tuple(_use(use, period) for use in uses),
        period_text=period.period_text,
        total_requests=count(sum(use.events for use in uses)),
        total_cost=money(sum(use.cost_picousd for use in uses)),
        changes=changes(found.revisions, visit, partial(_means, found.model, known, visit.organization_id)),
        change_href=change_href,
        correct_href=correct_href,
    )


def _read(visit: Visit, provider: str, key: str, period: Filters) -> _Found | None:
    organization = visit.organization_id
    with snapshot():
        model = price.model(organization, provider, key)
        if model is None:
            return None
        return _Found(
            model,
            rate_cards.all_cards(organization, model.id),
            rate_cards.policies_at([model.id], [provider], visit.now),
            price.names(organization, model.id),
            price.resellers(provider),
            prices.name_use(organization, period),
            price.revisions(organization, model.id),
        )


def _admin_hrefs(visit: Visit, provider: str, key: str) -> tuple[str, str]:
    """Where the price is changed, and where its past is corrected; '' for who may not."""
    if not visit.can_administer:
        return "", ""
    query = {"provider": provider, "model": key}
    return admin_href("pricing_price_change", **query), admin_href("pricing_correction", **query)


def _means(model: ModelRow, known: Catalog, organization_id: int, provider: str, name: str, at: datetime) -> bool:
    """Whether a call sent as this provider and name at this time is one of the model's."""
    found = known.resolve(provider, name, catalog.epoch_ms(at), organization_id=organization_id)
    return (found.model_provider, found.model) == (model.provider, model.key)


def _is_valid(card: CardRow, now: datetime) -> bool:
    return (card.valid_from is None or card.valid_from <= now) and (card.valid_to is None or now < card.valid_to)


def _marks(model: ModelRow, held: Sequence[CardRow]) -> tuple[tuple[str, str], ...]:
    marks = [
        ("", "your own model", model.is_own),
        ("", "your own price", any(card.is_own for card in held) and not model.is_own),
        ("warn", f"no longer listed since revision {model.dropped_in}", model.dropped_in is not None),
        ("warn", "no price", not held),
    ]
    return tuple((tone, words) for tone, words, holds in marks if holds)


def _name(name: NameRow, provider: str, zone: ZoneInfo) -> Name:
    return Name(
        text=name.alias,
        match=MATCH_WORDS[name.match],
        provider="" if name.provider == provider else name.provider,
        dates=rates.validity_words(name.valid_from, name.valid_to, zone) if name.valid_from or name.valid_to else "",
        is_own=name.is_own,
    )


def _tiers(held: Held, meters: Sequence[Meter], zone: ZoneInfo) -> tuple[TierRow, ...]:
    """Every tier everywhere, then, for each region with rates of its own, the tiers there."""
    regions = ["global", *sorted({card.region for card in held.cards} - {"global"})]
    return tuple(
        _tier(one, tier, region, meters, zone)
        for region in regions
        for tier in TIERS
        for one in held.standing(tier, region)
        if one.card.region == region
    )


def _tier(one: Standing, tier: str, region: str, meters: Sequence[Meter], zone: ZoneInfo) -> TierRow:
    window = rates.window_words(one.window) if one.window else ""
    when = ", ".join(part for part in ("" if region == "global" else f"region {region}", window) if part)
    since = one.card.valid_from
    policy = one.policy
    return TierRow(
        tier=tier,
        when=when,
        cells=rates.cells(one.rates, meters),
        since=formats.day(since.astimezone(zone)) if since else "",
        how=f"derived: {rates.factor_words(policy.factors)}" if policy else "",
        source=rates.policy_source(policy) if policy else rates.source_of(one.card),
    )


def _uses(used: Sequence[ModelUse], found: _Found) -> list[ModelUse]:
    """The uses that are this model's: of an organization's own model and everybody's of one key, cards tell which."""
    own_cards = {card.rates.card_id for card in found.cards}
    sums: dict[tuple[str, str], ModelUse] = {}
    for use in used:
        if (use.provider, use.model) == (found.model.provider, found.model.key) and use.card_id in (None, *own_cards):
            before = sums.get((use.sent_provider, use.sent_model))
            sums[use.sent_provider, use.sent_model] = use if before is None else before.plus(use)
    return sorted(sums.values(), key=lambda use: (-use.cost_picousd, -use.events, use.sent_provider, use.sent_model))


def _use(use: ModelUse, period: Filters) -> UseRow:
    return UseRow(
        name=model_name(use.sent_provider, use.sent_model),
        requests=count(use.events),
        href=requests_href(period, provider=use.sent_provider, model=use.sent_model),
        cost=money(use.cost_picousd),
        cost_title=money_exact(use.cost_picousd),
    )
