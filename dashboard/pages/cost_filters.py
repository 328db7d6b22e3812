"""The filter form of the Cost Breakdown: the words of the filter language that it has a field for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.filters import NONE, STATUSES, TIERS, Filters
from dashboard.pages.links import named
from dashboard.pages.parts import Option
from dashboard.pages.request_rows import STATUS_WORDS
from dashboard.pages.requests import Menu
from events.models import Status

FIELDS = ("from", "to", "feature", "model", "provider", "status", "tier", "user")


@dataclass(frozen=True)
class FilterForm:
    """A plain GET form; it is open while it holds something."""

    action: str
    hidden: Sequence[tuple[str, str]]
    """What the form must carry on although it has no field for it."""
    menus: Sequence[Menu]
    first: str
    """The first day of a custom range, ISO; '' while there is none."""
    last: str
    user: str
    is_open: bool


def filter_form(own: Filters, known: Mapping[str, Sequence[str]], action: str) -> FilterForm:
    """The form of these filters; `known` says which features, models and providers the period holds."""
    custom = own.period == "custom"
    words = own.words()
    return FilterForm(
        action=action,
        hidden=tuple((word, value) for word, value in words.items() if word not in FIELDS),
        menus=(*(_names(word, known.get(word, ()), own) for word in ("feature", "model", "provider")), *_words(own)),
        first=own.days[0].isoformat() if custom else "",
        last=own.days[-1].isoformat() if custom else "",
        user=NONE if own.user == "" else own.user or "",
        is_open=custom or bool(own.conditions),
    )


def _names(word: str, known: Sequence[str], own: Filters) -> Menu:
    chosen = own.conditions.get(word)
    every = sorted({*known, *([] if chosen is None else [chosen])})
    choices = [Option(named(one), one or NONE, selected=one == chosen) for one in every]
    return Menu(word, word.capitalize(), [Option(f"All {word}s", ""), *choices])


def _words(own: Filters) -> tuple[Menu, Menu]:
    statuses = {"ok": "Succeeded or max tokens", "error": "Failed"}
    statuses |= {status: STATUS_WORDS[Status[status]] for status in STATUSES}
    tiers = {tier: tier.capitalize() for tier in TIERS}
    return (
        Menu("status", "Status", [Option("Any status", ""), *_choices(statuses, own.status)]),
        Menu("tier", "Tier", [Option("Any tier", ""), *_choices(tiers, own.tier)]),
    )


def _choices(words: Mapping[str, str], chosen: str | None) -> list[Option]:
    return [Option(label, word, selected=word == chosen) for word, label in words.items()]
