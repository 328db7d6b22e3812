"""Sums through the API: those of the events, whatever tells them apart, in zones and on days that are awkward."""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from dashboard.api.cost_schemas import CostsOut
from events import rollups
from events.models import Environment, Organization, Status, TrackedUser
from tests.dashboard.api.conftest import Reader
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory
from tests.metering.api.conftest import Api, field_errors

GROUPS = ("feature", "user", "model", "provider", "status", "step")
GRANULARITIES = ("hour", "day", "month", "total")
type Sums = dict[tuple[str, str | None, str | None], tuple[Any, ...]]


def calls_around(at: datetime) -> list[Call]:
    """Calls of all kinds, one every 25 minutes for five days around the moment."""
    return [
        Call(
            at=at + timedelta(minutes=25 * number),
            cost=None if number % 11 == 5 or number % 5 == 4 else (number + 145) * USD // 7,
            model=("gpt-4o", "claude-sonnet-4-5", "")[number % 3],
            provider=("openai", "anthropic", "")[number % 3],
            status=("SUCCESS", "ERROR", "MAX_TOKENS", "BLOCKED")[number % 4],
            feature=("chat", "search", "", "é", "unpriced")[number % 5],
            step=("draft", "")[number % 2],
            user=("u-1", "u-2", "")[number % 3],
            environment=Environment.TEST if number % 13 == 7 else Environment.LIVE,
        )
        for number in range(-144, 144)
    ]


PLACES = {
    "half an hour off": ("Asia/Kolkata", datetime(2026, 10, 31, 18, 30, tzinfo=UTC)),
    "clocks go back": ("Europe/Berlin", datetime(2026, 10, 25, 0, 0, tzinfo=UTC)),
    "clocks go forward by half an hour": ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    "clocks go back by half an hour": ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, 0, tzinfo=UTC)),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, db: None) -> tuple[Organization, datetime]:
    zone, at = PLACES[request.param]
    organization = OrganizationFactory(time_zone=zone)
    store_events(organization, calls_around(at))
    store_events(OrganizationFactory(), [Call(at=at, cost=999 * USD)])
    return organization, at


def text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def begin(at: datetime, zone: ZoneInfo, granularity: str) -> datetime:
    """When the bucket of a moment began, found by walking back from minute to minute, or day to day."""
    if granularity == "hour":
        moment = at.astimezone(UTC).replace(second=0, microsecond=0)
        while moment.astimezone(zone).minute:
            moment -= timedelta(minutes=1)
        return moment
    local = at.astimezone(zone)
    first = datetime(local.year, local.month, 1 if granularity == "month" else local.day, tzinfo=zone)
    return first.astimezone(UTC)


def expected(
    organization: Organization, by: str, granularity: str, start: datetime, end: datetime, where: str = "true"
) -> Sums:
    """The sums by the events themselves, in buckets that this module finds by its own rule."""
    value = {"user": "(SELECT external_id FROM tracked_user u WHERE u.id = tracked_user_id)"}.get(by, f"e.{by}::text")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT event_time(id), {value}, {"e.provider" if by == "model" else "NULL"}, status NOT IN (0, 3),
    cost_picousd IS NULL, input_tokens, output_tokens, cost_picousd FROM event e
WHERE organization_id = %s AND environment = 0 AND event_time(id) >= %s AND event_time(id) < %s AND {where}""",
            (organization.pk, start, end),
        )
        found = cursor.fetchall()
    sums: dict[Any, list[Any]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0])
    for at, value, provider, failed, unpriced, tokens_in, tokens_out, cost in found:
        name = Status(int(value)).label if by == "status" else value or None
        bucket = start if granularity == "total" else max(start, begin(at, organization.zone, granularity))
        line = sums[text(bucket), name, provider or None]
        for place, amount in enumerate((1, failed, unpriced, tokens_in, tokens_out, cost or 0)):
            line[place] += amount
    return {key: (*line[:5], None if line[0] == line[2] else line[5]) for key, line in sums.items()}


def answered(body: dict[str, Any]) -> Sums:
    return {(item["start"], item["value"], item["provider"]): measures(item) for item in body["items"]}


def measures(item: dict[str, Any]) -> tuple[Any, ...]:
    cost = None if item["cost_usd"] is None else Decimal(item["cost_usd"]) * USD
    assert (None if item["cost"] is None else Decimal(item["cost"]) * USD) == cost
    names = ("requests", "errors", "unpriced", "input_tokens", "output_tokens")
    return (*(item[name] for name in names), cost)


def costs(api: Api, **words: str) -> dict[str, Any]:
    response = api.get(f"costs?{urlencode(words)}")
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content, parse_float=Decimal)
    return body


@pytest.mark.parametrize("folded", [False, True])
def test_sums_are_those_of_the_events(place: tuple[Organization, datetime], reader: Reader, folded: bool) -> None:
    organization, at = place
    api, zone = reader(organization), organization.zone
    if folded:
        rollups.fold_now()
    day = begin(at, zone, "day")
    hour = begin(at, zone, "hour")
    periods = {
        "days": (begin(day - timedelta(hours=36), zone, "day"), begin(day + timedelta(hours=50), zone, "day")),
        "hours": (begin(hour - timedelta(hours=27), zone, "hour"), begin(hour + timedelta(hours=31), zone, "hour")),
        "moments": (at - timedelta(hours=20, minutes=27), at + timedelta(hours=31, seconds=5, milliseconds=3)),
    }
    for name, (start, end) in periods.items():
        for by in GROUPS:
            for granularity in GRANULARITIES:
                body = costs(api, group_by=by, granularity=granularity, **{"from": text(start), "to": text(end)})
                wanted = expected(organization, by, granularity, start, end)
                assert answered(body) == wanted, (name, by, granularity)
                assert len(body["items"]) == len(wanted) > 1
                assert body["groups"] == len({key[1:] for key in wanted})
                assert not body["truncated"]
                assert sum(item["requests"] for item in body["items"]) == body["total"]["requests"]
                assert sum(Decimal(item["cost_usd"] or 0) for item in body["items"]) == Decimal(
                    body["total"]["cost_usd"]
                )


CONDITIONS = {
    "feature=chat": "feature = 'chat'",
    "feature=chat&status=error": "feature = 'chat' AND status NOT IN (0, 3)",
    "feature=(none)&model=gpt-4o": "feature = '' AND model = 'gpt-4o'",
    "user=u-1": "tracked_user_id = (SELECT id FROM tracked_user u WHERE external_id = 'u-1' "
    "AND u.organization_id = e.organization_id)",
    "user=(none)&feature=search": "tracked_user_id IS NULL AND feature = 'search'",
    "min_cost=3": f"cost_picousd >= {3 * USD}",
    "priced=no": "cost_picousd IS NULL",
}


def test_conditions_hold_whatever_table_answers(place: tuple[Organization, datetime], reader: Reader) -> None:
    organization, at = place
    api, found = reader(organization), []
    day = begin(at, organization.zone, "day")
    start = begin(day - timedelta(hours=36), organization.zone, "day")
    for end in (begin(day + timedelta(hours=50), organization.zone, "day"), at + timedelta(minutes=13)):
        for words, where in CONDITIONS.items():
            for by in ("feature", "user", "model"):
                for granularity in ("day", "total"):
                    query = f"group_by={by}&granularity={granularity}&from={text(start)}&to={text(end)}&{words}"
                    body = json.loads(api.get(f"costs?{query}").content, parse_float=Decimal)
                    wanted = expected(organization, by, granularity, start, end, where)
                    assert answered(body) == wanted, query
                    found.append(len(wanted))
    assert all(found)


def test_the_answer_says_what_it_is_about(reader: Reader, db: None) -> None:
    organization = OrganizationFactory(time_zone="Asia/Kolkata")
    store_events(organization, [Call(at=datetime(2026, 11, 21, 9, tzinfo=UTC), user="u-1", cost=5_250_000_000)])
    TrackedUser.objects.update(name="Northwind")
    api = reader(organization)
    body = api.get("costs?group_by=user&granularity=month&from=2026-11-11&to=2026-12-01").json()
    sums = {
        "requests": 1, "errors": 0, "unpriced": 0, "input_tokens": 1200, "output_tokens": 350, "cost": 0.00525,
        "cost_usd": "0.005250000000",
    }  # fmt: skip
    start, end = "2026-11-10T18:30:00.000Z", "2026-11-30T18:30:00.000Z"
    assert body == {
        "group_by": "user", "granularity": "month", "time_zone": "Asia/Kolkata", "environment": "live",
        "start": start, "end": end, "groups": 1, "truncated": False, "total": sums,
        "items": [{"start": start, "end": end, "value": "u-1", "provider": None, "name": "Northwind"} | sums],
    }  # fmt: skip
    assert set(body) == set(CostsOut.model_fields)
    model = api.get("costs?group_by=model&from=2026-11-11&to=2026-12-01").json()["items"][0]
    assert (model["value"], model["provider"], model["name"]) == ("gpt-4o", "openai", None)
    nothing = api.get("costs?from=2026-01-01&to=2026-01-02").json()
    assert (nothing["items"], nothing["groups"]) == ([], 0)
    assert (nothing["total"]["requests"], nothing["total"]["cost"]) == (0, 0)


def test_by_itself_it_is_the_last_30_days_by_feature(api: Api, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now), Call(at=now - timedelta(days=31))])
    body = api.get("costs").json()
    assert (body["group_by"], body["granularity"], len(body["items"])) == ("feature", "total", 1)
    assert body["total"]["requests"] == 1
    assert datetime.fromisoformat(body["end"]) - datetime.fromisoformat(body["start"]) == timedelta(days=30)


def test_the_dearest_are_listed_and_all_are_counted(api: Api, organization: Organization, now: datetime) -> None:
    store_events(
        organization,
        [Call(at=now - timedelta(days=number % 3), feature=f"f-{number}", cost=number * USD) for number in range(12)],
    )
    for granularity in ("total", "day"):
        body = api.get(f"costs?granularity={granularity}&limit=5").json()
        assert {item["value"] for item in body["items"]} == {f"f-{number}" for number in range(7, 12)}
        assert (body["groups"], body["truncated"], body["total"]["cost"]) == (12, True, sum(range(12)))
        dearest = [item["value"] for item in body["items"] if item["start"] == body["items"][0]["start"]]
        assert dearest == sorted(dearest, key=lambda value: -int(value[2:]))
    assert api.get("costs?limit=12").json()["truncated"] is False


WRONG = [
    ("group_by=tier", "group_by"), ("group_by=", "group_by"), ("granularity=week", "granularity"), ("limit=0", "limit"),
    ("limit=1001", "limit"), ("from=2026-01-01&to=2026-01-01", "from"), ("from=2024-01-01&to=2026-01-02", "from"),
    ("granularity=hour&from=2026-01-01&to=2026-02-02", "from"), ("after=x", "after"), ("sort=cost", "sort"),
    ("from=2026-01-01T00:00:01Z&to=2026-02-01T00:00:02Z", "from"),
    ("granularity=day&limit=1000&from=2025-01-01", "limit"),
    ("period=7d", "period"), ("status=x", "status"), ("meta.=x", "meta."), ("q=", "q"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field"), WRONG)
def test_what_is_not_understood_or_too_much_is_named(api: Api, query: str, field: str) -> None:
    response = api.get(f"costs?{query}")
    assert response.status_code == 422, response.content
    assert set(field_errors(response)) == {field}


@pytest.mark.parametrize(
    "query",
    [
        "from=2024-01-02&to=2026-01-02",
        "granularity=month&from=2024-01-02&to=2026-01-02&limit=1000",
        "granularity=hour&from=2026-10-01&to=2026-11-01",
        "from=2026-01-01T00:00:01Z&to=2026-02-01T00:00:01Z",
        "granularity=day&to=2199-12-31",
        "granularity=hour&from=2026-01-01T00:00:00.001Z&to=2026-01-01T00:00:00.002Z",
        "group_by=user&from=2030-01-01&to=2030-02-01",
    ],
)
def test_as_much_as_is_allowed_is_answered(reader: Reader, db: None, query: str) -> None:
    assert reader(OrganizationFactory(time_zone="Europe/Berlin")).get(f"costs?{query}").status_code == 200
