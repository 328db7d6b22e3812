"""What a page shows, as its URL says it: a period in the organization's zone, and conditions on events.

Pure: query parameters, a moment and a zone in, an immutable value out. Bad input falls back to a default, because a
link that somebody kept must never lead to an error page.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from dashboard.formats import days as day_range
from dashboard.formats import short_day
from metering.periods import day_start

PERIODS = {"24h": "24 h", "7d": "7 d", "30d": "30 d", "90d": "90 d", "mtd": "Month"}
ENVIRONMENTS = ("live", "test")
STATUSES = ("SUCCESS", "ERROR", "BLOCKED", "MAX_TOKENS", "CONTENT_FILTER", "RECITATION", "MALFORMED_REQUEST")
TIERS = ("standard", "batch", "flex", "priority")
DEFAULTS = {"environment": "live", "period": "30d", "compare": "prev"}
NONE = "(none)"
"""The word for "not given": `feature=(none)` shows events without a feature, `feature=` shows all."""

LABELS = ("feature", "step", "user", "model", "provider", "session", "conversation")
"""Conditions on a name: one of them, or `NONE`."""
DIMENSIONS = ("feature", "step", "user", "model", "provider", "status", "tier", "session", "conversation", "key")
AMOUNTS = ("min_cost", "max_cost", "min_latency", "max_latency", "min_tokens", "max_tokens")
"""Conditions on a number, included: USD, milliseconds, tokens in and out together."""
BOUNDS = ("priced", *AMOUNTS, "q")
WORDS = ("environment", "period", "from", "to", "compare", *DIMENSIONS, *BOUNDS)
"""Every word of the query string but the metadata's, in the order in which links write them."""
META = "meta."
"""`meta.plan=pro` shows events whose metadata has the key `plan` with the value `pro`."""
COMPARISONS = ("prev", "year", "none")

PICOUSD_PER_USD = 10**12
MAX_DAYS = 731
MAX_TEXT = 255
MAX_META = 5
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,12})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)

type Params = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Bucket:
    """One step of a chart's time axis: `start` (included) to `end` (excluded), UTC instants."""

    start: datetime
    end: datetime
    label: str
    """Its name in the organization's zone: "21 Nov" or "21 Nov 14:00"."""


@dataclass(frozen=True)
class Filters:
    """A period and the conditions on events. Of a condition, None means "any" and '' means "not given"."""

    zone: ZoneInfo
    now: datetime
    period: str
    """A key of `PERIODS`, or 'custom'."""
    start: datetime
    """UTC instant, included; the start of a local hour (24h) or local day."""
    end: datetime
    """UTC instant, excluded; aligned like `start`, so it is mostly in the future."""
    environment: str = "live"
    compare: str = "prev"
    feature: str | None = None
    step: str | None = None
    user: str | None = None
    """External id of a tracked user."""
    model: str | None = None
    provider: str | None = None
    status: str | None = None
    """'ok', 'error' or a status word of the wire contract."""
    tier: str | None = None
    session: str | None = None
    conversation: str | None = None
    key: str | None = None
    """How an API key begins: its first 15 characters."""
    priced: str | None = None
    """'no': only events whose cost is unknown."""
    min_cost: str | None = None
    """USD, plain decimal text, included."""
    max_cost: str | None = None
    min_latency: str | None = None
    """Milliseconds, plain decimal text, included."""
    max_latency: str | None = None
    min_tokens: str | None = None
    """Tokens in and out together, a whole number as text, included."""
    max_tokens: str | None = None
    q: str | None = None
    meta: tuple[tuple[str, str], ...] = ()
    """Keys of the metadata with the text that their value must be; '' means that the key is not there."""
    page_words: tuple[tuple[str, str], ...] = ()
    """Words that are the page's own, such as its order: links to itself carry them on."""

    @classmethod
    def from_query(cls, params: Params, now: datetime, zone: ZoneInfo) -> "Filters":
        """Read the query parameters; what is missing, unknown or malformed takes its default."""
        words = {word: text for word in WORDS if (text := _text(params, word))}
        period, start, end = _span(words, now, zone)
        labels: dict[str, Any] = {word: _label(words.get(word)) for word in LABELS}
        amounts: dict[str, Any] = {word: amount(words.get(word), whole=word.endswith("tokens")) for word in AMOUNTS}
        return cls(
            zone=zone,
            now=now,
            period=period,
            start=start,
            end=end,
            environment=_one_of(words, "environment", ENVIRONMENTS) or "live",
            compare=_one_of(words, "compare", COMPARISONS) or "prev",
            status=_status(words.get("status")),
            tier=_one_of(words, "tier", TIERS),
            key=words.get("key"),
            priced=_one_of(words, "priced", ("no",)),
            q=words.get("q"),
            meta=_meta(params),
            **labels,
            **amounts,
        )

    @property
    def until(self) -> datetime:
        """The moment up to which the period has happened: its end, or now."""
        return min(self.end, self.now)

    @property
    def days(self) -> tuple[date, ...]:
        """Local dates that the period touches, in order."""
        first = self.start.astimezone(self.zone).date()
        last = (self.end - timedelta(microseconds=1)).astimezone(self.zone).date()
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))

    @property
    def whole_days(self) -> bool:
        """Whether the period is made of whole local days, so that daily rollups can answer."""
        return self.period != "24h"

    @property
    def hourly(self) -> bool:
        """Whether its natural step is the hour."""
        return not self.whole_days or len(self.days) == 1

    @property
    def conditions(self) -> dict[str, str]:
        """The conditions in force, by word; a condition on "not given" is the empty string."""
        found = {word: getattr(self, word) for word in (*DIMENSIONS, *BOUNDS)}
        found |= {f"{META}{name}": value for name, value in self.meta}
        return {word: value for word, value in found.items() if value is not None}

    def buckets(self, *, hourly: bool | None = None, since: datetime | None = None) -> tuple[Bucket, ...]:
        """The steps of the time axis, gapless from `start` (or from the step that holds `since`) to `end`."""
        by_hour = self.hourly if hourly is None else hourly
        first = self.start if since is None else max(self.start, since)
        at = local_hour(first, self.zone) if by_hour else local_day(first, self.zone)
        return tuple(self._steps(at, by_hour))

    def _steps(self, at: datetime, by_hour: bool) -> Iterator[Bucket]:
        while at < self.end:
            following = next_hour(at, self.zone) if by_hour else next_day(at, self.zone)
            yield Bucket(at, following, _bucket_label(at.astimezone(self.zone), by_hour))
            at = following

    def previous(self) -> "Filters":
        """The period of comparison: the one before; of a month to date, the same days of the month before; of a year
        ago, as many days from the same date on.

        Its `now` is as far into it as ours is into this period, so that a day that has just begun is not compared
        with a whole one.
        """
        if self.compare == "year":
            start = self._year_before()
            end = min(start + (self.end - self.start), self.start)
            if self.whole_days:
                first = start.astimezone(self.zone).date()
                end = min(day_start(first + timedelta(days=len(self.days)), self.zone), self.start)
        elif self.period == "24h":
            start, end = local_hour(self.start - timedelta(hours=24), self.zone), self.start
        elif self.period == "mtd":
            first = (self.days[0] - timedelta(days=1)).replace(day=1)
            start = day_start(first, self.zone)
            end = min(day_start(first + timedelta(days=len(self.days)), self.zone), self.start)
        else:
            start, end = day_start(self.days[0] - timedelta(days=len(self.days)), self.zone), self.start
        period = self.period if self.period == "24h" else "custom"
        return replace(self, period=period, start=start, end=end, now=start + (self.until - self.start))

    def _year_before(self) -> datetime:
        """The local date and hour of `start` a year before; 28 February where that year has no 29th."""
        local = self.start.astimezone(self.zone)
        day = min(local.day, 28) if local.month == 2 else local.day
        start = local.replace(year=local.year - 1, day=day, fold=0).astimezone(UTC)
        return local_day(start, self.zone) if self.whole_days else local_hour(start, self.zone)

    def words(self) -> dict[str, str]:
        """What the query string must say: every word that is not at its default."""
        found: dict[str, str] = {"environment": self.environment, "compare": self.compare}
        if self.period == "custom":
            found |= {"from": self.days[0].isoformat(), "to": self.days[-1].isoformat()}
        else:
            found["period"] = self.period
        found |= {word: value or NONE for word, value in self.conditions.items()}
        found |= dict(self.page_words)
        return {word: value for word, value in found.items() if DEFAULTS.get(word) != value}

    def query(self, **changes: str | None) -> str:
        """The canonical query string, with `changes` (None or '' removes a word). Empty when all is default."""
        words = self.words()
        if "period" in changes:
            words = {word: value for word, value in words.items() if word not in ("from", "to")}
        if "from" in changes:
            words.pop("period", None)
        for word, value in changes.items():
            words[word] = value or ""
        kept = {word: words[word] for word in _ordered(words) if words[word] and DEFAULTS.get(word) != words[word]}
        return urlencode(kept)

    def href(self, path: str = "", /, **changes: str | None) -> str:
        """`path` with the query; an empty path means the page itself."""
        query = self.query(**changes)
        return f"{path}?{query}" if query or not path else path

    def chips(self) -> tuple[tuple[str, str, str], ...]:
        """The conditions in force: (label, value, link without it), in the order of the query string."""
        return tuple(
            (CHIP_LABELS.get(word, word), CHIP_VALUES.get((word, value), value or NONE), self.href(**{word: None}))
            for word, value in self.conditions.items()
        )

    def without(self, words: Collection[str]) -> "Filters":
        """The same without the conditions of these words."""
        others: dict[str, Any] = {word: None for word in words if not word.startswith(META)}
        meta = tuple((name, value) for name, value in self.meta if f"{META}{name}" not in words)
        return replace(self, meta=meta, **others)

    def without_conditions(self) -> str:
        """The link that keeps the period and drops every condition."""
        return self.href(**dict.fromkeys(self.conditions))

    @property
    def period_text(self) -> str:
        """The real dates of the period in the organization's zone, which is named."""
        first, last = self.start.astimezone(self.zone), self.end.astimezone(self.zone)
        if not self.whole_days:
            return f"{short_day(first)} {first:%H:%M} – {short_day(last)} {last:%H:%M}, {self.zone.key}"
        return f"{day_range(self.days[0], self.days[-1])}, {self.zone.key}"


CHIP_LABELS = {
    "feature": "Feature",
    "step": "Step",
    "user": "User",
    "model": "Model",
    "provider": "Provider",
    "status": "Status",
    "tier": "Tier",
    "session": "Session",
    "conversation": "Conversation",
    "key": "API key",
    "priced": "Price",
    "min_cost": "Cost from, USD",
    "max_cost": "Cost up to, USD",
    "min_latency": "Latency from, ms",
    "max_latency": "Latency up to, ms",
    "min_tokens": "Tokens from",
    "max_tokens": "Tokens up to",
    "q": "Text",
}
CHIP_VALUES = {("priced", "no"): "unknown", ("status", "error"): "failed", ("status", "ok"): "succeeded"}


def local_hour(at: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the local hour of `at` starts. `fold` tells the two hours of an autumn night apart."""
    return at.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def local_day(at: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which the local day of `at` starts."""
    return day_start(at.astimezone(zone).date(), zone)


def next_day(start: datetime, zone: ZoneInfo) -> datetime:
    """The start of the local day after the one that starts at `start`."""
    return day_start(start.astimezone(zone).date() + timedelta(days=1), zone)


def next_hour(start: datetime, zone: ZoneInfo) -> datetime:
    """The start of the next local hour: mostly 60 minutes on, but 30 or 90 where clocks move by half an hour."""
    at = start
    while (hour := local_hour(at, zone)) <= start:
        at += timedelta(minutes=15)
    return hour


def _text(params: Params, word: str) -> str:
    given = params.get(word, "")
    text = given if isinstance(given, str) else next(reversed(given), "")
    return "" if "\0" in text else text.strip()[:MAX_TEXT]


def _one_of(words: Mapping[str, str], word: str, choices: Sequence[str]) -> str | None:
    found = words.get(word, "").lower()
    return found if found in choices else None


def _status(text: str | None) -> str | None:
    if text is None:
        return None
    return text.lower() if text.lower() in ("ok", "error") and text != "ERROR" else _known(text.upper())


def _known(status: str) -> str | None:
    return status if status in STATUSES else None


def _label(text: str | None) -> str | None:
    return "" if text == NONE else text


def amount(text: str | None, *, whole: bool) -> str | None:
    """A number of at most 9 digits and 12 decimals, or a `whole` one of at most 15; None when the text is neither."""
    if text is None or not (_WHOLE if whole else _NUMBER).fullmatch(text):
        return None
    return format(Decimal(text).normalize(), "f")


def _meta(params: Params) -> tuple[tuple[str, str], ...]:
    """The conditions on metadata by key, in alphabetical order; a form adds one with `meta_key` and `meta_value`."""
    words = {word: _text(params, word) for word in params if word.startswith(META)}
    if name := _text(params, "meta_key"):
        words[f"{META}{name}"] = _text(params, "meta_value") or NONE
    found = {word.removeprefix(META)[:MAX_TEXT]: _label(text) or "" for word, text in words.items() if text}
    return tuple(sorted((name, value) for name, value in found.items() if name and "\0" not in name))[:MAX_META]


def picousd(amount: str) -> int:
    """Exact integer of 1e-12 USD for an amount that `Filters` holds."""
    return int(Decimal(amount) * PICOUSD_PER_USD)


def _ordered(words: Mapping[str, str]) -> list[str]:
    return sorted(words, key=lambda word: (WORDS.index(word) if word in WORDS else len(WORDS), word))


def _bucket_label(local: datetime, by_hour: bool) -> str:
    return f"{short_day(local)} {local:%H:%M}" if by_hour else short_day(local)


def _span(words: Mapping[str, str], now: datetime, zone: ZoneInfo) -> tuple[str, datetime, datetime]:
    dates = _dates(words, now.astimezone(zone).date())
    if dates is not None:
        return "custom", day_start(dates[0], zone), day_start(dates[1] + timedelta(days=1), zone)
    period = _one_of(words, "period", tuple(PERIODS)) or DEFAULTS["period"]
    if period == "24h":
        end = next_hour(local_hour(now, zone), zone)
        return period, local_hour(end - timedelta(hours=24), zone), end
    today = now.astimezone(zone).date()
    first = today.replace(day=1) if period == "mtd" else today - timedelta(days=int(period[:-1]) - 1)
    return period, day_start(first, zone), day_start(today + timedelta(days=1), zone)


def _dates(words: Mapping[str, str], today: date) -> tuple[date, date] | None:
    """The custom range: given dates in order, not in the future, at most `MAX_DAYS` long; None when there is none."""
    first, last = _date(words.get("from")), _date(words.get("to"))
    if first is None and last is None:
        return None
    one = first or (last or today) - timedelta(days=29)
    other = last or max(one, today)
    start, end = min(one, other), min(max(one, other), today)
    if start > today:
        return None
    return max(start, end - timedelta(days=MAX_DAYS - 1)), end


def _date(text: str | None) -> date | None:
    try:
        found = date.fromisoformat(text or "")
    except ValueError:
        return None
    # Years far from ours have no place in a uuidv7, and arithmetic on them overflows.
    return found if 2000 <= found.year <= 2200 else None
