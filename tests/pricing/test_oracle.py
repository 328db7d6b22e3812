"""genai-prices itself as the oracle, for every model of it: the same model by name, the same price by date."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot
from genai_prices import types as genai
from pytest_django import DjangoDbBlocker

from pricing.catalog import Catalog, epoch_ms, load
from pricing.costs import TIERS, Tier, Usage, usd
from pricing.models import PricingSnapshot

SNAPSHOT = data_snapshot.get_snapshot()
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
TOKEN_PRICES = {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok"}


@pytest.fixture(scope="module")
def imported(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Catalog:
    """The catalog as the library alone makes it, before the corrections."""
    with django_db_blocker.unblock():
        return load(PricingSnapshot.objects.get(source="genai-prices").imported_revision_id)


def names(clause: genai.MatchLogic) -> Iterator[str]:
    match clause:
        case genai.ClauseOr():
            for inner in clause.or_:
                yield from names(inner)
        case genai.ClauseEquals():
            yield clause.equals
        case genai.ClauseStartsWith():
            yield from (clause.starts_with, f"{clause.starts_with}-001", f"{clause.starts_with}x-latest")
        case genai.ClauseContains():
            yield from (clause.contains, f"us.{clause.contains}-v1:0")
        case genai.ClauseEndsWith():
            yield from (clause.ends_with, f"foo/{clause.ends_with}")


def expected_model(provider: genai.Provider, name: str) -> str:
    try:
        return SNAPSHOT.find_provider_model(name, None, provider.id, None)[1].id
    except LookupError:
        return ""


@pytest.mark.parametrize("provider", SNAPSHOT.providers, ids=lambda provider: provider.id)
def test_names_resolve_to_the_same_model(imported: Catalog, provider: genai.Provider) -> None:
    sellers = [p for p in SNAPSHOT.providers if p.id in (provider.id, *(provider.fallback_model_providers or ()))]
    sent = {name for seller in sellers for model in seller.models for name in (model.id, *names(model.match))}
    assert sent
    found = {name: imported.resolve(provider.id, name, epoch_ms(NOON)).model for name in sent}
    assert found == {name: expected_model(provider, name) for name in sent}


@pytest.mark.parametrize("at", [datetime(2025, 1, 15, 12, tzinfo=UTC), datetime(2026, 4, 1, 12, tzinfo=UTC), NOON])
@pytest.mark.parametrize("prompt", [90_000, 300_000])
def test_the_standard_price_agrees(imported: Catalog, at: datetime, prompt: int) -> None:
    usage = Usage(prompt, 5_000, 20_000, 7_000, 2_000)
    oracle_usage = genai_prices.Usage(
        input_tokens=prompt,
        cache_read_tokens=20_000,
        cache_write_tokens=7_000,
        cache_write_1h_tokens=2_000,
        output_tokens=5_000,
    )
    compared, rounded = 0, 0
    for provider, model in ((p, m) for p in SNAPSHOT.providers for m in p.models):
        prices = {key for key, price in vars(model.get_prices(at)).items() if price is not None}
        name = next(names(model.match), model.id)
        cost = imported.price(provider.id, name, epoch_ms(at), usage)
        if prices <= TOKEN_PRICES and {"input_mtok", "output_mtok"} <= prices:
            _, oracle = SNAPSHOT.find_provider_model(name, None, provider.id, None)
            expected = oracle.calc_price(oracle_usage, provider, genai_request_timestamp=at).total_price
            assert cost.picousd is not None
            # The only difference allowed is what rounding a rate to six decimals makes: half a picousd a token.
            assert abs(usd(cost.picousd) - expected) <= (prompt + 5_000) * Decimal("0.5e-12"), (provider.id, name)
            rounded += usd(cost.picousd) != expected
            compared += 1
    assert compared > 1_500
    assert rounded < 30


def test_every_tier_variant_of_the_package_agrees_at_its_date(imported: Catalog) -> None:
    keys: dict[Tier, str] = {"batch": "processing", "flex": "service_tier", "priority": "service_tier"}
    usage, oracle_usage = Usage(1_000, 500), genai_prices.Usage(input_tokens=1_000, output_tokens=500)
    compared = dict.fromkeys(TIERS[1:], 0)
    for provider, model in ((p, m) for p in SNAPSHOT.providers for m in p.models):
        for tier, key in keys.items():
            context = {key: tier}
            prices = vars(model.get_prices(NOON, context))
            if {"input_mtok", "output_mtok"} <= set(prices) and any(
                v.when == context for v in model.price_variants or ()
            ):
                expected = model.calc_price(oracle_usage, provider, genai_request_timestamp=NOON, price_context=context)
                cost = imported.price(provider.id, next(names(model.match), model.id), epoch_ms(NOON), usage, tier)
                assert cost.picousd is not None
                assert usd(cost.picousd) == expected.total_price, (provider.id, model.id, tier)
                compared[tier] += 1
    assert min(compared.values()) > 20
