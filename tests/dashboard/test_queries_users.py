"""Usage by user: any period is added up from months, dekads and days; the dearest are found without adding up all."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from dashboard.filters import Filters
from dashboard.queries import dearest, usage
from dashboard.queries.reading import fetch
from dashboard.queries.user_rows import Cover, cover_of, dekad_of
from events import rollups
from events.models import Organization
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)


def read(**words: str) -> Filters:
    return Filters.from_query(words, NOW, ZONE)


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def spelled_out(cover: Cover, latest: date) -> list[date]:
    """The days that a cover adds up, without those that it takes off again; a day twice would stand there twice."""
    found = list(cover.days)
    for step, firsts in (("month", cover.months), ("dekad", cover.dekads)):
        for first in firsts:
            following = days(first, min(first + timedelta(days=31), latest))
            found += [day for day in following if (dekad_of(day) if step == "dekad" else day.replace(day=1)) == first]
    for day in cover.without:
        found.remove(day)
    return sorted(found)


@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.integers(1, 400), st.integers(-500, 500), st.booleans())
def test_a_cover_is_the_days_of_its_period(first: date, length: int, later: int, by_month: bool) -> None:
    wanted = days(first, first + timedelta(days=length - 1))
    latest = wanted[-1] + timedelta(days=later)
    cover = Cover.of(wanted, latest, by_month=by_month)
    assert spelled_out(cover, latest) == [day for day in wanted if day <= latest]
    assert len(cover.days) + len(cover.without) <= 20
    assert by_month or not cover.months


def test_a_month_in_progress_is_one_row_for_a_user() -> None:
    assert cover_of(read(period="mtd"), by_month=True) == Cover(months=(date(2026, 11, 1),))
    assert cover_of(read(period="30d"), by_month=True) == Cover(
        months=(date(2026, 11, 1),),
        dekads=(date(2026, 10, 21),),
        without=tuple(days(date(2026, 10, 21), date(2026, 10, 25))),
    )
    over = Filters.from_query({"from": "2026-11-01", "to": "2026-11-20"}, NOW, ZONE)
    assert cover_of(over, by_month=True) == Cover(dekads=(date(2026, 11, 1), date(2026, 11, 11)))


def test_just_before_midnight_a_month_may_hold_events_of_the_next_day() -> None:
    late = Filters.from_query({"period": "mtd"}, datetime(2026, 11, 25, 4, 57, tzinfo=UTC), ZONE)
    assert cover_of(late, by_month=True) == Cover(months=(date(2026, 11, 1),), without=(date(2026, 11, 25),))


@pytest.fixture
def organization(db: None) -> Organization:
    made: Organization = OrganizationFactory(time_zone="America/New_York")
    return made


def store(organization: Organization, costs: list[int], *, spread_hours: float = 31) -> None:
    """Calls of the users u-0, u-1 …, spread over time: one for chat, and one of half its cost for another feature."""
    calls = [
        Call(
            at=NOW - timedelta(hours=1 + number * spread_hours % 900),
            cost=cost // half,
            user=f"u-{number}",
            feature="chat" if half == 1 else f"feature-{number % 3}",
        )
        for number, cost in enumerate(costs)
        for half in (1, 2)
    ]
    store_events(organization, calls)


def added_up(organization: Organization, filters: Filters, kind: str, limit: int) -> list[tuple[object, ...]]:
    rows = usage.of_users(organization.pk, filters, kind, Cover(days=filters.days))
    statement = f"""SELECT value, provider, sum(events), sum(cost_picousd) FROM ({rows.text}) r
GROUP BY 1, 2 HAVING sum(events) > 0 ORDER BY 4 DESC, 3 DESC, 1, 2 LIMIT %s"""
    return fetch(statement, (*rows.params, limit))


def found(organization: Organization, filters: Filters, kind: str, limit: int) -> list[tuple[object, ...]]:
    some = dearest.find(organization.pk, filters, kind, limit)
    return [(one.value, one.feature, one.events, one.cost_picousd) for one in some]


@pytest.fixture
def few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that they are not everybody."""
    monkeypatch.setattr(dearest, "CANDIDATES", 30)
    monkeypatch.setattr(dearest, "PART", 1)


KINDS = [("user", {}), ("feature_user", {}), ("user", {"feature": "chat"})]


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize(
    "costs",
    [
        [USD // (1 + number) for number in range(300)],  # few cost most of it
        [USD + number for number in range(300)],  # all cost nearly the same, so nobody can be left out
        [0] * 120,
        [USD * 5],
        [],
    ],
    ids=["steep", "even", "free", "one", "none"],
)
@pytest.mark.usefixtures("few_candidates")
def test_the_dearest_are_those_that_adding_up_finds(organization: Organization, costs: list[int], folded: bool) -> None:
    store(organization, costs)
    if folded:
        rollups.fold_now()
    for period in ("30d", "7d", "mtd", "90d"):
        for kind, words in KINDS:
            filters = read(period=period, **words)
            assert found(organization, filters, kind, 8) == added_up(organization, filters, kind, 8)


@pytest.mark.usefixtures("few_candidates")
def test_the_dearest_stay_exact_while_costs_are_taken_back(organization: Organization) -> None:
    """A cheaper price takes back costs by deltas, which may be folded before what they take back is."""
    store(organization, [USD * (300 - number) for number in range(300)], spread_hours=7)
    rollups.fold_now()
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO usage_delta (organization_id, environment, hour, day, tracked_user_id, feature, step,
provider, model, status, service_tier, events, errors, unpriced, input_tokens, output_tokens, cached_tokens,
cache_write_tokens, reasoning_tokens, cost_picousd)
SELECT organization_id, environment, day::timestamptz, day, tracked_user_id, 'chat', '', 'openai', 'gpt-4o', 0, 0,
0, 0, 0, 0, 0, 0, 0, 0, -cost_picousd FROM usage_day_user ORDER BY cost_picousd DESC LIMIT 60"""
        )
    for folded in (False, True):
        if folded:
            rollups.fold_now()
        for period in ("30d", "7d"):
            for kind, words in KINDS:
                filters = read(period=period, **words)
                assert found(organization, filters, kind, 8) == added_up(organization, filters, kind, 8)


@pytest.mark.usefixtures("few_candidates")
@pytest.mark.parametrize("kind", ["user", "feature_user"])
def test_where_few_cost_most_only_candidates_are_added_up(organization: Organization, kind: str) -> None:
    """Read from the plan: the part that adds up everybody is never begun."""
    store(organization, [10 * USD // (1 + number) ** 2 for number in range(300)], spread_hours=7)
    rollups.fold_now()
    with connection.execute_wrapper(_explained):
        dearest.find(organization.pk, read(), kind, 8)
    plan = _plans.pop()
    assert "never executed" in plan
    assert plan.count("never executed") < plan.count("loops=")


_plans: list[str] = []


def _explained(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
    if "enough AS" in sql:
        with connection.cursor().cursor as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {sql}", params)
            _plans.append("\n".join(row[0] for row in cursor.fetchall()))
    return execute(sql, params, many, context)


@pytest.mark.parametrize("kind", ["user", "feature_user"])
@pytest.mark.parametrize("words", [{"period": "30d"}, {"period": "90d"}, {"from": "2026-10-29", "to": "2026-11-15"}])
def test_a_period_s_sums_are_those_of_its_days(organization: Organization, kind: str, words: dict[str, str]) -> None:
    store(organization, [number * USD for number in range(60)], spread_hours=13)
    rollups.fold_now()
    store(organization, [number * USD // 3 for number in range(60)], spread_hours=17)
    sums = []
    for summed in (True, False):
        rows = usage.rows(organization.pk, read(**words), kind, hourly=False, summed=summed)
        statement = f"""SELECT value, provider, sum(events), sum(errors), sum(input_tokens), sum(cost_picousd)
FROM ({rows.text}) r GROUP BY 1, 2 HAVING sum(events) <> 0 ORDER BY 1, 2"""
        sums.append(fetch(statement, rows.params))
    assert sums[0] == sums[1] != []
