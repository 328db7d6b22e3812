"""The one place that writes imported prices: a price list becomes one revision, or nothing when nothing changed."""

import hashlib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction

from pricing.importers.current import IMPORT_LAYER, CurrentCatalog
from pricing.importers.difference import Difference, difference
from pricing.importers.rows import AliasRow, CardRow, ModelKey, PolicyRow, PriceList
from pricing.models import (
    ModelAlias,
    PricedModel,
    PricingRevision,
    PricingSnapshot,
    Provider,
    ProviderAlias,
    Rate,
    RateCard,
    TierFactor,
    TierPolicy,
)

# Any constant: it only has to differ from the other advisory locks of the application.
_IMPORT_LOCK = 0x5072_6963_6573


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did; revision is None when the catalog already agreed with the source."""

    revision: int | None
    difference: Difference
    notes: tuple[str, ...]


def import_genai_prices(*, now: datetime | None = None, dry_run: bool = False) -> Imported:
    """Imports the installed genai-prices. Idempotent; not for servers, as it loads that package (31 MiB)."""
    from pricing.importers.genai import read_price_list  # the package must not be loaded by importing this module

    return import_price_list(read_price_list(), now=now or datetime.now(UTC), dry_run=dry_run)


def import_price_list(wanted: PriceList, *, now: datetime, dry_run: bool = False) -> Imported:
    """Brings the import layer of the catalog to what the list says, in one transaction and one revision.

    A name that the source gave to another model moves at `now`: events before keep the model they were sent to.
    """
    with transaction.atomic():
        # Two importers would both see the same difference and the second one would fail on its constraints.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_IMPORT_LOCK])
        change = difference(wanted, CurrentCatalog.read())
        digest = hashlib.sha256(wanted.raw).digest()
        known = PricingSnapshot.objects.filter(sha256=digest).first()
        if dry_run or (change.is_empty() and known):
            return Imported(None, change, wanted.notes)
        note = f"{wanted.source} {wanted.version}"
        revision = PricingRevision.objects.create(created_at=now, kind="import", note=note, summary=change.summary())
        snapshot = known or PricingSnapshot.objects.create(
            source=wanted.source,
            version=wanted.version,
            sha256=digest,
            raw=zlib.compress(wanted.raw),
            imported_revision=revision,
        )
        _Writer(revision, snapshot, now).apply(change)
    return Imported(revision.pk, change, wanted.notes)


class _Writer:
    def __init__(self, revision: PricingRevision, snapshot: PricingSnapshot, now: datetime) -> None:
        self.revision, self.snapshot, self.now = revision, snapshot, now
        self.model_ids: dict[ModelKey, int] = {}

    def apply(self, change: Difference) -> None:
        self._write_providers(change)
        self._write_models(change)
        self._close(change)
        self._write_aliases(change)
        self._write_cards(change.new_cards)
        self._write_policies(change.new_policies)

    def _write_providers(self, change: Difference) -> None:
        Provider.objects.bulk_create(
            [
                Provider(slug=p.slug, name=p.name, resells=list(p.resells), model_pattern=p.model_pattern)
                for p in change.providers
            ],
            update_conflicts=True,
            unique_fields=["slug"],
            update_fields=["name", "resells", "model_pattern"],
        )
        ProviderAlias.objects.bulk_create(
            [ProviderAlias(alias=alias, provider_id=slug) for alias, slug in change.provider_aliases],
            update_conflicts=True,
            unique_fields=["alias"],
            update_fields=["provider"],
        )

    def _write_models(self, change: Difference) -> None:
        PricedModel.objects.bulk_create([PricedModel(provider_id=slug, key=key) for slug, key in change.new_models])
        self.model_ids = {
            (slug, key): pk for pk, slug, key in PricedModel.objects.values_list("pk", "provider_id", "key")
        }
        self._mark(change.dropped_models, self.revision)
        self._mark(change.returned_models, None)

    def _mark(self, models: tuple[ModelKey, ...], dropped_in: PricingRevision | None) -> None:
        ids = [self.model_ids[key] for key in models]
        PricedModel.objects.filter(pk__in=ids).update(dropped_revision=dropped_in)

    def _close(self, change: Difference) -> None:
        closed_aliases = [*change.closed_aliases, *(pk for pk, _ in change.moved_aliases)]
        ModelAlias.objects.filter(pk__in=closed_aliases).update(superseded_revision=self.revision)
        closed_cards = [pk for pk, _ in change.closed_cards]
        RateCard.objects.filter(pk__in=closed_cards).update(superseded_revision=self.revision)
        TierPolicy.objects.filter(pk__in=change.closed_policies).update(superseded_revision=self.revision)

    def _write_aliases(self, change: Difference) -> None:
        reordered = [ModelAlias(pk=pk, rank=rank) for pk, rank in change.reordered_aliases]
        ModelAlias.objects.bulk_update(reordered, ["rank"], batch_size=1_000)
        rows = [self._alias(alias) for alias in change.new_aliases]
        before = ModelAlias.objects.in_bulk([pk for pk, _ in change.moved_aliases])
        for pk, alias in change.moved_aliases:
            past = before[pk]
            past.pk, past.valid_to = None, self.now
            past.created_revision, past.superseded_revision = self.revision, None
            rows += [past, self._alias(alias, valid_from=self.now)]
        ModelAlias.objects.bulk_create(rows, batch_size=5_000)

    def _alias(self, row: AliasRow, valid_from: datetime | None = None) -> ModelAlias:
        return ModelAlias(
            provider_id=row.provider,
            match=row.match,
            alias=row.alias,
            rank=row.rank,
            model_id=self.model_ids[row.model],
            valid_from=valid_from,
            layer=IMPORT_LAYER,
            created_revision=self.revision,
        )

    def _write_cards(self, rows: tuple[CardRow, ...]) -> None:
        cards = RateCard.objects.bulk_create([self._card(row) for row in rows], batch_size=5_000)
        Rate.objects.bulk_create(
            [
                Rate(card=card, meter=rate.meter, prompt_over=rate.prompt_over, usd_per_mtok=rate.usd_per_mtok)
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
            layer=IMPORT_LAYER,
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
                    layer=IMPORT_LAYER,
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
