"""What the operator enters: prices from a date on, corrections of the past, names of models, and taking them back.

Everything here is of the highest layer, for everybody or for one organization, and append-only: an entry that overlaps
an earlier one closes it and writes what is left of it anew. To be called under `publishing.catalog_locked`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any

from django.db.models import F, Model, Q, QuerySet

from pricing import catalog
from pricing.catalog import Catalog, Resolution, epoch_ms
from pricing.costs import Tier, picousd_per_token, usd_per_mtok
from pricing.importers.rows import RateRow
from pricing.index import SINCE_EVER, UNTIL_FURTHER_NOTICE
from pricing.models import ModelAlias, PricedModel, PricingRevision, Provider, ProviderTerms, Rate, RateCard
from pricing.names import PASS_THROUGH, model_forms, provider_forms
from pricing.publishing import new_revision

type _Row = RateCard | ModelAlias
_TABLES: tuple[type[RateCard], type[ModelAlias]] = (RateCard, ModelAlias)
LAYER = RateCard.Layer.OVERRIDE
_MOST_USD_PER_MTOK = Decimal(10**10)


class Refused(ValueError):
    """The entry cannot be made; `field` names the input, '' for the whole of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Who enters something, when, why, and for whom (organization_id None: for everybody)."""

    now: datetime
    author_id: int | None
    note: str
    organization_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRates:
    """Rates of a model, tier and region, USD per million tokens; provider and model as the catalog or callers say them.

    valid_from None: since ever; valid_to None: until further notice. The start belongs to the validity, the end not.
    """

    provider: str
    model: str
    rates: tuple[RateRow, ...]
    source_url: str
    tier: Tier = "standard"
    region: str = "global"
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    has_other_charges: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewName:
    """A name under which calls are sent to a provider, and the model of the catalog that it means."""

    provider: str
    name: str
    model: PricedModel
    source_url: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None


def change_price(rates: NewRates, by: Entered) -> PricingRevision:
    """A price that starts at `valid_from`: no earlier call is touched. Raises Refused."""
    if rates.valid_from is None:
        raise Refused("valid_from", "A price change needs the moment from which it holds.")
    return _enter_rates(PricingRevision.Kind.OVERRIDE, rates, by)


def correct_price(rates: NewRates, by: Entered) -> PricingRevision:
    """A price that should have been another one in the past: calls of that time are priced anew. Raises Refused."""
    if rates.valid_from is not None and rates.valid_from > by.now:
        raise Refused("valid_from", "This is in the future: a correction edits the past. Make a price change instead.")
    return _enter_rates(PricingRevision.Kind.CORRECTION, rates, by)


def name_model(name: NewName, by: Entered) -> PricingRevision:
    """Says which model a name means. Raises Refused."""
    alias = name.name.strip().lower()
    if not alias:
        raise Refused("name", "A name is needed.")
    _check_span(name.valid_from, name.valid_to)
    _check_reasons(name.source_url, by)
    if name.model.organization_id not in (None, by.organization_id):
        raise Refused("model", "This model belongs to another organization.")
    what = {"provider": name.provider, "name": alias, "model": str(name.model), "source_url": name.source_url}
    summary = what | _span(name.valid_from, name.valid_to)
    known = catalog.current()
    revision = _revision(PricingRevision.Kind.CORRECTION, summary, by)
    slug = _provider(name.provider, known, revision)
    _name(slug, alias, name.model, name.source_url, revision, (name.valid_from, name.valid_to))
    return revision


def retract(entered: PricingRevision, by: Entered) -> PricingRevision:
    """Takes back what an entry did: what it closed holds again. Raises Refused where a later entry builds on it."""
    if not by.note.strip():
        raise Refused("note", "Say why: people will ask.")
    made: list[_Row] = [row for table in _TABLES for row in _made_by(table, entered)]
    if entered.kind == PricingRevision.Kind.RETRACTION or not made:
        raise Refused("", "Only prices and names that were entered here can be taken back.")
    if entered.organization_id != by.organization_id:
        raise Refused("", "This entry is for somebody else.")
    if PricingRevision.objects.filter(retracts=entered).exists():
        raise Refused("", "This entry has been taken back before.")
    standing = [_standing(row) for row in made]
    summary = {**entered.summary, "retracts": entered.pk}
    summary.pop("effect", None)
    revision = _revision(PricingRevision.Kind.RETRACTION, summary, by, entered)
    for row in standing:
        row.superseded_revision = revision
        row.save(update_fields=["superseded_revision"])
    for table in _TABLES:
        for closed in table._default_manager.filter(superseded_revision=entered, layer=LAYER):
            _copy(closed, revision, closed.valid_from, closed.valid_to)
    _forget_providers({row.provider_id for row in made if isinstance(row, ModelAlias)}, revision)
    return revision


def _made_by(table: type[_Row], entered: PricingRevision) -> Iterable[_Row]:
    return table._default_manager.filter(created_revision=entered, layer=LAYER)


def _standing(row: _Row) -> _Row:
    """What stands for a row now: itself, or the copy made when that which had closed it was taken back."""
    while row.superseded_revision_id is not None:
        copies = type(row)._default_manager.filter(created_revision__retracts=row.superseded_revision_id)
        copy = copies.filter(**{name: getattr(row, name) for name in _IDENTITY[type(row)]}).first()
        if copy is None:
            raise Refused("", f"Revision {row.superseded_revision_id} changed it since: take that one back first.")
        row = copy
    return row


_IDENTITY = {
    RateCard: ("model_id", "organization_id", "tier", "region", "layer", "valid_from", "valid_to"),
    ModelAlias: ("provider_id", "organization_id", "match", "alias", "layer", "valid_from", "valid_to"),
}


def _forget_providers(slugs: set[str], revision: PricingRevision) -> None:
    """Providers that only entries knew are unknown again as soon as they have no name left."""
    entered = ModelAlias.objects.filter(layer=LAYER).values("created_revision")
    named = ModelAlias.objects.filter(superseded_revision=None).values("provider")
    ProviderTerms.objects.filter(provider__in=slugs, superseded_revision=None, created_revision__in=entered).exclude(
        provider__in=named
    ).update(superseded_revision=revision)


def _enter_rates(kind: str, rates: NewRates, by: Entered) -> PricingRevision:
    _check_span(rates.valid_from, rates.valid_to)
    _check_rates(rates)
    _check_reasons(rates.source_url, by)
    known = catalog.current()
    revision = _revision(kind, _summary(rates), by)
    model = _model(rates, known, revision, by)
    earlier = RateCard.objects.filter(
        model=model,
        organization_id=by.organization_id,
        tier=rates.tier,
        region=rates.region,
        layer=LAYER,
        weekly_window__isnull=True,
    )
    for row, start, end in _make_room(earlier, rates.valid_from, rates.valid_to, revision):
        _copy(row, revision, start, end)
    card = RateCard.objects.create(
        model=model,
        organization_id=by.organization_id,
        tier=rates.tier,
        region=rates.region,
        valid_from=rates.valid_from,
        valid_to=rates.valid_to,
        layer=LAYER,
        date_basis=RateCard.DateBasis.DOCUMENTED,
        has_other_charges=rates.has_other_charges,
        source_url=rates.source_url,
        created_revision=revision,
    )
    Rate.objects.bulk_create(
        Rate(
            card=card,
            meter=rate.meter,
            prompt_over=rate.prompt_over,
            usd_per_mtok=rate.usd_per_mtok,
            is_free=rate.usd_per_mtok == 0,
        )
        for rate in rates.rates
    )
    return revision


def _check_span(start: datetime | None, end: datetime | None) -> None:
    if start is not None and end is not None and end <= start:
        raise Refused("valid_to", "The end must come after the start.")


def _check_rates(rates: NewRates) -> None:
    listed = {(rate.meter, rate.prompt_over) for rate in rates.rates}
    for meter in ("input", "output"):
        if (meter, 0) not in listed:
            raise Refused(meter, f"The rate for {meter} tokens is needed; 0 means free.")
    if len(listed) < len(rates.rates):
        raise Refused("", "Two rates are for the same tokens and the same size of prompt.")
    for rate in rates.rates:
        if not _can_be_a_rate(rate.usd_per_mtok):
            raise Refused(rate.meter, "A rate is at least 0 and has at most six decimals.")


def _can_be_a_rate(usd: Decimal) -> bool:
    return usd.is_finite() and 0 <= usd < _MOST_USD_PER_MTOK and usd_per_mtok(picousd_per_token(usd)) == usd


def _check_reasons(source_url: str, by: Entered) -> None:
    if not source_url.startswith("https://"):
        raise Refused("source_url", "Say where this was published: an address that begins with https://.")
    if not by.note.strip():
        raise Refused("note", "Say why: people will ask.")


def _summary(rates: NewRates) -> dict[str, Any]:
    prices = {
        f"{rate.meter} above {rate.prompt_over}" if rate.prompt_over else rate.meter: str(rate.usd_per_mtok)
        for rate in rates.rates
    }
    names = {"provider": rates.provider, "model": f"{rates.provider}/{rates.model}"}
    which = {"tier": rates.tier, "region": rates.region, "source_url": rates.source_url}
    return names | which | {"usd_per_mtok": prices} | _span(rates.valid_from, rates.valid_to)


def _span(start: datetime | None, end: datetime | None) -> dict[str, str | None]:
    return {"from": start.isoformat() if start else None, "to": end.isoformat() if end else None}


def _revision(
    kind: str, summary: dict[str, Any], by: Entered, retracts: PricingRevision | None = None
) -> PricingRevision:
    return new_revision(
        kind,
        by.note,
        now=by.now,
        summary=summary,
        author_id=by.author_id,
        organization_id=by.organization_id,
        retracts=retracts,
    )


def _model(rates: NewRates, known: Catalog, revision: PricingRevision, by: Entered) -> PricedModel:
    """The model that the name means at this provider; a new one where it means none, or one of another provider.

    A resold model gets an entry of its own: its price there is not its price everywhere. It does so only for the time
    of the rates, or the supplier's price would be lost for all other calls.
    """
    if not rates.model.strip():
        raise Refused("model", "A model is needed: the calls name none.")
    meanings = _meanings(rates, known, by)
    for _, _, found in meanings:
        _check_resale(rates, found)
    at = epoch_ms(_moment(rates, by))
    found = next(found for start, end, found in meanings if start <= at < end)
    slug = found.provider or _provider(rates.provider, known, revision)
    key = next(reversed(list(model_forms(rates.model))))
    model = _own_model(slug, found.model, by) if _is_its_own(found) else _model_for(slug, rates.model, key, by)
    for named, pieces in groupby(meanings, key=lambda meaning: _is_its_own(meaning[2])):
        span = list(pieces)
        if not named:
            start, end = _at(span[0][0], rates.valid_from), _at(span[-1][1], rates.valid_to)
            _name(slug, key, model, rates.source_url, revision, (start, end))
    return model


def _meanings(rates: NewRates, known: Catalog, by: Entered) -> list[tuple[int, int, Resolution]]:
    """What the name means now, from and to when (milliseconds), throughout the validity of the rates."""
    key = (rates.provider, rates.model, rates.tier, rates.region, by.organization_id)
    first = SINCE_EVER if rates.valid_from is None else epoch_ms(rates.valid_from)
    last = UNTIL_FURTHER_NOTICE if rates.valid_to is None else epoch_ms(rates.valid_to)
    inner = [at for at in known.changes(key) if first < at < last]
    return [(start, end, known.choices(key, start)[-1][1]) for start, end in pairwise([first, *inner, last])]


def _moment(rates: NewRates, by: Entered) -> datetime:
    """The moment whose model is meant: the start, or else now, or the last one of the past."""
    if rates.valid_from is not None:
        return rates.valid_from
    last = rates.valid_to - timedelta(milliseconds=1) if rates.valid_to else by.now
    return min(by.now, last)


def _at(ms: int, otherwise: datetime | None) -> datetime | None:
    """The edge of a piece as a time; at the ends of the validity the very time that was entered."""
    edge = SINCE_EVER if otherwise is None else epoch_ms(otherwise)
    if ms in (edge, SINCE_EVER, UNTIL_FURTHER_NOTICE):
        return otherwise
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def _is_its_own(found: Resolution) -> bool:
    """Whether the name means a model of the very provider, not one that it resells."""
    return bool(found.model) and found.model_provider == found.provider


def _check_resale(rates: NewRates, found: Resolution) -> None:
    """With nothing but a batch price of its own, a resold model would lose the standard price that is passed on."""
    if not found.model or _is_its_own(found) or (rates.tier, rates.region) == ("standard", "global"):
        return
    raise Refused(
        "tier" if rates.tier != "standard" else "region",
        f"{found.provider} passes on the price of {found.model_provider}/{found.model}. "
        "Enter its own standard price without a region first, for the same time.",
    )


def _own_model(slug: str, key: str, by: Entered) -> PricedModel:
    """The model that a name of this provider means: the organization's own, while names lead to it."""
    models = list(_shared(by).filter(provider=slug, key=key))
    return next(
        (model for model in models if model.organization_id and model.names.filter(superseded_revision=None).exists()),
        models[-1],
    )


def _model_for(slug: str, sent: str, key: str, by: Entered) -> PricedModel:
    """The model of a name that means none yet: one that the catalog knows by its key, or a new one."""
    known = _shared(by).filter(provider=slug, key__in=(sent, key)).first()
    return known or PricedModel.objects.create(provider_id=slug, key=key, organization_id=by.organization_id)


def _shared(by: Entered) -> QuerySet[PricedModel]:
    """Everybody's models and the organization's own, these first."""
    visible = Q(organization_id=None) | Q(organization_id=by.organization_id)
    return PricedModel.objects.filter(visible).order_by(F("organization_id").asc(nulls_last=True))


def _provider(sent: str, known: Catalog, revision: PricingRevision) -> str:
    """The provider's slug; one that nobody knows yet becomes one."""
    if slug := known.provider_of(sent):
        return slug
    name = next(provider_forms(sent))
    if not name:
        raise Refused("provider", "A provider is needed: the calls name none.")
    if name in PASS_THROUGH:
        raise Refused("provider", f"{name} only passes calls on: enter the price for the provider that serves them.")
    provider, _ = Provider.objects.get_or_create(slug=name, defaults={"name": sent.strip()})
    ProviderTerms.objects.create(provider=provider, created_revision=revision)
    return provider.slug


def _name(
    slug: str,
    alias: str,
    model: PricedModel,
    source_url: str,
    revision: PricingRevision,
    span: tuple[datetime | None, datetime | None],
) -> None:
    """Makes the name mean the model throughout the span; what it meant before remains around it."""
    known = ModelAlias.objects.filter(
        provider=slug, organization_id=revision.organization_id, match="exact", alias=alias, layer=LAYER
    )
    for row, start, end in _make_room(known, *span, revision):
        _copy(row, revision, start, end)
    ModelAlias.objects.create(
        provider_id=slug,
        organization_id=revision.organization_id,
        alias=alias,
        match="exact",
        model=model,
        valid_from=span[0],
        valid_to=span[1],
        layer=LAYER,
        source_url=source_url,
        created_revision=revision,
    )


def _make_room[T: Model](
    rows: QuerySet[T], start: datetime | None, end: datetime | None, revision: PricingRevision
) -> Iterator[tuple[Any, datetime | None, datetime | None]]:
    """Closes open rows that overlap the span, and yields each with the parts of its validity that remain."""
    begins_before_end = Q(valid_from__isnull=True) | Q(valid_from__lt=end) if end else Q()
    ends_after_start = Q(valid_to__isnull=True) | Q(valid_to__gt=start) if start else Q()
    for row in list(rows.filter(begins_before_end, ends_after_start, superseded_revision=None)):
        found: Any = row
        was_from, was_to = found.valid_from, found.valid_to
        rows.filter(pk=found.pk).update(superseded_revision=revision)
        if start is not None and (was_from is None or was_from < start):
            yield found, was_from, start
        if end is not None and (was_to is None or was_to > end):
            yield found, end, was_to


def _copy(row: _Row, revision: PricingRevision, start: datetime | None, end: datetime | None) -> None:
    """The same row with another validity, of this revision; a card with its rates."""
    rates = list(row.rates.all()) if isinstance(row, RateCard) else []
    row.pk, row.valid_from, row.valid_to = None, start, end
    row.created_revision, row.superseded_revision = revision, None
    row.save(force_insert=True)
    for rate in rates:
        rate.pk, rate.card = None, row  # type: ignore[assignment]
        rate.save(force_insert=True)
