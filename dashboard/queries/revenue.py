"""Revenue of tracked users: their monthly amounts with history, prorated by the second, and their metered usage.

An amount per month is worth, each second, the amount divided by the seconds of that calendar month in the
organization's zone. Before a user's first amount there is no revenue. Metered usage is worth what the meters' rates
make of it (`metering/accrual.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from dashboard.filters import PICOUSD_PER_USD
from dashboard.queries import metered
from dashboard.queries.reading import Sql, fetch
from metering.periods import day_start

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """A stretch of time inside one calendar month of the organization's zone, which lasts `month_seconds`."""

    bucket: int
    start: datetime
    end: datetime
    month_seconds: int


@dataclass(frozen=True)
class Revenue:
    """Revenue of each bucket in picousd; `ever_sent` tells no revenue at all from none in the period."""

    by_bucket: tuple[int, ...]
    ever_sent: bool
    metered: tuple[int, ...] = ()
    """How much of each bucket is metered revenue; the rest is what users pay per month. Empty without meters."""

    @property
    def total(self) -> int:
        """The sum over the buckets, in picousd."""
        return sum(self.by_bucket)


def spans(edges: Sequence[datetime], until: datetime, zone: ZoneInfo) -> tuple[Span, ...]:
    """The buckets between neighbouring `edges`, ended at `until` and cut where a calendar month begins."""
    found = []
    for bucket, (start, end) in enumerate(pairwise(edges)):
        at, last = start, min(end, until)
        while at < last:
            month = at.astimezone(zone).date().replace(day=1)
            month_start, month_end = day_start(month, zone), day_start(_next_month(month), zone)
            stop = min(last, month_end)
            found.append(Span(bucket, at, stop, int((month_end - month_start).total_seconds())))
            at = stop
    return tuple(found)


def by_bucket(
    organization_id: int, edges: Sequence[datetime], until: datetime, zone: ZoneInfo, external_id: str | None = None
) -> Revenue:
    """Revenue between neighbouring `edges` up to `until`, of all users or of one.

    For the monthly amounts, the one in force at the first edge by the key of revenue_change (tracked_user,
    effective_at), and what changes later by its index on the time: each change counts from its moment on, so users are
    never multiplied by buckets.
    """
    pieces = spans(edges, until, zone)
    own = _changes(organization_id, external_id)
    statement = f"""SELECT 0, count(*), sum(amount), 0 FROM (
    SELECT DISTINCT ON (c.tracked_user_id) c.monthly_revenue_usd AS amount FROM {own.text} AND c.effective_at < %s
    ORDER BY c.tracked_user_id DESC, c.effective_at DESC
) f
UNION ALL SELECT width_bucket(effective_at, %s::timestamptz[]) AS span, count(*), sum(change),
    sum(change * extract(epoch FROM effective_at))
FROM (
    SELECT c.effective_at, c.monthly_revenue_usd - coalesce(({_AMOUNT_BEFORE}), 0) AS change
    FROM {own.text} AND c.effective_at >= %s
) l GROUP BY 1"""  # noqa: S608
    # The last threshold keeps what takes effect after the period apart.
    thresholds = [*(piece.start for piece in pieces), pieces[-1].end if pieces else until]
    rows = fetch(statement, (*own.params, thresholds[0], thresholds, *own.params, thresholds[0]))
    changes = {int(span): (amount or Decimal(), Decimal(weighted)) for span, _, amount, weighted in rows}
    monthly = _accumulated(pieces, changes, max(len(edges) - 1, 0))
    ever_sent = any(count for _, count, *_ in rows)
    used = metered.by_bucket(organization_id, edges, until, external_id)
    if used is None:
        return Revenue(monthly, ever_sent)
    both = tuple(sum(pair) for pair in zip(monthly, used, strict=True))
    return Revenue(both, ever_sent=ever_sent or any(used), metered=used)


def _changes(organization_id: int, external_id: str | None) -> Sql:
    """What follows FROM for the changes `c` of all users or of one: to be narrowed by AND."""
    text = "revenue_change c JOIN tracked_user u ON u.id = c.tracked_user_id WHERE u.organization_id = %s"
    if external_id is None:
        return Sql(text, (organization_id,))
    return Sql(f"{text} AND u.external_id = %s", (organization_id, external_id))


_AMOUNT_BEFORE = """SELECT b.monthly_revenue_usd FROM revenue_change b
    WHERE b.tracked_user_id = c.tracked_user_id AND b.effective_at < c.effective_at
    ORDER BY b.effective_at DESC LIMIT 1"""
"""What the user of a change `c` paid before it."""


def by_user(
    organization_id: int, user_ids: Sequence[int], start: datetime, until: datetime, zone: ZoneInfo
) -> dict[int, int]:
    """Revenue of some users from `start` to `until` in picousd; a user who never had any is left out.

    Index (tracked_user, effective_at) of revenue_change, for the given users only.
    """
    pieces = spans([start, until], until, zone)
    statement = """WITH amount AS (
    SELECT c.tracked_user_id, c.monthly_revenue_usd AS usd, c.effective_at AS valid_from,
        coalesce(lead(c.effective_at) OVER (PARTITION BY c.tracked_user_id ORDER BY c.effective_at), %s) AS valid_to
    FROM revenue_change c JOIN tracked_user u ON u.id = c.tracked_user_id
    WHERE u.organization_id = %s AND c.tracked_user_id = ANY(%s) AND c.effective_at < %s
)
SELECT a.tracked_user_id, s.n, sum(a.usd * greatest(0, extract(epoch FROM
    least(a.valid_to, s.until) - greatest(a.valid_from, s.start))))
FROM amount a CROSS JOIN unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS s (start, until, n)
GROUP BY 1, 2"""
    starts, ends = [piece.start for piece in pieces], [piece.end for piece in pieces]
    earned: dict[int, Fraction] = {}
    for user_id, n, usd_seconds in fetch(statement, (until, organization_id, list(user_ids), until, starts, ends)):
        share = Fraction(usd_seconds) / pieces[n - 1].month_seconds
        earned[user_id] = earned.get(user_id, Fraction()) + share
    used = metered.of_some(organization_id, start, until, user_ids)
    return {
        user_id: _picousd(earned.get(user_id, Fraction())) + used.get(user_id, 0) for user_id in earned.keys() | used
    }


def of_each_user(
    organization_id: int,
    start: datetime,
    until: datetime,
    zone: ZoneInfo,
    external_id: str | None = None,
    used: Mapping[int, int] | None = None,
    among: Sequence[int] | None = None,
) -> Sql:
    """Rows (tracked_user_id, picousd) of the users who had an amount before `until`, to be summed up: of all, of the
    one, or of those with these ids.

    `used` is their metered revenue in picousd, which is added; read here where it is not given.

    By the key and the time index of revenue_change, as `by_bucket`. Multiplied before it is divided, so that nothing is
    lost.
    """
    pieces = spans([start, until], until, zone)
    months = sum((_seconds(piece.end - piece.start) / piece.month_seconds for piece in pieces), Fraction())
    columns = zip(*((piece.start, piece.end, piece.month_seconds) for piece in pieces), strict=True)
    starts, ends, seconds = columns if pieces else ((), (), ())
    own = _changes(organization_id, external_id)
    if among is not None:
        own = Sql(f"{own.text} AND c.tracked_user_id = ANY(%s)", (*own.params, list(among)))
    text = f"""SELECT tracked_user_id, usd * %s::numeric / %s::numeric AS picousd FROM (
    SELECT DISTINCT ON (c.tracked_user_id) c.tracked_user_id, c.monthly_revenue_usd AS usd
    FROM {own.text} AND c.effective_at <= %s ORDER BY c.tracked_user_id DESC, c.effective_at DESC
) f
UNION ALL SELECT l.tracked_user_id, coalesce(sum(l.change * 1000000000000 * greatest(0, extract(epoch FROM
    s.until - greatest(l.effective_at, s.start))) / s.month_seconds), 0)
FROM (
    SELECT c.tracked_user_id, c.effective_at, c.monthly_revenue_usd - coalesce(({_AMOUNT_BEFORE}), 0) AS change
    FROM {own.text} AND c.effective_at > %s AND c.effective_at < %s
) l LEFT JOIN unnest(%s::timestamptz[], %s::timestamptz[], %s::bigint[]) AS s (start, until, month_seconds) ON true
GROUP BY 1"""  # noqa: S608
    params = (*own.params, start, *own.params, start, until, list(starts), list(ends), list(seconds))
    monthly = Sql(text, (months.numerator * PICOUSD_PER_USD, months.denominator, *params))
    if used is None and among is not None:
        used = metered.of_some(organization_id, start, until, among)
    elif used is None:
        used = metered.of_each_user(organization_id, start, until, external_id)
    if not used:
        return monthly
    both = f"{monthly.text} UNION ALL SELECT * FROM unnest(%s::bigint[], %s::numeric[])"  # noqa: S608
    return Sql(both, (*monthly.params, list(used), list(used.values())))


def of_users(each: Sql) -> Sql:
    """Rows (value, provider, picousd) by user, of the rows of `of_each_user`."""
    return Sql(f"SELECT tracked_user_id AS value, '' AS provider, picousd FROM ({each.text}) e", each.params)  # noqa: S608


def rates(each: Sql, users: Sql) -> Sql:
    """Rows (tracked_user_id, per_picousd, per_event): by what a user's cost is multiplied to get the user's revenue.

    Where nothing was spent, the requests are. `users` are rows of usage by user; users without requests have no rate.
    """
    # The digits behind the point are those that the quotient shall have: cents of whole companies stay exact.
    digits = f"0.{'0' * 24}"
    text = f"""SELECT tracked_user_id, CASE WHEN cost > 0 THEN (picousd + {digits}) / cost END AS per_picousd,
    CASE WHEN cost <= 0 THEN (picousd + {digits}) / events END AS per_event
FROM (SELECT tracked_user_id, sum(picousd) AS picousd FROM ({each.text}) e GROUP BY 1) earned JOIN (
    SELECT value AS tracked_user_id, sum(cost_picousd) AS cost, sum(events) AS events FROM ({users.text}) u
    GROUP BY 1 HAVING sum(events) > 0
) used USING (tracked_user_id)"""  # noqa: S608
    return Sql(text, (*each.params, *users.params))


def spread(rates: Sql, pairs: Sql, feature: str | None = None) -> Sql:
    """Rows (value, provider, picousd) by feature: what its users pay, by its share of their cost.

    A user's revenue is spread over the features that caused the user's cost in the same period, by their share of that
    cost; where nothing was spent, by their share of the requests. `pairs` are rows of usage by feature and user.
    Revenue of users without requests in the period belongs to no feature. With `feature`, only its rows are read.
    """
    text = f"""WITH rate AS MATERIALIZED ({rates.text})
SELECT p.provider AS value, '' AS provider,
    round(sum(coalesce(p.cost_picousd * r.per_picousd, p.events * r.per_event))) AS picousd
FROM ({pairs.text}) p JOIN rate r ON r.tracked_user_id = p.value
{"" if feature is None else "WHERE p.provider = %s"} GROUP BY 1 HAVING sum(p.events) > 0"""  # noqa: S608
    return Sql(text, (*rates.params, *pairs.params, *(() if feature is None else (feature,))))


def of_feature(spread: Sql) -> int | None:
    """What the one feature of a `spread` carries, in picousd; None where none of its users has a known revenue."""
    found = fetch(spread.text, spread.params)
    return int(found[0][2]) if found else None


def is_known(organization_id: int) -> bool:
    """Whether the organization ever sent what a user pays, or has meters. Keys of both tables."""
    statement = """SELECT EXISTS (SELECT FROM tracked_user u JOIN revenue_change c ON c.tracked_user_id = u.id
    WHERE u.organization_id = %s) OR EXISTS (SELECT FROM meter WHERE organization_id = %s)"""
    return bool(fetch(statement, (organization_id, organization_id))[0][0])


@dataclass(frozen=True)
class Change:
    """From `effective_at` on, the user pays `monthly_usd` per month."""

    effective_at: datetime
    monthly_usd: Decimal


def history(organization_id: int, external_id: str, limit: int) -> tuple[Change, ...]:
    """A user's monthly amounts, the latest first. Index (tracked_user, effective_at) of revenue_change."""
    statement = """SELECT c.effective_at, c.monthly_revenue_usd
FROM revenue_change c JOIN tracked_user u ON u.id = c.tracked_user_id
WHERE u.organization_id = %s AND u.external_id = %s ORDER BY c.effective_at DESC LIMIT %s"""
    return tuple(Change(*row) for row in fetch(statement, (organization_id, external_id, limit)))


def _accumulated(pieces: Sequence[Span], changes: dict[int, tuple[Decimal, Decimal]], buckets: int) -> tuple[int, ...]:
    """Walk the spans with the amount per month that is in force, adding what changes inside each."""
    in_force = Fraction(changes.get(0, (Decimal(), Decimal()))[0])
    earned = [Fraction()] * buckets
    for number, piece in enumerate(pieces, start=1):
        amount, weighted = (Fraction(value) for value in changes.get(number, (Decimal(), Decimal())))
        usd_seconds = in_force * _seconds(piece.end - piece.start) + amount * _seconds(piece.end - _EPOCH) - weighted
        earned[piece.bucket] += usd_seconds / piece.month_seconds
        in_force += amount
    return tuple(_picousd(usd) for usd in earned)


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), 10**6)


def _picousd(usd: Fraction) -> int:
    return round(usd * PICOUSD_PER_USD)


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
