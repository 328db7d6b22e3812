"""The project's own corrections.yaml as rows: what the imported library lacks or says wrongly, each with its source.

The file is grouped by provider; docs/operations.md describes it. Everything in it is checked here, so that a slip is
told with the place where it stands.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import yaml

from pricing.costs import METERS, Meter, Tier
from pricing.importers.rows import (
    AliasRow,
    CardRow,
    DateBasis,
    FactorRow,
    Match,
    ModelKey,
    PolicyRow,
    PriceList,
    ProviderAliasRow,
    RateRow,
)
from pricing.windows import WeeklyWindow

PATH: Final = Path(__file__).resolve().parent.parent / "corrections.yaml"
SOURCE: Final = "corrections.yaml"
_SIX_DECIMALS: Final = Decimal("0.000001")

Rates = dict[Meter, Decimal]


class _Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    source: str
    note: str = ""


class _Dated(_Entry, kw_only=True):
    start: str | None = msgspec.field(name="from", default=None)
    end: str | None = msgspec.field(name="to", default=None)

    def span(self) -> tuple[datetime | None, datetime | None]:
        return _moment(self.start), _moment(self.end)


class _Alias(_Entry, kw_only=True):
    alias: str


class _Model(_Entry, kw_only=True):
    model: str


class _Name(_Dated, kw_only=True):
    name: str
    model: str
    match: Match = "exact"
    of: str | None = None
    """The provider whose model it is, where that is another one (a resold model)."""


class _Window(msgspec.Struct, forbid_unknown_fields=True):
    tz: str
    days: list[int]
    ranges: list[tuple[str, str]]


class _Card(_Dated, kw_only=True):
    model: str
    rates: Rates
    above: dict[int, Rates] = {}
    tier: Tier = "standard"
    region: str = "global"
    window: _Window | None = None
    basis: DateBasis = "documented"
    has_other_charges: bool = False


class _Tiers(_Dated, kw_only=True):
    tier: Literal["batch", "flex", "priority"]
    factors: Rates
    above: dict[int, Rates] = {}
    model: str | None = None
    models: str = ""


class _Offered(_Entry, kw_only=True):
    tier: Literal["batch", "flex", "priority"]
    start: str = msgspec.field(name="from")


class _Provider(msgspec.Struct, forbid_unknown_fields=True):
    offered: list[_Offered] = []
    aliases: list[_Alias] = []
    models: list[_Model] = []
    names: list[_Name] = []
    cards: list[_Card] = []
    tiers: list[_Tiers] = []


def read_corrections(path: Path = PATH) -> PriceList:
    """The corrections as a price list of layer 20. Raises ValueError that names the file and the place in it."""
    raw = path.read_bytes()
    try:
        providers = msgspec.convert(yaml.load(raw, _ExactLoader) or {}, dict[str, _Provider])  # noqa: S506  it is a SafeLoader
        rows = [(slug, each) for slug, each in providers.items()]
        return PriceList(
            source=SOURCE,
            version=version_of(path),
            raw=raw,
            providers=(),
            provider_aliases=tuple(ProviderAliasRow(a.alias, slug, a.source) for slug, p in rows for a in p.aliases),
            models=tuple((slug, model.model) for slug, p in rows for model in p.models),
            aliases=tuple(_alias(slug, name) for slug, p in rows for name in p.names),
            cards=tuple(_card(slug, card) for slug, p in rows for card in p.cards),
            policies=tuple(_policy(slug, tier) for slug, p in rows for tier in p.tiers),
            layer=20,
            offered_since=tuple(_offered(slug, offered) for slug, p in rows for offered in p.offered),
        )
    except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from None


def version_of(path: Path) -> str:
    """The version of the file: the start of its SHA-256, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


class _ExactLoader(yaml.SafeLoader):
    """Numbers with a point become decimals, dates stay text: a price is never a float. No key may be there twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        # YAML's own way is to let the later one win: a provider's second section would hide its first.
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _text(loader: Any, node: Any) -> str:
    return str(loader.construct_scalar(node))


_ExactLoader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(_text(loader, node)))
_ExactLoader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def _offered(slug: str, offered: _Offered) -> tuple[str, Tier, datetime]:
    with _placed(f"{slug}: offered {offered.tier}"):
        _checked(offered)
        start = _moment(offered.start)
    assert start is not None
    return slug, offered.tier, start


def _alias(slug: str, name: _Name) -> AliasRow:
    where = f"{slug}: name {name.name}"
    if name.match == "regex":
        _check_pattern(name.name, where)
    elif name.name != name.name.lower():
        raise ValueError(f"{where}: names are compared in lower case")
    model: ModelKey = (name.of or slug, name.model)
    with _placed(where):
        return AliasRow(slug, name.match, name.name, 0, model, _checked(name), *name.span())


def _card(slug: str, card: _Card) -> CardRow:
    where = f"{slug}: card of {card.model} from {card.start}"
    with _placed(where):
        window = WeeklyWindow.parse(msgspec.to_builtins(card.window)) if card.window else None
        source, span = _checked(card), card.span()
    rates = tuple(sorted(_rates({0: card.rates, **card.above}, where)))
    if not rates:
        raise ValueError(f"{where}: has no rates")
    return CardRow(
        (slug, card.model), card.tier, *span, window, card.basis, card.has_other_charges, source, rates, card.region
    )


def _rates(by_threshold: Mapping[int, Rates], where: str) -> Iterator[RateRow]:
    for prompt_over, rates in by_threshold.items():
        for meter, rate in rates.items():
            if rate < 0 or rate != rate.quantize(_SIX_DECIMALS):
                raise ValueError(f"{where}: {meter} must be at least 0 with at most six decimals, got {rate}")
            yield RateRow(meter, prompt_over, rate.quantize(_SIX_DECIMALS))


def _policy(slug: str, tier: _Tiers) -> PolicyRow:
    where = f"{slug}: {tier.tier} of {tier.model or tier.models or 'all models'}"
    if tier.models:
        _check_pattern(tier.models, where)
    factors = tuple(sorted(_factors({0: tier.factors, **tier.above}, where)))
    model = (slug, tier.model) if tier.model else None
    with _placed(where):
        return PolicyRow(slug, model, tier.tier, _checked(tier), factors, tier.models, *tier.span())


def _factors(by_threshold: Mapping[int, Rates], where: str) -> Iterator[FactorRow]:
    for prompt_over, given in by_threshold.items():
        # Reasoning is output; a list that prices it apart hardly ever means that its discount differs.
        factors = ({"reasoning": given["output"]} if "output" in given else {}) | given
        for meter in METERS:
            if (factor := factors.get(meter)) is not None:
                if factor <= 0:
                    raise ValueError(f"{where}: the factor of {meter} must be above 0, got {factor}")
                yield FactorRow(meter, prompt_over, factor.quantize(Decimal("1e-12")))


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Says where in the file a date, zone, time or source is wrong."""
    try:
        yield
    except (ValueError, KeyError) as error:
        raise ValueError(f"{where}: {error.args[0]}") from None


def _checked(entry: _Entry) -> str:
    if not entry.source.startswith("https://"):
        raise ValueError(f"the source must be an https address, got {entry.source!r}")
    return entry.source


def _check_pattern(pattern: str, where: str) -> None:
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise ValueError(f"{where}: a pattern begins with ^ and ends with $, or it also takes what only resembles it")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{where}: {error}") from None


def _moment(text: str | None) -> datetime | None:
    """A date is its midnight, UTC; a time needs its zone."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if len(text) > len("2025-09-29"):
            raise ValueError(f"{text}: a time needs its zone, for example 2025-02-08T16:00Z")
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
