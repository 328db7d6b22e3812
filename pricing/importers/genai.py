"""The installed genai-prices package as rows. Imported by the import command only, never while pricing an event."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from importlib.resources import files

from genai_prices import data_snapshot
from genai_prices import types as genai

from pricing.importers.genai_models import PricesOfModel, Skipped
from pricing.importers.provider_names import PROVIDER_NAMES
from pricing.importers.rows import AliasRow, Match, ModelKey, PriceList, ProviderAliasRow, ProviderRow

SOURCE = "genai-prices"
LIBRARY_URL = "https://github.com/pydantic/genai-prices"


def read_price_list(snapshot: data_snapshot.DataSnapshot | None = None) -> PriceList:
    """Everything the installed genai-prices knows about token prices; no network, no clock.

    Models without any token price stay in the list without a card: they are known, and unpriced.
    """
    providers = (snapshot or data_snapshot.get_snapshot()).providers
    skipped: Skipped = Counter()
    prices = [
        PricesOfModel.of((provider.id, model.id), model, _source_url(provider), skipped)
        for provider in providers
        for model in provider.models
    ]
    return PriceList(
        source=SOURCE,
        version=version("genai-prices"),
        raw=files("genai_prices").joinpath("data.py").read_bytes(),
        providers=tuple(_provider_row(provider) for provider in providers),
        provider_aliases=tuple(_provider_aliases({provider.id for provider in providers})),
        models=tuple(found.model for found in prices),
        aliases=tuple(alias for provider in providers for alias in _aliases(provider)),
        cards=tuple(card for found in prices for card in found.cards),
        policies=tuple(policy for found in prices for policy in found.policies),
        notes=tuple(f"{reason}: {count}" for reason, count in sorted(skipped.items())),
    )


def _source_url(provider: genai.Provider) -> str:
    return (provider.pricing_urls or [LIBRARY_URL])[0]


def _provider_row(provider: genai.Provider) -> ProviderRow:
    pattern = _pattern(provider.model_match) if provider.model_match else ""
    return ProviderRow(provider.id, provider.name, tuple(provider.fallback_model_providers or ()), pattern)


def _provider_aliases(slugs: set[str]) -> Iterator[ProviderAliasRow]:
    for slug, names in PROVIDER_NAMES.items():
        if slug in slugs:
            yield from (ProviderAliasRow(name, slug, LIBRARY_URL) for name in names if name not in slugs)


def _aliases(provider: genai.Provider) -> Iterator[AliasRow]:
    """The names of a provider's models. The package takes the first model that matches, so the first claim stays."""
    seen: set[tuple[Match, str]] = set()
    for rank, model in enumerate(provider.models):
        key: ModelKey = (provider.id, model.id)
        for match, alias in _names(model.match):
            if (match, alias) not in seen:
                seen.add((match, alias))
                yield AliasRow(provider.id, match, alias, rank if match == "regex" else 0, key, LIBRARY_URL)


def _names(clause: genai.MatchLogic) -> Iterator[tuple[Match, str]]:
    match clause:
        case genai.ClauseOr():
            for inner in clause.or_:
                yield from _names(inner)
        case genai.ClauseEquals():
            yield "exact", clause.equals.lower()
        case genai.ClauseStartsWith():
            yield "prefix", clause.starts_with.lower()
        case _:
            yield "regex", _pattern(clause)


def _pattern(clause: genai.MatchLogic) -> str:
    """The clause as an expression anchored at both ends, over lower-case names."""
    match clause:
        case genai.ClauseOr():
            return f"^(?:{'|'.join(_pattern(inner) for inner in clause.or_)})$"
        case genai.ClauseAnd():
            return f"^{_all_of(clause.and_)}.*$"
        case genai.ClauseEquals():
            return f"^{re.escape(clause.equals.lower())}$"
        case genai.ClauseStartsWith():
            return f"^{re.escape(clause.starts_with.lower())}.*$"
        case genai.ClauseEndsWith():
            return f"^.*{re.escape(clause.ends_with.lower())}$"
        case genai.ClauseContains():
            return f"^.*{re.escape(clause.contains.lower())}.*$"
        case genai.ClauseRegex():
            anchored = clause.regex.startswith("^") and clause.regex.endswith("$") and "|" not in clause.regex
            return clause.regex if anchored else f"^.*?(?:{clause.regex}).*$"
    raise TypeError(f"unknown match clause {clause!r}")


def _all_of(clauses: Iterable[genai.MatchLogic]) -> str:
    return "".join(f"(?={_pattern(inner)})" for inner in clauses)
