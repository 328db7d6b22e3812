"""The lists that are installed with the product, as the set-up of the tests imported them."""

from datetime import UTC, datetime

import pytest

from pricing.catalog import Catalog, current_revision
from pricing.importers.store import import_all, is_imported, list_versions, price_lists
from pricing.models import ModelAlias, PricingRevision, PricingSnapshot, Rate, RateCard, TierFactor, TierPolicy

pytestmark = pytest.mark.django_db
LATER = datetime(2026, 12, 1, tzinfo=UTC)


def test_importing_the_installed_package_again_changes_nothing(catalog: Catalog) -> None:
    def counts() -> list[int]:
        tables = (PricingRevision, PricingSnapshot, ModelAlias, RateCard, Rate, TierPolicy, TierFactor)
        return [table._default_manager.count() for table in tables]

    before = counts()
    assert min(before) > 0
    for imported in import_all(now=LATER):
        assert imported.revision is None
        assert imported.difference.is_empty()
    assert (counts(), current_revision()) == (before, catalog.revision)


def test_the_snapshot_keeps_the_source_whole(catalog: Catalog) -> None:
    snapshot = PricingSnapshot.objects.get(source="genai-prices")
    assert len(snapshot.raw) < 1_000_000
    assert len(snapshot.sha256) == 32


def test_the_lists_that_would_be_read_are_named_without_reading_them(catalog: Catalog) -> None:
    named = list_versions()
    assert named == tuple((each.source, each.version) for each in price_lists())
    assert all(is_imported(*each) for each in named)
