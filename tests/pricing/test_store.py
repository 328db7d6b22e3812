"""Importing: idempotent, append-only, and guarded by the database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from pricing.catalog import Catalog, current_revision, epoch_ms, load
from pricing.importers.rows import (
    AliasRow,
    CardRow,
    FactorRow,
    PolicyRow,
    PriceList,
    ProviderAliasRow,
    ProviderRow,
    RateRow,
)
from pricing.importers.store import import_price_list, is_imported
from pricing.models import ModelAlias, PricingRevision, PricingSnapshot, Rate, RateCard

pytestmark = pytest.mark.usefixtures("no_prices")
SOURCE = "https://acme.example"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)
AT = epoch_ms(datetime(2026, 6, 1, tzinfo=UTC))
AFTER = epoch_ms(datetime(2027, 1, 1, tzinfo=UTC))


def card(key: str, usd: str, start: datetime | None = None, end: datetime | None = None) -> CardRow:
    rates = (RateRow("input", 0, Decimal(usd)), RateRow("output", 0, Decimal(usd)))
    return CardRow(("acme", key), "standard", start, end, None, "assumed", False, SOURCE, rates)


def price_list(version: str, cards: Sequence[CardRow], names: dict[str, str] | None = None) -> PriceList:
    keys = tuple(dict.fromkeys(row.model for row in cards))
    aliases = names if names is not None else {key: key for _, key in keys}
    return PriceList(
        source="acme-prices",
        version=version,
        raw=version.encode(),
        providers=(ProviderRow("acme", "Acme"),),
        provider_aliases=(ProviderAliasRow("acme-inc", "acme", SOURCE),),
        models=keys,
        aliases=tuple(AliasRow("acme", "exact", alias, 0, ("acme", key), SOURCE) for alias, key in aliases.items()),
        cards=tuple(cards),
        policies=(),
    )


def rate(catalog: Catalog, model: str, at: int = AT) -> int | None:
    found = catalog.resolve("acme", model, at).card
    return found.bands[0].per_token[0] if found else None


def test_a_dry_run_shows_the_difference_and_writes_nothing() -> None:
    before = current_revision()
    imported = import_price_list(price_list("1", [card("m", "1")]), now=NOW, dry_run=True)
    assert (imported.revision, imported.difference.new_models) == (None, (("acme", "m"),))
    assert current_revision() == before
    assert load().resolve("acme", "m", AT).status == "unpriced_provider"


def test_a_price_change_supersedes_the_old_card_and_keeps_it() -> None:
    first = import_price_list(price_list("1", [card("m", "1")]), now=NOW).revision
    second = import_price_list(price_list("2", [card("m", "1", None, NOW), card("m", "2", NOW)]), now=NOW).revision
    assert first
    assert second
    assert [rate(load(), "m", at) for at in (AT, AFTER)] == [1_000_000, 2_000_000]
    assert [rate(load(first), "m", at) for at in (AT, AFTER)] == [1_000_000, 1_000_000]
    old = RateCard.objects.get(model__key="m", created_revision=first)
    assert (old.superseded_revision_id, old.rates.count()) == (second, 2)
    assert PricingRevision.objects.get(pk=second).summary["repriced_models"] == ["acme/m"]


def test_a_dropped_model_keeps_its_names_and_prices_and_may_return() -> None:
    both = [card("m", "1"), card("old", "3")]
    import_price_list(price_list("1", both), now=NOW)
    dropped = import_price_list(price_list("2", [card("m", "1")]), now=NOW)
    assert ("acme", "old") in dropped.difference.dropped_models
    assert [rate(load(), "old", at) for at in (AT, AFTER)] == [3_000_000, 3_000_000]
    again = import_price_list(price_list("2", [card("m", "1")]), now=NOW)
    assert again.revision is None
    returned = import_price_list(price_list("3", both), now=NOW)
    assert returned.difference.returned_models == (("acme", "old"),)
    assert returned.difference.new_cards == ()


def test_a_name_given_to_another_model_moves_at_the_import() -> None:
    cards = [card("m", "1"), card("n", "2")]
    import_price_list(price_list("1", cards, {"latest": "m"}), now=NOW)
    moved = price_list("2", cards, {"latest": "n"})
    import_price_list(moved, now=LATER)
    assert [rate(load(), "latest", at) for at in (AT, AFTER)] == [1_000_000, 2_000_000]
    assert import_price_list(moved, now=LATER).revision is None
    import_price_list(price_list("3", cards, {"latest": "m"}), now=datetime(2027, 2, 1, tzinfo=UTC))
    late = epoch_ms(datetime(2027, 3, 1, tzinfo=UTC))
    assert [rate(load(), "latest", at) for at in (AT, AFTER, late)] == [1_000_000, 2_000_000, 1_000_000]


def test_a_withdrawn_name_of_a_listed_model_is_closed() -> None:
    import_price_list(price_list("1", [card("m", "1")], {"m": "m", "wrong": "m"}), now=NOW)
    import_price_list(price_list("2", [card("m", "1")], {"m": "m"}), now=NOW)
    assert load().resolve("acme", "wrong", AT).status == "unpriced_model"


def test_a_new_version_with_the_same_prices_is_recorded() -> None:
    import_price_list(price_list("1", [card("m", "1")]), now=NOW)
    imported = import_price_list(price_list("2", [card("m", "1")]), now=NOW)
    assert imported.difference.is_empty()
    assert PricingSnapshot.objects.get(source="acme-prices", version="2").imported_revision_id == imported.revision


def test_what_a_provider_resells_is_kept_by_revision() -> None:
    shop = ProviderRow("shop", "Shop", resells=("acme",), model_pattern="^shop-.*$")
    first = replace(price_list("1", [card("m", "1")]), providers=(ProviderRow("acme", "Acme"), shop))
    then = import_price_list(first, now=NOW).revision
    alone = replace(shop, resells=(), model_pattern="")
    second = replace(first, raw=b"2", version="2", providers=(ProviderRow("acme", "Acme"), alone))
    import_price_list(second, now=NOW)
    assert [load(revision).resolve("shop", "m", AT).status for revision in (then, None)] == ["priced", "unpriced_model"]
    assert import_price_list(second, now=NOW).difference.is_empty()
    back = import_price_list(replace(first, raw=b"3", version="3"), now=NOW)
    assert back.difference.providers == (shop,)
    assert load().resolve("shop", "m", AT).status == "priced"


def test_another_spelling_of_a_provider_is_kept_by_revision() -> None:
    first = price_list("1", [card("m", "1")])
    then = import_price_list(first, now=NOW).revision
    renamed = replace(first, raw=b"2", version="2", provider_aliases=(ProviderAliasRow("acme-llc", "acme", SOURCE),))
    import_price_list(renamed, now=NOW)
    found = [
        [load(revision).resolve(name, "m", AT).status for name in ("acme-inc", "acme-llc")] for revision in (then, None)
    ]
    assert found == [["priced", "unpriced_provider"], ["unpriced_provider", "priced"]]


def test_a_correction_s_spelling_wins_over_an_imported_one() -> None:
    other = replace(
        price_list("1", [card("m", "1")]), providers=(ProviderRow("acme", "Acme"), ProviderRow("other", "O"))
    )
    import_price_list(other, now=NOW)
    corrected = replace(
        price_list("2", []),
        source="corrections.yaml",
        layer=20,
        providers=(),
        provider_aliases=(ProviderAliasRow("acme-inc", "other", SOURCE),),
    )
    import_price_list(corrected, now=NOW)
    assert load().resolve("acme-inc", "m", AT).provider == "other"
    import_price_list(replace(corrected, raw=b"3", version="3", provider_aliases=()), now=NOW)
    assert load().resolve("acme-inc", "m", AT).provider == "acme"


def test_a_tier_rule_that_the_source_no_longer_states_ends() -> None:
    rule = PolicyRow("acme", None, "batch", SOURCE, (FactorRow("input", 0, Decimal("0.5")),))
    first = replace(price_list("1", [card("m", "1")]), policies=(rule,))
    then = import_price_list(first, now=NOW).revision
    import_price_list(price_list("2", [card("m", "1")]), now=NOW)
    found = [load(revision).resolve("acme", "m", AT, "batch").status for revision in (then, None)]
    assert found == ["priced", "unpriced_tier"]


def test_which_version_of_a_list_was_imported_last() -> None:
    def versions() -> list[bool]:
        return [is_imported("acme-prices", version) for version in ("1", "2")]

    first, second = (price_list(version, [card("m", "1")]) for version in ("1", "2"))
    assert versions() == [False, False]
    for wanted, expected in ((first, [True, False]), (second, [False, True]), (first, [True, False])):
        import_price_list(wanted, now=NOW)
        assert versions() == expected
    PricingRevision.objects.create(
        created_at=NOW, author_id=7, kind="override", note="acme-prices is wrong", summary={}
    )
    assert versions() == [True, False]


@pytest.fixture
def stored_card() -> RateCard:
    import_price_list(price_list("1", [card("m", "1", None, NOW)]), now=NOW)
    return RateCard.objects.get(model__provider="acme")


def copy_of(row: RateCard, **changes: object) -> RateCard:
    twin = RateCard.objects.get(pk=row.pk)
    twin.pk = None
    for name, value in changes.items():
        setattr(twin, name, value)
    return twin


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({}, "pricing_rate_card_no_overlap"),
        ({"valid_from": datetime(2026, 1, 1, tzinfo=UTC), "valid_to": None}, "pricing_rate_card_no_overlap"),
        ({"valid_from": LATER, "valid_to": NOW}, "pricing_rate_card_validity"),
        ({"tier": "auto"}, "pricing_rate_card_tier"),
        ({"layer": 15}, "pricing_rate_card_layer"),
        ({"source_url": ""}, "pricing_rate_card_source"),
    ],
)
def test_the_database_refuses(stored_card: RateCard, changes: dict[str, object], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        copy_of(stored_card, **changes).save()


@pytest.mark.parametrize(
    "changes",
    [
        {"valid_from": NOW, "valid_to": None},
        {"organization_id": 7},
        {"tier": "batch"},
        {"region": "eu"},
        {"layer": 20},
        {"weekly_window": {"tz": "UTC", "days": [1], "ranges": [["01:00", "02:00"]]}},
    ],
)
def test_the_database_allows_what_does_not_overlap(stored_card: RateCard, changes: dict[str, object]) -> None:
    copy_of(stored_card, **changes).save()
    assert RateCard.objects.filter(model=stored_card.model).count() == 2


def test_a_superseded_card_may_be_overlapped(stored_card: RateCard) -> None:
    stored_card.superseded_revision = stored_card.created_revision
    stored_card.save()
    copy_of(stored_card, superseded_revision=None).save()
    assert RateCard.objects.filter(model=stored_card.model).count() == 2


@pytest.mark.parametrize(("usd", "is_free"), [("0", False), ("1", True), ("-1", False)])
def test_a_zero_price_counts_only_where_it_is_marked(stored_card: RateCard, usd: str, is_free: bool) -> None:
    with pytest.raises(IntegrityError, match="pricing_rate_zero_only_if_free"), transaction.atomic():
        Rate.objects.create(card=stored_card, meter="reasoning", usd_per_mtok=Decimal(usd), is_free=is_free)


def test_a_free_meter_costs_nothing_and_is_priced(stored_card: RateCard) -> None:
    Rate.objects.create(card=stored_card, meter="cache_read", usd_per_mtok=Decimal(0), is_free=True)
    found = load().resolve("acme", "m", AT).card
    assert found
    assert found.bands[0].listed()["cache_read"] == 0


@pytest.mark.parametrize("alias", ["gpt", "^gpt", "gpt$"])
def test_an_unanchored_expression_is_refused(stored_card: RateCard, alias: str) -> None:
    name = ModelAlias.objects.get(provider="acme")
    name.pk, name.match, name.alias = None, "regex", alias
    with pytest.raises(IntegrityError, match="pricing_model_alias_anchored"), transaction.atomic():
        name.save()


def test_rows_of_an_import_are_equal_after_a_round_trip() -> None:
    wanted = price_list("1", [replace(card("m", "1.234567"), has_other_charges=True, date_basis="documented")])
    import_price_list(wanted, now=NOW)
    assert import_price_list(wanted, now=NOW).difference.is_empty()
