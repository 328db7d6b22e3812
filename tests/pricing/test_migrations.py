"""Migrations of the catalog keep what is in it: a database of an earlier version, with rows, brought up to date."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from pricing.catalog import epoch_ms, load
from pricing.models import ModelAlias, PricingRevision, ProviderAlias, RateCard

NAME = "test_older_catalog"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
SOURCE = "https://acme.example/prices"


@pytest.fixture
def empty_database(committed_db: None) -> Iterator[None]:
    """Another database of the same server in place of the tests' own, without any table."""
    usual = connections["default"]
    with usual.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {NAME}")
        cursor.execute(f"CREATE DATABASE {NAME} TEMPLATE template0")
    other = type(usual)({**usual.settings_dict, "NAME": NAME}, alias="default")
    connections["default"] = other
    yield
    other.close()
    connections["default"] = usual
    with usual.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {NAME}")


def migrate(name: str) -> Apps:
    """The models as they are after this migration."""
    executor = MigrationExecutor(connections["default"])
    target = ("pricing", name)
    executor.migrate([target])
    return executor.loader.project_state(target).apps


def create(apps: Apps, table: str, /, **fields: Any) -> Any:
    return apps.get_model("pricing", table)._default_manager.create(**fields)


def test_names_and_prices_of_the_first_catalog_are_kept(empty_database: None) -> None:
    old = migrate("0001_price_catalog")
    first, second = (
        create(old, "PricingRevision", created_at=NOW, kind="import", note=note, summary={}) for note in ("1", "2")
    )
    acme = create(old, "Provider", slug="acme", name="Acme", model_pattern="^acme-.*$")
    shop = create(old, "Provider", slug="shop", name="Shop", resells=["acme"])
    create(old, "ProviderAlias", alias="acme-inc", provider=acme)
    model = create(old, "PricedModel", provider=acme, key="m")
    for name in ("m-1", "acme-1"):
        create(
            old, "ModelAlias", provider=acme, alias=name, match="exact", model=model, layer=10, created_revision=first
        )
    for usd, made, replaced in ((1, first, second), (2, second, None)):
        card = create(
            old,
            "RateCard",
            model=model,
            tier="standard",
            layer=10,
            date_basis="assumed",
            source_url=SOURCE,
            created_revision=made,
            superseded_revision=replaced,
        )
        create(old, "Rate", card=card, meter="input", usd_per_mtok=Decimal(usd))
    assert shop.resells == ["acme"]

    migrate("0002_append_only_names")
    at = epoch_ms(NOW)
    for revision, picousd in ((first.pk, 1_000_000), (second.pk, 2_000_000)):
        catalog = load(revision)
        for provider in ("acme", "acme-inc", "shop"):
            found = catalog.resolve(provider, "m-1", at)
            assert found.card
            assert found.card.bands[0].per_token[0] == picousd
        assert catalog.resolve("", "acme-1", at).provider == "acme"
    assert [(row.alias, row.layer, row.created_revision_id) for row in ProviderAlias.objects.all()] == [
        ("acme-inc", 10, first.pk)
    ]
    assert ProviderAlias.objects.get().source_url.startswith("https://")
    assert all(name.source_url.startswith("https://") for name in ModelAlias.objects.all())
    assert (RateCard.objects.count(), PricingRevision.objects.count()) == (2, 2)
    # New rows of today's code go beside the kept ones.
    ProviderAlias.objects.create(
        alias="acme-llc", provider_id="acme", layer=20, source_url=SOURCE, created_revision_id=second.pk
    )


def test_an_empty_catalog_is_brought_up_to_date_too(empty_database: None) -> None:
    migrate("0001_price_catalog")
    migrate("0002_append_only_names")
    assert load().resolve("openai", "gpt-4o", epoch_ms(NOW)).status == "unpriced_provider"
