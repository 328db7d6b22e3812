"""One session or conversation: what it cost in all, and its calls in order with what it had cost by then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import compact, count, duration, moment, money, money_exact, percent
from dashboard.pages.links import model_name, named, request_href, session_href, user_href
from dashboard.pages.parts import Frame
from dashboard.pages.request_rows import NO_PRICE, STATUS_WORDS, tone_of
from dashboard.pages.sessions import News, NewsPage, calls_href, cost_of, duration_ms, tokens_title, with_words
from dashboard.queries import sessions
from dashboard.queries.reading import snapshot
from dashboard.queries.sessions import PAGE_CAP, By, Call, Figures, Sums
from dashboard.visit import Visit
from events.models.event import public_id, time_of

PAGE_SIZE = 50
NEWS_CAP = 1_000
MOST_NAMED = 6
"""How many features and models the facts name."""


@dataclass(frozen=True)
class Card:
    """One figure of the head; `href` leads to the requests behind it, `note` says what belongs to it."""

    label: str
    value: str
    title: str
    href: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Link:
    """A name in a fact, with the requests or the page behind it."""

    text: str
    href: str = ""
    title: str = ""


@dataclass(frozen=True)
class CallRow:
    """One call, with its place in time and in the sum."""

    id: str
    href: str
    number: str
    tone: str
    status: str
    is_fine: bool
    time: str
    moment: str
    since: str
    """Time since the first call: "+2 m 05 s"."""
    gap: str
    """Time since the call before; '' for the first."""
    step: str
    """The step, or the feature where the call names no step."""
    step_title: str
    feature: str
    """'' where all calls of the session have the same."""
    model: str
    model_title: str
    tokens_in: str
    tokens_in_title: str
    tokens_out: str
    latency: str
    cost: str
    cost_title: str
    width_percent: float
    """Length of the cost's bar: 100 for the most expensive call of the session."""
    running: str
    running_title: str


@dataclass(frozen=True)
class Session:
    """All that `session.html` prints, as a page or its next rows."""

    frame: Frame
    noun: str
    name: str
    back_href: str
    requests_href: str
    cards: Sequence[Card]
    started: str
    ended: str
    users: Sequence[Link]
    features: Sequence[Link]
    models: Sequence[Link]
    zone: str
    counted: str
    rows: Sequence[CallRow]
    more_href: str
    """The next page; '' after the last one."""
    news: News


def build(visit: Visit, filters: Filters, by: By, name: str, revision: str, after: UUID | None) -> Session | None:
    """The session of this id, None when the organization has none in the filters' environment.

    `after` (an event id) continues the calls behind it; the running cost goes on from the exact sum of all before.
    """
    organization = visit.organization_id
    if not name or "\0" in name:
        return None
    with snapshot():
        found = sessions.figures(organization, filters, by, [name], PAGE_CAP).get(name)
        if found is None:
            return None
        first = sessions.calls(organization, filters, by, name, 1)[0]
        calls = sessions.calls(organization, filters, by, name, PAGE_SIZE + 1, after)
        before = sessions.sums_until(organization, filters, by, name, after) if after else Sums()
    href = session_href(by, name, filters.environment)
    shown = calls[:PAGE_SIZE]
    return Session(
        frame=visit.frame(f"{by.capitalize()} {name}", "sessions", filters.environment),
        noun=by,
        name=name,
        back_href=filters.href(reverse("dashboard:sessions"), by=None if by == "session" else by),
        requests_href=calls_href(filters, by, found),
        cards=_cards(found, first.occurred_at, filters, by),
        started=moment(first.occurred_at, filters.zone),
        ended=moment(found.ended_at, filters.zone),
        users=_users(found, filters),
        features=_features(found, filters, by),
        models=_models(found, filters, by),
        zone=filters.zone.key,
        counted=_counted(found, filters, by),
        rows=_rows(shown, first, time_of(after) if after else None, before, found, filters),
        more_href=with_words(href, f"after={public_id(shown[-1].id)}") if len(calls) > PAGE_SIZE else "",
        news=_news(href, revision, found.last, 0),
    )


def news(visit: Visit, filters: Filters, by: By, name: str, revision: str, newest: UUID | None) -> NewsPage:
    """How many calls the session has that are newer than `newest`."""
    href = session_href(by, name, filters.environment)
    if newest is None or "\0" in name:
        return NewsPage(News(href, href, ""))
    found = sessions.count_after(visit.organization_id, filters, by, name, newest, NEWS_CAP)
    return NewsPage(_news(href, revision, newest, found))


def _cards(found: Figures, started_at: datetime, filters: Filters, by: By) -> tuple[Card, ...]:
    usage, cost, more = found.usage, cost_of(found), "+" if found.is_capped else ""
    behind = calls_href(filters, by, found)
    failed = calls_href(filters, by, found, status="error")
    cards = [
        Card("Cost", money(cost), NO_PRICE if cost is None else money_exact(cost), behind, _average(found)),
        Card("Calls", f"{count(usage.events)}{more}", "", behind),
        Card("Failed", count(usage.errors), "", failed, _share(usage.errors, usage.events), _tone(usage.errors, "bad")),
        Card("Tokens", f"{compact(usage.input_tokens)} / {compact(usage.output_tokens)}", tokens_title(found), behind),
        Card("Duration", duration(duration_ms(found, started_at)), "From the first call to the last", behind),
    ]
    if usage.unpriced:
        unpriced, title = calls_href(filters, by, found, priced="no"), "Left out of every sum of costs"
        share = _share(usage.unpriced, usage.events)
        cards.insert(1, Card("Without a price", count(usage.unpriced), title, unpriced, share, "warn"))
    return tuple(cards)


def _average(found: Figures) -> str:
    priced = found.usage.events - found.usage.unpriced
    return f"{money(found.usage.cost_picousd // priced)} a call" if priced > 1 else ""


def _share(part: int, whole: int) -> str:
    return f"{percent(Decimal(part) / whole)} of the calls" if part else ""


def _tone(number: int, tone: str) -> str:
    return tone if number else ""


def _users(found: Figures, filters: Filters) -> tuple[Link, ...]:
    named_ones = tuple(
        Link(name or external_id, user_href(filters, external_id), external_id) for external_id, name in found.users
    )
    return _with_rest(named_ones, found.user_count) if named_ones else (Link(named("")),)


def _features(found: Figures, filters: Filters, by: By) -> tuple[Link, ...]:
    shown = found.features[:MOST_NAMED]
    return _with_rest(
        [Link(named(one), calls_href(filters, by, found, feature=one)) for one in shown], len(found.features)
    )


def _models(found: Figures, filters: Filters, by: By) -> tuple[Link, ...]:
    links = [
        Link(model_name(provider, model), calls_href(filters, by, found, model=model, provider=provider))
        for provider, model in found.models[:MOST_NAMED]
    ]
    return _with_rest(links, len(found.models))


def _with_rest(links: Sequence[Link], total: int) -> tuple[Link, ...]:
    return (*links, Link(f"and {count(total - len(links))} more")) if total > len(links) else tuple(links)


def _counted(found: Figures, filters: Filters, by: By) -> str:
    test = " in the test environment" if filters.environment == "test" else ""
    if found.is_capped:
        return f"The figures above count its latest {count(PAGE_CAP)} calls; the running cost counts every one."
    return f"Every call of the {by}{test}, whatever the period, the first one on top."


def _rows(
    calls: Sequence[Call], first: Call, previous: datetime | None, before: Sums, found: Figures, filters: Filters
) -> tuple[CallRow, ...]:
    rows, so_far = [], before
    for call in calls:
        so_far = so_far.with_call(call.cost_picousd)
        since = _ms(first.occurred_at, call.occurred_at)
        gap = None if previous is None else _ms(previous, call.occurred_at)
        rows.append(_row(call, since, gap, so_far, found, filters))
        previous = call.occurred_at
    return tuple(rows)


def _ms(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)


def _row(call: Call, since: int, gap: int | None, so_far: Sums, found: Figures, filters: Filters) -> CallRow:
    at, zone, cost, dearest = call.occurred_at, filters.zone, call.cost_picousd, found.dearest_picousd
    one_day = found.started_at.astimezone(zone).date() == found.ended_at.astimezone(zone).date()
    day = "" if one_day else f"{formats.short_day(at.astimezone(zone))} "
    left_out = f"; {count(so_far.unpriced)} without a price left out" if so_far.unpriced else ""
    return CallRow(
        id=public_id(call.id),
        href=request_href(public_id(call.id)),
        number=count(so_far.calls),
        tone=tone_of(call.status),
        status=STATUS_WORDS[call.status],
        is_fine=tone_of(call.status) == "good",
        time=f"{day}{formats.clock(at, zone)}",
        moment=moment(at, zone),
        since="0" if since == 0 else f"+{duration(since)}",
        gap=duration(gap) if gap is not None else "",
        step=call.step or named(call.feature),
        step_title=f"{named(call.feature)} · {call.step}" if call.step else "",
        feature=named(call.feature) if call.step and len(found.features) > 1 else "",
        model=named(call.model),
        model_title=model_name(call.provider, call.model),
        tokens_in=count(call.input_tokens),
        tokens_in_title=f"{count(call.cached_tokens)} of them cached" if call.cached_tokens else "",
        tokens_out=count(call.output_tokens),
        latency=duration(call.latency_ms),
        cost=money(cost),
        cost_title=NO_PRICE if cost is None else money_exact(cost),
        width_percent=100 * (cost or 0) / dearest if dearest else 0.0,
        running=money(so_far.cost_picousd if so_far.calls > so_far.unpriced else None),
        running_title=f"{money_exact(so_far.cost_picousd)}{left_out}",
    )


def _news(href: str, revision: str, newest: UUID, found: int) -> News:
    text = "1 new call" if found == 1 else f"{count(found)}{'+' if found == NEWS_CAP else ''} new calls"
    return News(with_words(href, f"rev={revision}&newest={public_id(newest)}"), href, text if found else "")
