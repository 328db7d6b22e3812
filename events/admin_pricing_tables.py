"""What the price pages print: which rates change and when, what that does to stored requests, who changed what.

Amounts are exact: USD with every digit that they have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from events.admin_pricing_forms import METER_WORDS, plain
from events.models import RepriceJob
from pricing.costs import FALLBACK_METER, METERS, Meter, RateCard, usd, usd_per_mtok
from pricing.index import SINCE_EVER, UNTIL_FURTHER_NOTICE
from pricing.models import PricingRevision
from pricing.models import RateCard as CardRow
from pricing.resolution import Catalog, Key, Resolution

PER_SECOND: Final = 20_000
LARGE: Final = 1_000_000
_FALLBACK_WORDS: Final[dict[Meter, str]] = {"input": "input", "cache_write_5m": "5-minute writes", "output": "output"}
_MINUS = "\N{MINUS SIGN}"
_MOST_PERIODS = 12
_UNPRICED = {
    "unpriced_provider": "no price: the provider is unknown",
    "unpriced_model": "no price: the model has none",
    "unpriced_tier": "no price: this tier has none",
}


def dollars(picousd: int) -> str:
    """An amount in USD, exact, such as $1,234.5678."""
    whole, _, fraction = plain(usd(abs(picousd))).partition(".")
    return f"{_MINUS if picousd < 0 else ''}${int(whole):,}.{fraction}"


def signed_dollars(picousd: int) -> str:
    """The same with a plus where it grows."""
    return f"+{dollars(picousd)}" if picousd > 0 else dollars(picousd)


def moment(at: datetime | None, zone: ZoneInfo) -> str:
    """A time in the zone, which is named, and in UTC where that differs."""
    if at is None:
        return ""
    local, universal = at.astimezone(zone), at.astimezone(UTC)
    if local.utcoffset() == timedelta(0):
        return f"{_minute(universal)} UTC"
    return f"{_minute(local)} {zone} ({_minute(universal)} UTC)"


def _minute(at: datetime) -> str:
    exact = at.microsecond or at.second
    return f"{at:%Y-%m-%d %H:%M:%S}" if exact else f"{at:%Y-%m-%d %H:%M}"


# Rates


@dataclass(frozen=True, slots=True)
class RateLine:
    """One meter's rate before and after, in USD per million tokens."""

    meter: str
    before: str
    after: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time in which the price is another one than before."""

    start: str
    end: str
    lines: tuple[RateLine, ...]
    notes: tuple[str, ...]


def periods(before: Catalog, after: Catalog, key: Key, zone: ZoneInfo) -> tuple[Period, ...]:
    """Where and how the second catalog prices these calls differently, oldest first; at most twelve of them."""
    return tuple(
        Period(
            "since ever" if start == SINCE_EVER else f"from {moment(_time(start), zone)}",
            "until further notice" if end == UNTIL_FURTHER_NOTICE else f"until {moment(_time(end), zone)}",
            tuple(_lines(old, new)),
            tuple(_notes(old, new, windows)),
        )
        for start, end, old, new, windows in list(_joined(before, after, key))[:_MOST_PERIODS]
    )


_Stretch = tuple[int, int, Resolution, Resolution, bool]


def _joined(before: Catalog, after: Catalog, key: Key) -> Iterator[_Stretch]:
    pending: _Stretch | None = None
    for piece in _differing(before, after, key):
        start, end, old, new, windows = piece
        if pending and pending[1] == start and _same(pending[2], old) and _same(pending[3], new):
            pending = (pending[0], end, old, new, windows)
            continue
        if pending:
            yield pending
        pending = piece
    if pending:
        yield pending


def _differing(before: Catalog, after: Catalog, key: Key) -> Iterator[_Stretch]:
    edges = sorted({*before.changes(key), *after.changes(key)})
    for start, end in pairwise([*edges, UNTIL_FURTHER_NOTICE]):
        was, now = before.choices(key, start), after.choices(key, start)
        old, new = was[-1][1], now[-1][1]
        if not _same(old, new) or len(was) != len(now):
            yield start, end, old, new, len(was) > len(now)


def _same(one: Resolution, other: Resolution) -> bool:
    return _price(one) == _price(other)


def _price(found: Resolution) -> tuple[Any, ...]:
    return (found.card is None, found.card and (found.card.bands, found.card.has_other_charges))


def _lines(old: Resolution, new: Resolution) -> Iterator[RateLine]:
    thresholds = {band.prompt_over for each in (old, new) if each.card for band in each.card.bands}
    for over in sorted(thresholds):
        for number, meter in enumerate(METERS):
            before, after = (_rate(each.card, over, number) for each in (old, new))
            listed = any(each.card and meter in each.card.rates_for(over + 1).listed() for each in (old, new))
            if not over or (listed and (before != after or _moves(old, new, over, number))):
                suffix = f", prompts above {over:,}" if over else ""
                yield RateLine(METER_WORDS[meter] + suffix, before, after, before != after)


def _moves(old: Resolution, new: Resolution, over: int, number: int) -> bool:
    """Whether crossing the threshold changes this rate in either of them."""
    cards = [each.card for each in (old, new) if each.card]
    return any(_rate(card, over, number) != _rate(card, 0, number) for card in cards)


def _rate(card: RateCard | None, over: int, number: int) -> str:
    if card is None:
        return "—"
    meter, rate, rate_from = card.rates_for(over + 1).meters[number]
    if rate is None:
        return "—"
    text = f"${plain(usd_per_mtok(rate))}"
    if rate_from == "exact":
        return text
    return f"{text} (as {_FALLBACK_WORDS[FALLBACK_METER[meter]]})"


def _notes(old: Resolution, new: Resolution, windows: bool) -> Iterator[str]:
    for when, found in (("Before", old), ("After", new)):
        if found.card is None:
            yield f"{when}: {_UNPRICED.get(found.status, found.status)}."
        elif found.card.has_other_charges:
            yield f"{when}: the provider also bills something else than tokens."
    if windows:
        yield "Before, other rates held at some hours of the week; after, these hold at every hour."


def _time(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


# Effects


@dataclass(frozen=True, slots=True)
class EffectLine:
    """What happens to the requests of one model as sent."""

    model: str
    events: str
    before: str
    after: str
    change: str
    unpriced_before: str
    unpriced_after: str


@dataclass(frozen=True, slots=True)
class EffectTable:
    """What a change does to stored requests, model by model, and their sum."""

    events: int
    lines: tuple[EffectLine, ...]
    total: EffectLine
    newly_unpriced: int


def effect_table(effect: dict[str, Any] | None) -> EffectTable | None:
    """From an effect as `Effect.as_json` writes it; None where there is none."""
    if effect is None:
        return None
    models = [_figures(model) for model in effect["models"]]
    sums = [sum(column) for column in zip(*models, strict=True)] if models else [0] * 5
    names = [f"{model['provider']}/{model['model']}" for model in effect["models"]]
    lines = tuple(_effect_line(name, figures) for name, figures in zip(names, models, strict=True))
    return EffectTable(sums[0], lines, _effect_line("All", sums), max(0, sums[4] - sums[3]))


def _figures(model: dict[str, Any]) -> list[int]:
    names = ("events", "before_picousd", "after_picousd", "unpriced_before", "unpriced_after")
    return [int(Decimal(model[name])) for name in names]


def _effect_line(name: str, figures: list[int]) -> EffectLine:
    events, before, after, unpriced_before, unpriced_after = figures
    return EffectLine(
        name,
        f"{events:,}",
        # Where none of them has a price, the sum is unknown, and not zero.
        "—" if events and unpriced_before == events else dollars(before),
        "—" if events and unpriced_after == events else dollars(after),
        signed_dollars(after - before),
        f"{unpriced_before:,}",
        f"{unpriced_after:,}",
    )


def warnings(effect: EffectTable, has_changes: bool, starts_in_past: bool) -> list[str]:
    """What somebody should know before they publish."""
    found = [] if has_changes else ["Nothing changes: these rates hold already."]
    requests = f"{effect.events:,} {'request' if effect.events == 1 else 'requests'}"
    if starts_in_past and effect.events:
        found.append(
            f"This price starts in the past: {requests} made since then are priced anew. "
            "If it should hold from now on only, go back and change the start."
        )
    if effect.events > LARGE:
        seconds = -(-effect.events // PER_SECOND)
        found.append(f"{requests} are priced anew: that takes about {seconds:,} seconds. They stay readable meanwhile.")
    if effect.newly_unpriced:
        found.append(f"{effect.newly_unpriced:,} more requests than now will have no price.")
    return found


# Revisions


def kind_of(revision: PricingRevision) -> str:
    """What a revision did, in words."""
    if revision.kind == PricingRevision.Kind.RETRACTION:
        return f"Took back {revision.retracts_id}"
    if "counts" in revision.summary:
        return "Import" if revision.kind == PricingRevision.Kind.IMPORT else "Corrections file"
    if "name" in revision.summary:
        return "Name"
    return {"override": "Price change", "correction": "Correction"}.get(revision.kind, "Import")


def key_of(revision: PricingRevision) -> Key | None:
    """Which calls an entry is about; None for imports, which are about many."""
    summary = revision.summary
    if "provider" not in summary:
        return None
    model = summary.get("name") or summary["model"].removeprefix(f"{summary['provider']}/")
    tier, region = summary.get("tier", "standard"), summary.get("region", "global")
    return (summary["provider"], model, tier, region, revision.organization_id)


def facts(revision: PricingRevision, zone: ZoneInfo) -> list[tuple[str, str]]:
    """The summary as people read it: pairs of a term and what it says."""
    summary = revision.summary
    if "counts" in summary:
        counted = [(name.replace("_", " ").capitalize(), f"{n:,}") for name, n in summary["counts"].items()]
        lists = [("Models with another price", "repriced_models"), ("No longer listed", "dropped_models")]
        return counted + [(term, ", ".join(summary[name])) for term, name in lists if summary.get(name)]
    found = [("Name", f"{summary.get('provider', '')}/{summary['name']}".lstrip("/"))] if "name" in summary else []
    found.append(("Means" if "name" in summary else "Model", str(summary.get("model", ""))))
    found += [(term, summary[term.lower()]) for term in ("Tier", "Region") if term.lower() in summary]
    for term, name, never in (("From", "from", "since ever"), ("Until", "to", "until further notice")):
        at = summary.get(name)
        found.append((term, moment(datetime.fromisoformat(at), zone) if at else never))
    if summary.get("source_url"):
        found.append(("Source", summary["source_url"]))
    return found


def subject(revision: PricingRevision) -> str:
    """What an entry is about: the model, or the name and what it means."""
    summary = revision.summary
    if "name" in summary:
        return f"{summary.get('provider', '')}/{summary['name']} → {summary['model']}".lstrip("/")
    return str(summary.get("model", "")).lstrip("/")


def progress(job: RepriceJob, zone: ZoneInfo) -> str:
    """How far the re-pricing of stored requests is, in words."""
    delta = signed_dollars(int(job.delta_picousd))
    if job.finished_at is not None:
        return f"Done {moment(job.finished_at, zone)}: {job.changed:,} requests priced anew, {delta} in all."
    if job.started_at is None:
        return f"Waiting to begin; {job.total:,} requests to look at."
    return f"{job.done:,} of {job.total:,} requests looked at ({job.percent} %), {delta} so far."


def standing(found: Resolution, card: CardRow | None, windows: bool, zone: ZoneInfo) -> list[tuple[str, str]]:
    """What holds now, before anything is entered: pairs of a term and what it says."""
    if found.card is None or card is None:
        return [("Now", _UNPRICED.get(found.status, found.status))]
    start = moment(card.valid_from, zone) or "since ever"
    end = moment(card.valid_to, zone) or "until further notice"
    said = [("Priced as", f"{found.model_provider}/{found.model}"), ("Holds", f"{start}, {end}")]
    if found.model_provider != found.provider:
        said.append(("Resold", f"{found.provider} passes this price on. An entry here gives it a price of its own."))
    if found.rate_from == "policy":
        said.append(("Derived", "This tier has no rates of its own: they follow from the standard ones."))
    if windows:
        said.append(("Hours", "Other rates hold at some hours of the week. An entry here holds at every hour."))
    return [*said, ("Source", card.source_url)]
