"""The list of sessions or conversations, the latest active first, by keyset pages.

The period and the filters say which sessions are listed: those with such calls in it. The figures of a session cover
its whole time, before the period and after it, and of its calls those that meet the filters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import compact, count, money
from dashboard.pages.filter_form import FilterForm, filter_form
from dashboard.pages.links import (
    chips,
    model_name,
    named,
    period_options,
    requests_href,
    session_href,
    user_href,
    views_href,
)
from dashboard.pages.parts import Chip, Frame, Option
from dashboard.pages.request_rows import NO_PRICE
from dashboard.queries import options, sessions
from dashboard.queries.conditions import id_floor
from dashboard.queries.reading import snapshot
from dashboard.queries.sessions import BYS, LIST_CAP, WALK, By, Figures, Places
from dashboard.visit import Visit
from events.models.event import public_id, time_of

PAGE_SIZE = 50
NEWS_CAP = 1_000
PLURALS: dict[By, str] = {"session": "sessions", "conversation": "conversations"}
FIELDS: dict[By, str] = {"session": "sessionId", "conversation": "conversationId"}
"""How a sender names the id, in the metadata of an event."""
MAIN = ("q", "model", "feature", "status")


@dataclass(frozen=True)
class SessionRow:
    """One session in the list; its figures lead to the requests behind them."""

    name: str
    href: str
    user: str
    user_title: str
    user_href: str
    first: str
    first_title: str
    last: str
    last_title: str
    duration: str
    calls: str
    calls_title: str
    calls_href: str
    failed: str
    """'' when none has failed."""
    failed_href: str
    models: str
    models_title: str
    tokens: str
    tokens_title: str
    cost: str
    cost_title: str
    unpriced: str
    """"2 unpriced"; '' when all have a price."""
    unpriced_href: str


@dataclass(frozen=True)
class News:
    """What came since a page was made: said, never pushed under the pointer. `text` is '' when nothing did."""

    poll_href: str
    href: str
    text: str


@dataclass(frozen=True)
class NewsPage:
    """The variable of the `news` fragment when it is asked for alone."""

    news: News


@dataclass(frozen=True)
class Empty:
    """What a list without rows says, and what to do about it."""

    title: str
    text: str
    href: str
    action: str


@dataclass(frozen=True)
class Sessions:
    """All that `sessions.html` prints, as a page, its results, or its next rows."""

    frame: Frame
    href: str
    """The canonical address of these filters."""
    noun: str
    tabs: Sequence[Option]
    form: FilterForm
    periods: Sequence[Option]
    views_href: str
    chips: Sequence[Chip]
    clear_href: str
    zone: str
    summary: str
    period_text: str
    counted: str
    """Which calls the figures cover, in words."""
    rows: Sequence[SessionRow]
    more_href: str
    """The next page; '' after the last one."""
    more_label: str
    news: News
    empty: Empty


def grouping(text: str) -> By:
    """What the calls are grouped by, as the URL says it."""
    return next((by for by in BYS if by == text), "session")


def build(visit: Visit, filters: Filters, by: By, revision: str, before: UUID | None) -> Sessions:
    """Read one page of the list in one snapshot; `before` (an event id) continues it with what was active earlier."""
    organization, own = visit.organization_id, _own(filters, by)
    with snapshot():
        places = sessions.newest(organization, filters, by, PAGE_SIZE + 1, before)
        shown = places.found[:PAGE_SIZE]
        sums = sessions.figures(organization, filters, by, [place.name for place in shown])
        known = options.in_use(organization, filters)
        sent = bool(shown) or sessions.any_of(organization, by)
    rows = [_row(sums[place.name], filters, by) for place in shown if place.name in sums]
    newest = shown[0].newest if shown else id_floor(filters.start)
    href = own.href(reverse("dashboard:sessions"))
    more_href = _more_href(places, href)
    return Sessions(
        frame=visit.frame("Sessions", "sessions", filters.environment),
        href=href,
        noun=by,
        tabs=_tabs(filters, by),
        form=filter_form(
            own, known, reverse("dashboard:sessions"), f"Filter {PLURALS[by]}", main=MAIN, target="results"
        ),
        periods=period_options(own),
        views_href=views_href("sessions", own),
        chips=chips(own),
        clear_href=own.without_conditions(),
        zone=filters.zone.key,
        summary=_summary(rows, by, more=bool(more_href), later=before is not None),
        period_text=filters.period_text,
        counted=_counted(filters, by),
        rows=rows,
        more_href=more_href,
        more_label=f"Show {PAGE_SIZE} more" if len(places.found) > PAGE_SIZE else _further(places, filters),
        news=_news(href, revision, newest, by, sessions.News(0, is_capped=False)),
        empty=_empty(own, by, more_href, sent=sent),
    )


def news(visit: Visit, filters: Filters, by: By, revision: str, newest: UUID | None) -> NewsPage:
    """How many sessions have calls that the filters find and that are newer than `newest`."""
    since = newest or id_floor(filters.start)
    found = sessions.news(visit.organization_id, filters, by, since, NEWS_CAP)
    return NewsPage(_news(_own(filters, by).href(reverse("dashboard:sessions")), revision, since, by, found))


def calls_href(filters: Filters, by: By, found: Figures, **changes: str | None) -> str:
    """The requests that `found` sums: in the filters' own period where that covers them, else in their own days."""
    covered = filters.start <= found.started_at and found.ended_at < filters.end
    if not covered:
        days = (found.started_at, found.ended_at)
        first, last = (day.astimezone(filters.zone).date().isoformat() for day in days)
        changes |= {"period": None, "from": first, "to": last}
    return requests_href(filters, **{by: found.name}, **changes)


def tokens_title(found: Figures) -> str:
    """The exact counts: "12,345 in, 678 out"."""
    return f"{count(found.usage.input_tokens)} in, {count(found.usage.output_tokens)} out"


def duration_ms(found: Figures, started_at: datetime | None = None) -> int | None:
    """Milliseconds from the first call (or `started_at`) to the last; None for a single call, which has no span."""
    if found.usage.events < 2:
        return None
    return round((found.ended_at - (started_at or found.started_at)).total_seconds() * 1000)


def cost_of(found: Figures) -> int | None:
    """The sum of the known costs in picousd; None where no call has one."""
    return None if found.usage.unpriced == found.usage.events else found.usage.cost_picousd


def with_words(href: str, more: str) -> str:
    """An address of this site with more words of a query, which must be encoded."""
    return f"{href}{'&' if '?' in href else '?'}{more}"


def _own(filters: Filters, by: By) -> Filters:
    return replace(filters, page_words=(("by", by),) if by != "session" else ())


def _tabs(filters: Filters, by: By) -> tuple[Option, ...]:
    path = reverse("dashboard:sessions")
    return tuple(
        Option(PLURALS[one].capitalize(), one, _own(filters, one).href(path), selected=one == by) for one in BYS
    )


def _row(found: Figures, filters: Filters, by: By) -> SessionRow:
    usage, zone = found.usage, filters.zone
    names = [named(model) for _, model in found.models]
    users = [name or external_id for external_id, name in found.users]
    behind = calls_href(filters, by, found)
    one_user = found.users[0][0] if found.users and found.user_count == 1 else ""
    started, ended = found.started_at, found.ended_at
    return SessionRow(
        name=found.name,
        href=session_href(by, found.name, filters.environment),
        user=_first_of(users, found.user_count),
        user_title=", ".join(external_id for external_id, _ in found.users),
        user_href=user_href(filters, one_user) if one_user else behind,
        first="earlier" if found.is_capped else _short(started, zone),
        first_title=f"{'Before ' if found.is_capped else ''}{formats.moment(started, zone)}",
        last=_short(ended, zone),
        last_title=formats.moment(ended, zone),
        duration=formats.duration(None if found.is_capped else duration_ms(found)),
        calls=f"{count(usage.events)}{'+' if found.is_capped else ''}",
        calls_title=f"Of its latest {count(LIST_CAP)} calls" if found.is_capped else "",
        calls_href=behind,
        failed=count(usage.errors) if usage.errors else "",
        failed_href=calls_href(filters, by, found, status=_failed(filters)),
        models=_first_of(names, len(names)),
        models_title=", ".join(model_name(*model) for model in found.models),
        tokens=f"{compact(usage.input_tokens)} / {compact(usage.output_tokens)}",
        tokens_title=tokens_title(found),
        cost=money(cost_of(found)),
        cost_title=NO_PRICE if cost_of(found) is None else formats.money_exact(usage.cost_picousd),
        unpriced=f"{count(usage.unpriced)} unpriced" if usage.unpriced else "",
        unpriced_href=calls_href(filters, by, found, priced="no"),
    )


def _short(at: datetime, zone: ZoneInfo) -> str:
    return f"{formats.short_day(at.astimezone(zone))} {formats.clock(at, zone)}"


def _failed(filters: Filters) -> str:
    """Failed calls among those found: a status that is asked for already says which."""
    return filters.status if filters.status not in (None, "ok") else "error"


def _first_of(names: Sequence[str], total: int) -> str:
    more = f" +{total - 1}" if total > 1 else ""
    return f"{names[0]}{more}" if names else named("")


def _more_href(places: Places, href: str) -> str:
    after = places.found[PAGE_SIZE - 1].newest if len(places.found) > PAGE_SIZE else places.rest
    return with_words(href, f"after={public_id(after)}") if after else ""


def _further(places: Places, filters: Filters) -> str:
    if places.rest is None:
        return ""
    at = time_of(places.rest).astimezone(filters.zone)
    return f"Look further back than {formats.short_day(at)} {at:%H:%M}"


def _summary(rows: Sequence[SessionRow], by: By, *, more: bool, later: bool) -> str:
    if later:
        return f"Earlier {PLURALS[by]}"
    if more:
        return f"The latest {count(len(rows))} {PLURALS[by]}"
    return f"{count(len(rows))} {by if len(rows) == 1 else PLURALS[by]}"


def _counted(filters: Filters, by: By) -> str:
    if filters.conditions:
        return f"Figures count the calls that meet the filters, over the whole {by}."
    return f"Each {by} is counted whole, with its calls before the period."


def _news(href: str, revision: str, newest: UUID, by: By, found: sessions.News) -> News:
    more = "+" if found.is_capped else ""
    text = f"{count(found.sessions)}{more} {PLURALS[by]} have new calls"
    if found.sessions == 1 and not more:
        text = f"1 {by} has new calls"
    return News(with_words(href, f"rev={revision}&newest={public_id(newest)}"), href, text if found.sessions else "")


def _empty(own: Filters, by: By, more_href: str, *, sent: bool) -> Empty:
    if not sent:
        text = f"Send {FIELDS[by]} with the metadata of each call: calls that share one appear here together."
        return Empty(f"No call has come with a {by} yet", text, "", "")
    if more_href:
        text = "None of them meets the filters." if own.conditions else f"None of them has a {by}."
        return Empty(f"Nothing among the latest {count(WALK)} requests", text, more_href, "Look further back")
    if own.conditions:
        text = f"Nothing in {own.period_text} meets all of them."
        return Empty(f"No {PLURALS[by]} match", text, own.without_conditions(), "Clear all filters")
    text = f"No {by} was active in {own.period_text}."
    return Empty(f"No {PLURALS[by]}", text, own.href(period="90d"), "Show 90 days")
