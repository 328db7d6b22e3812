"""Where pages lead to: addresses with the filters that they carry on."""

from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse

from dashboard.filters import DEFAULTS, NONE, PERIODS, Filters
from dashboard.pages.parts import Chip, Option


def requests_href(filters: Filters, **changes: str | None) -> str:
    """The requests behind a figure: the same filters, narrowed by `changes`; '' means "not given" here."""
    narrowed = {word: NONE if value == "" else value for word, value in changes.items()}
    return filters.href(reverse("dashboard:requests"), **narrowed)


def request_href(public_id: str) -> str:
    """The page of one request."""
    return reverse("dashboard:request", args=[public_id])


def costs_href(filters: Filters, by: str, **changes: str | None) -> str:
    """The Cost Breakdown by a dimension, with the same filters."""
    return filters.href(reverse("dashboard:costs"), by=by if by != "feature" else None, **changes)


def user_href(filters: Filters, external_id: str) -> str:
    """The costs of one user; their requests for those of nobody."""
    if not external_id:
        return requests_href(filters, user="")
    return filters.href(reverse("dashboard:user"), user=external_id)


def feature_href(filters: Filters, feature: str) -> str:
    """The costs of one feature; the requests of none for those without."""
    if not feature:
        return requests_href(filters, feature="")
    return filters.href(reverse("dashboard:feature"), feature=feature)


def usage_href(filters: Filters, **changes: str | None) -> str:
    """The metered usage of the same period, narrowed by `changes`."""
    return filters.href(reverse("dashboard:usage"), **changes)


def session_href(by: str, name: str, environment: str) -> str:
    """The page of one session, or, `by` "conversation", of one conversation: all its calls in the environment."""
    words = {by: name} if environment == DEFAULTS["environment"] else {by: name, "environment": environment}
    return f"{reverse(f'dashboard:{by}')}?{urlencode(words)}"


def views_href(page: str, own: Filters) -> str:
    """The saved views, with a form that keeps this page under a name."""
    return f"{reverse('dashboard:saved_views')}?{urlencode({'page': page, 'query': own.query()})}"


def price_href(provider: str, key: str) -> str:
    """The catalog's page of a model; '' for a provider that no address can name."""
    try:
        return reverse("dashboard:price", args=[provider, key])
    except NoReverseMatch:
        return ""


def admin_href(name: str, **query: str) -> str:
    """A page of the admin by its name with a query; '' where the admin has no such page."""
    try:
        return f"{reverse(f'admin:{name}')}?{urlencode(query)}"
    except NoReverseMatch:
        return ""


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


def live_words(revision: str, *, is_partial: bool) -> dict[str, str]:
    """The words by which a live part is asked for: where it is not up to date, or, of a first look, all of it."""
    return {"whole": "yes"} if is_partial else {"rev": revision}
