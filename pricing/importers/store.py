"""The one place that writes price lists: a list becomes one revision, or nothing when nothing changed."""

import hashlib
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

from pricing.importers.current import CurrentCatalog
from pricing.importers.difference import Difference, difference
from pricing.importers.rows import AliasRow, CardRow, Layer, ModelKey, PolicyRow, PriceList
from pricing.models import (
    ModelAlias,
    PricedModel,
    PricingRevision,
    PricingSnapshot,
    Provider,
    ProviderAlias,
    ProviderTerms,
    Rate,
    RateCard,
    TierFactor,
    TierPolicy,
)
from pricing.publishing import catalog_locked, new_revision


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did; revision is None when the catalog already agreed with the source."""

    source: str
    revision: int | None
    difference: Difference
    notes: tuple[str, ...]


def price_lists() -> tuple[PriceList, ...]:
    """The installed genai-prices and the project's corrections, in the order in which they are imported.

    Not for servers: it loads that package (31 MiB). Raises ValueError when a list cannot be read.
    """
    from pricing.importers.corrections import read_corrections  # these must not be loaded by importing this module
    from pricing.importers.genai import read_price_list

    corrections = read_corrections()
    return read_price_list().not_before(corrections.offered_since), corrections


def list_versions() -> tuple[tuple[str, str], ...]:
    """What price_lists would read, as (source, version), without reading the lists: in less than a millisecond."""
    from pricing.importers import corrections

    return ("genai-prices", version("genai-prices")), (corrections.SOURCE, corrections.version_of(corrections.PATH))


def import_all(*, now: datetime | None = None, dry_run: bool = False) -> tuple[Imported, ...]:
    """Imports every list in one transaction: nobody is ever priced between the library and its corrections."""
    wanted = price_lists()
    with catalog_locked(dry_run=dry_run):
        imported = tuple(write_price_list(each, now=now or datetime.now(UTC)) for each in wanted)
    return tuple(replace(each, revision=None) for each in imported) if dry_run else imported


def import_price_list(wanted: PriceList, *, now: datetime, dry_run: bool = False) -> Imported:
    """Brings one layer of the catalog to what the list says, in one transaction and one revision."""
    with catalog_locked(dry_run=dry_run):
        imported = write_price_list(wanted, now=now)
    return replace(imported, revision=None) if dry_run else imported


def write_price_list(wanted: PriceList, *, now: datetime) -> Imported:
    """The same inside a transaction of the caller's, who holds the catalog's lock.

    A name that the source gave to another model moves at `now`: events before keep the model they were sent to.
    """
    change = difference(wanted, CurrentCatalog.read(wanted.layer))
    digest = hashlib.sha256(wanted.raw).digest()
    known = PricingSnapshot.objects.filter(sha256=digest).first()
    if change.is_empty() and known and is_imported(wanted.source, wanted.version):
        return Imported(wanted.source, None, change, wanted.notes)
    kind = PricingRevision.Kind.CORRECTION if wanted.is_correction else PricingRevision.Kind.IMPORT
    revision = new_revision(kind, f"{wanted.source} {wanted.version}", now=now, summary=change.summary())
    snapshot = known or PricingSnapshot.objects.create(
        source=wanted.source,
        version=wanted.version,
        sha256=digest,
        raw=zlib.compress(wanted.raw),
        imported_revision=revision,
    )
    _Writer(revision, snapshot, now, wanted.layer).apply(change)
    return Imported(wanted.source, revision.pk, change, wanted.notes)


def is_imported(source: str, version: str) -> bool:
    """Whether this version of a list is the one that was imported last; an older one may have come back since."""
    imports = PricingRevision.objects.filter(note__startswith=f"{source} ", author_id=None).order_by("-pk")
    newest = imports.values_list("note", flat=True).first()
    return newest == f"{source} {version}"


class _Writer:
    def __init__(self, revision: PricingRevision, snapshot: PricingSnapshot, now: datetime, layer: Layer) -> None:
        self.revision, self.snapshot, self.now, self.layer = revision, snapshot, now, layer
        self.model_ids: dict[ModelKey, int] = {}

    def apply(self, change: Difference) -> None:
        self._close(change)
        self._write_providers(change)
        self._write_models(change)
        self._write_aliases(change)
        self._write_cards(change.new_cards)
        self._write_policies(change.new_policies)

    def _write_providers(self, change: Difference) -> None:
        Provider.objects.bulk_create(
            [Provider(slug=row.slug, name=row.name) for row in change.providers],
            update_conflicts=True,
            unique_fields=["slug"],
            update_fields=["name"],
        )
        ProviderTerms.objects.bulk_create(
            [
                ProviderTerms(
                    provider_id=row.slug,
                    resells=list(row.resells),
                    model_pattern=row.model_pattern,
                    created_revision=self.revision,
                )
                for row in change.providers
            ]
        )
        ProviderAlias.objects.bulk_create(
            [
                ProviderAlias(
                    alias=row.alias,
                    provider_id=row.provider,
                    source_url=row.source_url,
                    layer=self.layer,
                    created_revision=self.revision,
                )
                for row in change.new_provider_aliases
            ]
        )

    def _write_models(self, change: Difference) -> None:
        PricedModel.objects.bulk_create([PricedModel(provider_id=slug, key=key) for slug, key in change.new_models])
        self.model_ids = {
            (slug, key): pk
            for pk, slug, key in PricedModel.objects.filter(organization_id=None).values_list(
                "pk", "provider_id", "key"
            )
        }
        self._mark(change.dropped_models, self.revision)
        self._mark(change.returned_models, None)

    def _mark(self, models: tuple[ModelKey, ...], dropped_in: PricingRevision | None) -> None:
        ids = [self.model_ids[key] for key in models]
        PricedModel.objects.filter(pk__in=ids).update(dropped_revision=dropped_in)

    def _close(self, change: Difference) -> None:
        changed = [row.slug for row in change.providers]
        closed_aliases = [*change.closed_aliases, *(pk for pk, _ in change.moved_aliases)]
        for rows in (
            ProviderTerms.objects.filter(provider__in=changed, superseded_revision=None),
            ProviderAlias.objects.filter(pk__in=change.closed_provider_aliases),
            ModelAlias.objects.filter(pk__in=closed_aliases),
            RateCard.objects.filter(pk__in=[pk for pk, _ in change.closed_cards]),
            TierPolicy.objects.filter(pk__in=change.closed_policies),
        ):
            rows.update(superseded_revision=self.revision)

    def _write_aliases(self, change: Difference) -> None:
        rows = [self._alias(alias) for alias in change.new_aliases]
        before = ModelAlias.objects.in_bulk([pk for pk, _ in change.moved_aliases])
        for pk, alias in change.moved_aliases:
            past = before[pk]
            past.pk, past.valid_to = None, self.now
            past.created_revision, past.superseded_revision = self.revision, None
            rows += [past, self._alias(replace(alias, valid_from=self.now))]
        ModelAlias.objects.bulk_create(rows, batch_size=5_000)

    def _alias(self, row: AliasRow) -> ModelAlias:
        return ModelAlias(
            provider_id=row.provider,
            match=row.match,
            alias=row.alias,
            rank=row.rank,
            model_id=self.model_ids[row.model],
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            layer=self.layer,
            source_url=row.source_url,
            created_revision=self.revision,
        )

    def _write_cards(self, rows: tuple[CardRow, ...]) -> None:
        cards = RateCard.objects.bulk_create([self._card(row) for row in rows], batch_size=5_000)
        Rate.objects.bulk_create(
            [
                Rate(
                    card=card,
                    meter=rate.meter,
                    prompt_over=rate.prompt_over,
                    usd_per_mtok=rate.usd_per_mtok,
                    is_free=rate.usd_per_mtok == 0,
                )
                for card, row in zip(cards, rows, strict=True)
                for rate in row.rates
            ],
            batch_size=10_000,
        )

    def _card(self, row: CardRow) -> RateCard:
        return RateCard(
            model_id=self.model_ids[row.model],
            tier=row.tier,
            region=row.region,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            weekly_window=row.window.stored() if row.window else None,
            layer=self.layer,
            date_basis=row.date_basis,
            has_other_charges=row.has_other_charges,
            snapshot=self.snapshot,
            source_url=row.source_url,
            created_revision=self.revision,
        )

    def _write_policies(self, rows: tuple[PolicyRow, ...]) -> None:
        policies = TierPolicy.objects.bulk_create(
            [
                TierPolicy(
                    provider_id=row.provider,
                    model_id=self.model_ids[row.model] if row.model else None,
                    model_pattern=row.model_pattern,
                    tier=row.tier,
                    valid_from=row.valid_from,
                    valid_to=row.valid_to,
                    layer=self.layer,
                    source_url=row.source_url,
                    created_revision=self.revision,
                )
                for row in rows
            ]
        )
        TierFactor.objects.bulk_create(
            [
                TierFactor(policy=policy, meter=factor.meter, prompt_over=factor.prompt_over, factor=factor.factor)
                for policy, row in zip(policies, rows, strict=True)
                for factor in row.factors
            ]
        )
