"""The form that writes the filter language: one for every page that reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dashboard.filters import NONE, STATUSES, TIERS, Filters
from dashboard.pages.links import named
from dashboard.pages.parts import Option
from dashboard.pages.request_rows import STATUS_WORDS
from events.models import Status

COMPARISONS = {"prev": "Period before", "year": "A year before", "none": "Nothing"}
MENUS = ("model", "feature", "provider")
"""Conditions whose values of the period the form offers."""
NAMES = {
    "user": "User id",
    "step": "Step",
    "session": "Session",
    "conversation": "Conversation",
    "key": "Key begins with",
}
AMOUNTS = {
    "min_cost": "Cost from, USD",
    "max_cost": "Cost up to, USD",
    "min_latency": "Latency from, ms",
    "max_latency": "Latency up to, ms",
    "min_tokens": "Tokens from",
    "max_tokens": "Tokens up to",
}
PLACEHOLDER = "Id, model, feature, user, session…"


@dataclass(frozen=True)
class Field:
    """One field (`components/field.html`): a menu where it has options, else a line to write in."""

    name: str
    label: str
    value: str = ""
    options: Sequence[Option] = ()
    kind: str = "text"
    """The input's type: text, search or date."""
    mode: str = ""
    """The keyboard that phones show: decimal, numeric, or '' for letters."""
    placeholder: str = ""


@dataclass(frozen=True)
class FilterForm:
    """A GET form (`components/filter_form.html`): `main` is always seen; of `more`, the chips tell."""

    action: str
    label: str
    hidden: Sequence[tuple[str, str]]
    """What the form must carry on although it has no field for it."""
    main: Sequence[Field]
    more: Sequence[Field]
    ranges: Sequence[Option]
    """Days that people ask for often, as links."""
    target: str
    """Id of the element that is replaced while the person chooses; '' for a form that is sent as a whole."""

    @property
    def groups(self) -> tuple[Sequence[Field], Sequence[Field]]:
        """`more` as it is laid out: what is chosen by name, then the bounds, in pairs."""
        return (
            [field for field in self.more if field.name not in AMOUNTS],
            [field for field in self.more if field.name in AMOUNTS],
        )


def filter_form(
    own: Filters,
    known: Mapping[str, Sequence[str]],
    action: str,
    label: str,
    *,
    main: Sequence[str] = (),
    without: Sequence[str] = (),
    target: str = "",
    compares: bool = False,
) -> FilterForm:
    """The form of these filters.

    `known` says which models, features and providers the period holds. `main` names the fields that are always seen,
    `without` those that the page answers by itself, such as the user on a user's page; `compares` says that the page
    compares with another period.
    """
    left_out = without if compares else (*without, "compare")
    fields = {field.name: field for field in _fields(own, known) if field.name not in left_out}
    more = [field for name, field in fields.items() if name not in main]
    return FilterForm(
        action=action,
        label=label,
        hidden=tuple((word, value) for word, value in own.words().items() if word not in fields),
        main=[fields[name] for name in main],
        more=more,
        ranges=_ranges(own, action),
        target=target,
    )


def _fields(own: Filters, known: Mapping[str, Sequence[str]]) -> list[Field]:
    custom = own.period == "custom"
    given = own.conditions
    days = own.days if custom else ()
    return [
        Field("q", "Search", own.q or "", kind="search", placeholder=PLACEHOLDER),
        Field("from", "From day", days[0].isoformat() if days else "", kind="date"),
        Field("to", "To day", days[-1].isoformat() if days else "", kind="date"),
        *(_menu(word, known.get(word, ()), own) for word in MENUS),
        *_words(own),
        *(Field(word, label, given.get(word, "") or (NONE if word in given else "")) for word, label in NAMES.items()),
        *(Field(word, label, given.get(word, ""), mode="decimal") for word, label in AMOUNTS.items()),
        Field("meta_key", "Metadata key", placeholder="such as plan"),
        Field("meta_value", "Metadata value"),
    ]


def _ranges(own: Filters, action: str) -> tuple[Option, ...]:
    today = own.now.astimezone(own.zone).date()
    yesterday, month = today - timedelta(days=1), today.replace(day=1)
    last = month - timedelta(days=1)
    ranges = (
        ("Today", today, today),
        ("Yesterday", yesterday, yesterday),
        ("This week", today - timedelta(days=today.weekday()), today),
        ("Last month", last.replace(day=1), last),
        ("This year", today.replace(month=1, day=1), today),
    )
    return tuple(
        Option(
            label,
            label,
            own.href(action, **{"from": first.isoformat(), "to": until.isoformat()}),
            selected=own.period == "custom" and (own.days[0], own.days[-1]) == (first, until),
        )
        for label, first, until in ranges
    )


def _menu(word: str, known: Sequence[str], own: Filters) -> Field:
    chosen = own.conditions.get(word)
    every = sorted({*known, *([] if chosen is None else [chosen])})
    choices = [Option(named(one), one or NONE, selected=one == chosen) for one in every]
    return Field(word, word.capitalize(), options=[Option(f"All {word}s", ""), *choices])


def _words(own: Filters) -> tuple[Field, ...]:
    statuses = {"ok": "Succeeded or max tokens", "error": "Failed"}
    statuses |= {status: STATUS_WORDS[Status[status]] for status in STATUSES}
    tiers = {tier: tier.capitalize() for tier in TIERS}
    return (
        Field("compare", "Compare with", options=_choices(COMPARISONS, own.compare)),
        Field("status", "Status", options=[Option("Any status", ""), *_choices(statuses, own.status)]),
        Field("tier", "Tier", options=[Option("Any tier", ""), *_choices(tiers, own.tier)]),
        Field("priced", "Price", options=[Option("Known or not", ""), *_choices({"no": "Unknown"}, own.priced)]),
    )


def _choices(words: Mapping[str, str], chosen: str | None) -> list[Option]:
    return [Option(label, word, selected=word == chosen) for word, label in words.items()]
