"""How long pricing takes: python -m bench.pricing. Prints and writes bench/results/pricing.json.

Needs no database: the catalog is built from the installed genai-prices in memory, as `pricing.catalog.load` builds it
from the tables.
"""

import json
import platform
import timeit
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pricing.costs import RateCard, TierFactors, Usage, cost_of, picousd_per_token, total_of
from pricing.importers.genai import read_price_list
from pricing.index import (
    SINCE_EVER,
    UNTIL_FURTHER_NOTICE,
    CardEntry,
    ModelEntry,
    NameEntry,
    NameIndex,
    PolicyEntry,
    ProviderEntry,
    Rows,
    Validity,
)
from pricing.resolution import Catalog

RESULTS = Path(__file__).parent / "results" / "pricing.json"
ROUNDS, EVENTS = 15, 20_000
AT = int(datetime(2026, 5, 5, 10, tzinfo=UTC).timestamp() * 1000)
CALLS: dict[str, tuple[str, str, str, Usage]] = {
    "gpt-4o, cached": ("openai", "gpt-4o", "standard", Usage(1200, 350, 1000)),
    "gpt-4o, cached, batch by policy": ("openai", "gpt-4o", "batch", Usage(1200, 350, 1000)),
    "claude-sonnet-4-5, all six buckets": (
        "anthropic",
        "claude-sonnet-4-5",
        "standard",
        Usage(9000, 900, 5000, 3000, 1000, 300),
    ),
    "gemini-2.5-pro above its threshold": ("google", "gemini-2.5-pro", "standard", Usage(250_000, 900, 0, 0, 0, 300)),
    "a model without a price": ("openai", "my-own-model", "standard", Usage(1200, 350)),
}


def catalog_in_memory() -> Catalog:
    prices = read_price_list()
    ids = {key: number for number, key in enumerate(prices.models, 1)}
    names: defaultdict[str, list[NameEntry]] = defaultdict(list)
    always = Validity(SINCE_EVER, UNTIL_FURTHER_NOTICE)
    for row in prices.aliases:
        names[row.provider].append(NameEntry(row.match, row.alias, row.rank, 10, ids[row.model], always))
    cards: defaultdict[tuple[str, str], list[CardEntry]] = defaultdict(list)
    for number, card in enumerate(prices.cards, 1):
        rates = [(rate.meter, rate.prompt_over, picousd_per_token(rate.usd_per_mtok)) for rate in card.rates]
        validity = Validity(_ms(card.valid_from, SINCE_EVER), _ms(card.valid_to, UNTIL_FURTHER_NOTICE))
        entry = CardEntry(RateCard.of(number, rates), card.tier, card.region, None, 10, card.window, 1, validity)
        cards[card.model].append(entry)
    policies: defaultdict[tuple[str, str], tuple[PolicyEntry, ...]] = defaultdict(tuple)
    for number, policy in enumerate(prices.policies, 1):
        factors = TierFactors(number, tuple((f.meter, f.prompt_over, f.factor) for f in policy.factors))
        model_id = ids[policy.model] if policy.model else None
        policies[policy.provider, policy.tier] += (PolicyEntry(factors, model_id, None, 10, always),)
    return Catalog(
        1,
        Rows(
            {row.slug: ProviderEntry(row.slug, row.resells, None) for row in prices.providers},
            {row.alias: row.provider for row in prices.provider_aliases},
            {provider: NameIndex.of(entries) for provider, entries in names.items()},
            {},
            {number: ModelEntry(number, key[0], key[1], tuple(cards[key])) for key, number in ids.items()},
            policies,
        ),
    )


def _ms(at: datetime | None, otherwise: int) -> int:
    return int(at.timestamp() * 1000) if at else otherwise


def microseconds(call: Callable[[], object]) -> dict[str, float]:
    """Best and median round: the best is the code, the median is the code on this machine today."""
    rounds = sorted(seconds / EVENTS * 1e6 for seconds in timeit.repeat(call, number=EVENTS, repeat=ROUNDS))
    return {"best": round(rounds[0], 2), "median": round(rounds[len(rounds) // 2], 2)}


def main() -> None:
    catalog = catalog_in_memory()
    results: dict[str, dict[str, float]] = {}
    for name, (provider, model, tier, usage) in CALLS.items():
        results[f"price with receipt: {name}"] = microseconds(lambda: catalog.price(provider, model, AT, usage, tier))  # noqa: B023
    usage = Usage(1200, 350, 1000)
    card = catalog.resolve("openai", "gpt-4o", AT).card
    assert card
    results["resolve, warm"] = microseconds(lambda: catalog.resolve("openai", "gpt-4o", AT))
    results["cost_of, receipt"] = microseconds(lambda: cost_of(usage, card))
    results["total_of, no receipt"] = microseconds(lambda: total_of(usage, card))
    unseen = (f"gpt-4o-unseen-{number}" for number in range(10**9))
    results["resolve, a name never seen"] = microseconds(lambda: catalog.resolve("openai", next(unseen), AT))
    for name, figures in results.items():
        print(f"{name:55} {figures['best']:8.2f} µs best  {figures['median']:8.2f} µs median")
    report = {"unit": "microseconds", "python": platform.python_version(), "results": results}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
