"""Where pages lead to: addresses with the filters that they carry on."""

from django.urls import reverse

from dashboard.filters import NONE, PERIODS, Filters
from dashboard.pages.parts import Chip, Option


def requests_href(filters: Filters, **changes: str | None) -> str:
    """The requests behind a figure: the same filters, narrowed by `changes`; '' means "not given" here."""
    narrowed = {word: NONE if value == "" else value for word, value in changes.items()}
    return filters.href(reverse("dashboard:requests"), **narrowed)


def request_href(public_id: str) -> str:
    """The page of one request."""
    return reverse("dashboard:request", args=[public_id])


def named(value: str) -> str:
    """A dimension's value as text: what was not given is said."""
    return value or NONE


def model_name(provider: str, model: str) -> str:
    """A model with who serves it: "openai/gpt-4o"."""
    return f"{provider}/{model}" if provider else named(model)


def period_options(filters: Filters) -> tuple[Option, ...]:
    """The named periods as links; none is selected while a custom range is shown."""
    return tuple(
        Option(label, period, filters.href(period=period), selected=filters.period == period)
        for period, label in PERIODS.items()
    )


def chips(filters: Filters) -> tuple[Chip, ...]:
    """The conditions in force, each with the link that removes it."""
    return tuple(Chip(*chip) for chip in filters.chips())
