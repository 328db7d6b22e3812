from datetime import datetime

import pytest

from pricing.catalog import Catalog, epoch_ms
from pricing.costs import Usage
from pricing.models import RateCard
from pricing.receipts import CardReference, explain

AT = epoch_ms(datetime.fromisoformat("2026-05-05T10:00Z"))
USAGE = Usage(1200, 350, 1000, reasoning_tokens=100)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("provider", "model", "tier", "rate_from"),
    [
        ("openai", "gpt-4o", "standard", "card"),
        ("openai", "gpt-4o", "batch", "policy"),
        ("openai", "o3", "priority", "policy"),
        ("anthropic", "claude-sonnet-4-5", "standard", "card"),
    ],
)
def test_a_receipt_is_rebuilt_from_the_reference(
    catalog: Catalog, provider: str, model: str, tier: str, rate_from: str
) -> None:
    cost = catalog.price(provider, model, AT, USAGE, tier)
    assert cost.card_id
    receipt = explain(CardReference(cost.card_id, cost.tier_policy_id), USAGE)
    assert receipt.cost == cost
    assert sum(line.cost_picousd for line in receipt.cost.lines) == cost.picousd
    assert (receipt.provider, receipt.model, receipt.tier) == (provider, model, tier)
    assert (receipt.rate_from, receipt.superseded) == (rate_from, False)
    assert receipt.source.startswith("genai-prices ")
    assert receipt.source_url.startswith("https://")


@pytest.mark.django_db
def test_a_replaced_card_still_explains_old_costs(catalog: Catalog) -> None:
    cost = catalog.price("openai", "gpt-4o", AT, USAGE)
    assert cost.card_id
    RateCard.objects.filter(pk=cost.card_id).update(superseded_revision=catalog.revision)
    receipt = explain(CardReference(cost.card_id), USAGE)
    assert (receipt.cost, receipt.superseded) == (cost, True)


@pytest.mark.django_db
def test_a_wrong_reference_is_an_error() -> None:
    with pytest.raises(RateCard.DoesNotExist):
        explain(CardReference(-1), USAGE)
