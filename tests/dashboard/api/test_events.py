"""Events through the API: whole, exact, each once, and by the same conditions as the list of requests."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError
from django.test import Client

from dashboard import filters
from dashboard.api import conditions
from dashboard.api import events as endpoint
from dashboard.api.conditions import Conditions
from dashboard.api.event_schemas import EventInFullOut, EventOut
from dashboard.filters import Filters
from dashboard.queries import events as queries
from dashboard.queries import reading
from dashboard.queries.conditions import id_floor
from events.models import Environment, EventCostHistory, Flag, Organization, Role
from events.models.event import public_id
from metering.api.access import Caller
from pricing import catalog
from pricing.costs import Usage
from tests.dashboard.api.conftest import Reader
from tests.dashboard.test_requests import rows
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory
from tests.metering.api.conftest import Api, field_errors

METADATA = '{"n": 1.10, "big": 9007199254740993, "tiny": 0.1000000000000000055511151231257827}'


def ids(api: Api, query: str = "") -> list[str]:
    response = api.get(f"events?{query}")
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


def test_an_event_is_told_in_full(api: Api, organization: Organization, now: datetime) -> None:
    usage = Usage(1200, 350, 1000)
    cost = catalog.load().price("openai", "gpt-4o", catalog.epoch_ms(now), usage)
    call = Call(
        at=now, usage=usage, cost=cost.picousd, rate_card_id=cost.card_id, user="u-1", metadata=METADATA,
        flags=Flag.TEXT_CUT, provider_usage='{"input_tokens": 1200}',
    )  # fmt: skip
    (event_id,) = store_events(organization, [call])
    EventCostHistory.objects.create(
        event_id=event_id,
        replaced_at=now,
        replaced_by_revision=1,
        cost_picousd=None,
        price_status="unpriced_model",
        pricing_revision=1,
    )
    (item,) = api.get("events").json()["items"]
    moment = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert item == {
        "id": public_id(event_id), "occurred_at": moment, "received_at": moment, "environment": "live",
        "status": "SUCCESS", "error_message": None, "feature": "chat", "step": None, "user_id": "u-1",
        "user_name": None, "session_id": None, "conversation_id": None, "provider": "openai", "model": "gpt-4o",
        "service_tier": "standard", "region": "global", "input_tokens": 1200, "output_tokens": 350,
        "cached_tokens": 1000, "cache_write_tokens": 0, "cache_write_1h_tokens": 0, "reasoning_tokens": 0,
        "latency_ms": 812.4, "streaming_duration_ms": None, "is_streamed": None, "cost": 0.00525,
        "cost_usd": "0.005250000000", "price_status": "priced", "pricing_revision": 1, "api_key_name": None,
        "flags": ["text_cut"], "metadata": {"n": 1.1, "big": 9007199254740993, "tiny": 0.1},
    }  # fmt: skip
    assert set(item) == set(EventOut.model_fields)
    response = api.get(f"events/{item['id']}")
    found = response.json()
    assert set(found) == set(EventInFullOut.model_fields)
    assert {name: found[name] for name in item} == item
    assert b'"cost":0.00525,' in response.content
    for digits in (b"1.10", b"0.1000000000000000055511151231257827"):
        assert digits in response.content
    assert found["provider_usage"] == {"input_tokens": 1200}
    assert found["former_costs"][0]["cost_usd"] is None
    receipt = found["receipt"]
    assert (receipt["model"], receipt["tier"], receipt["rate_from"]) == ("openai/gpt-4o", "standard", "card")
    assert [(line["meter"], line["tokens"], line["usd_per_mtok"], line["cost_usd"]) for line in receipt["lines"]] == [
        ("input", 200, "2.500000", "0.000500000000"),
        ("cache_read", 1000, "1.250000", "0.001250000000"),
        ("output", 350, "10.000000", "0.003500000000"),
    ]


@pytest.mark.parametrize(
    ("picousd", "cost", "cost_usd"),
    [
        (None, "null", None),
        (0, "0", "0.000000000000"),
        (1, "0.000000000001", "0.000000000001"),
        (10 * USD, "10", "10.000000000000"),
        (123_456_789_012 * USD + 1, "123456789012.000000000001", "123456789012.000000000001"),
    ],
)
def test_money_keeps_every_digit_and_unknown_is_null(
    api: Api, organization: Organization, now: datetime, picousd: int | None, cost: str, cost_usd: str | None
) -> None:
    store_events(organization, [Call(at=now, cost=picousd)])
    response = api.get("events")
    assert f'"cost":{cost},'.encode() in response.content
    assert response.json()["items"][0]["cost_usd"] == cost_usd
    assert response["Cache-Control"] == "no-store"


def test_pages_hold_each_event_once_while_others_come_in(api: Api, organization: Organization, now: datetime) -> None:
    stored = store_events(organization, [Call(at=now - timedelta(seconds=number // 5)) for number in range(60)])
    found, after = [], ""
    for _ in range(20):
        page = api.get(f"events?limit=7{after}").json()
        found += [item["id"] for item in page["items"]]
        store_events(organization, [Call(at=now + timedelta(seconds=len(found)))])
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == [public_id(event_id) for event_id in sorted(stored, reverse=True)]
    assert len(ids(api, "limit=200")) == 60 + 9


def test_a_page_ends_early_where_metadata_is_large(
    api: Api, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MOST_METADATA", 100)
    store_events(organization, [Call(at=now, metadata=f'{{"a": "{"x" * size}"}}') for size in (200, 10, 10, 300)])
    sizes: list[int] = []
    after = ""
    while after is not None and len(sizes) < 9:
        page = api.get(f"events?limit=3{after}").json()
        sizes.append(len(page["items"]))
        after = page["next"] and f"&after={page['next']}"
    assert sizes == [1, 2, 1]


def test_a_list_goes_back_as_far_as_its_first_page_did(now: datetime) -> None:
    caller = Caller(1, ZoneInfo("UTC"), Role.VIEWER, Environment.LIVE, now)
    first = conditions.read(Conditions(), {}, caller)
    later = Caller(1, ZoneInfo("UTC"), Role.VIEWER, Environment.LIVE, now + timedelta(days=1))
    assert conditions.read(Conditions(), {}, later).start == first.start + timedelta(days=1)
    assert conditions.read(Conditions(), {}, later, first.start).start == first.start
    of_pages = Filters.from_query({"period": "30d"}, now, ZoneInfo("UTC"))
    assert (first.start, first.end) == (of_pages.start, of_pages.end)


FOUND_BY = [
    {}, {"feature": "chat"}, {"feature": "(none)"}, {"step": "draft"}, {"user": "u-1"}, {"user": "(none)"},
    {"user": "nobody"}, {"model": "gpt-4o"}, {"provider": "anthropic"}, {"status": "error"}, {"status": "ok"},
    {"status": "ERROR"}, {"status": "MAX_TOKENS"}, {"tier": "batch"}, {"session": "s-1"}, {"conversation": "(none)"},
    {"key": "org_live_nobody"}, {"priced": "no"}, {"min_cost": "0.5"}, {"max_cost": "1"}, {"min_latency": "200.5"},
    {"max_latency": "200.4"}, {"min_tokens": "110"}, {"max_tokens": "210"}, {"q": "draf"}, {"q": "%"},
    {"meta.plan": "pro"}, {"meta.plan": "(none)"}, {"meta.plan": "pro", "meta.seats": "3"}, {"meta.a b&c": "é"},
    {"environment": "test"}, {"feature": "chat", "status": "ok", "user": "u-1"},
]  # fmt: skip


@pytest.fixture
def varied(organization: Organization, now: datetime) -> None:
    metadata = ('{"plan": "pro", "seats": 3}', '{"plan": "free", "a b&c": "é"}', None, '{"plan": "pro"}')
    store_events(
        organization,
        [
            Call(
                at=now - timedelta(hours=number),
                cost=(None, USD // 10, USD, 2 * USD)[number % 4],
                model=("gpt-4o", "claude-sonnet-4-5")[number % 2],
                provider=("openai", "anthropic")[number % 2],
                status=("SUCCESS", "ERROR", "MAX_TOKENS")[number % 3],
                feature=("chat", "")[number % 2],
                step=("draft", "", "")[number % 3],
                user=("u-1", "u-2", "")[number % 3],
                tier=("standard", "batch")[number % 2],
                session_id=("s-1", "")[number % 2],
                conversation_id=("c-1", "")[number % 2],
                latency_ms=(None, 100.0, 200.5, 300.0)[number % 4],
                usage=Usage(100 * (number % 4), 10),
                metadata=metadata[number % 4],
                environment=Environment.TEST if number == 5 else Environment.LIVE,
            )
            for number in range(24)
        ],
    )


@pytest.mark.usefixtures("varied")
def test_each_condition_finds_what_the_list_of_requests_finds(
    organization: Organization, member: Client, reader: Reader
) -> None:
    counts = set()
    for words in FOUND_BY:
        query = urlencode(words)
        api = reader(organization, Environment.TEST if "environment" in words else Environment.LIVE)
        shown = rows(member.get(f"/requests/?{query}").content.decode())
        assert ids(api, query) == shown, words
        counts.add(len(shown))
    assert len(counts) > 8
    assert {word for words in FOUND_BY for word in words if "." not in word} | {"from_", "to"} == set(
        Conditions.model_fields
    )
    assert {word.removesuffix("_") for word in Conditions.model_fields} == set(filters.WORDS) - {"period", "compare"}


def test_a_period_is_cut_to_the_millisecond(api: Api, organization: Organization, now: datetime) -> None:
    at = now.replace(microsecond=0) - timedelta(hours=1)
    stored = store_events(organization, [Call(at=at + timedelta(milliseconds=number)) for number in range(1000)])
    for number in (1, 3, 57, 333, 998):
        edge = at + timedelta(milliseconds=number)
        assert id_floor(edge) <= stored[number]
        assert id_floor(edge) > stored[number - 1]
    from_, to = (
        (at + timedelta(milliseconds=n)).isoformat(timespec="milliseconds").replace("+", "%2B") for n in (7, 9)
    )
    assert ids(api, f"from={from_}&to={to}") == [public_id(stored[8]), public_id(stored[7])]
    from_ = (at + timedelta(microseconds=7_001)).isoformat()  # with a plus sign that nobody escaped
    assert ids(api, f"from={from_}&to={to}") == [public_id(stored[8])]


def test_a_day_begins_by_the_clocks_of_the_organization(reader: Reader, db: None) -> None:
    organization = OrganizationFactory(time_zone="Asia/Kolkata")
    midnight = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
    stored = store_events(organization, [Call(at=midnight + timedelta(hours=hours)) for hours in (-1, 0, 23, 24)])
    found = ids(reader(organization), "from=2026-11-21&to=2026-11-22")
    assert found == [public_id(stored[2]), public_id(stored[1])]


WRONG = [
    ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("after=x", "after"), ("after=", "after"),
    ("after=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwgIjAiXQ", "after"), ("from=yesterday", "from"),
    ("from=1999-12-31", "from"), ("from=2026-02-30", "from"), ("to=2200-01-01", "to"), ("to=10:00", "to"),
    ("from=2026-01-02&to=2026-01-02", "from"), ("from=2026-01-02&to=2026-01-01", "from"), ("from=2199-12-31", "from"),
    ("environment=LIVE", "environment"), ("status=failed", "status"), ("status=success", "status"),
    ("tier=default", "tier"), ("priced=yes", "priced"), ("feature=", "feature"), ("feature=%20", "feature"),
    ("feature=%00", "feature"), (f"user={'x' * 256}", "user"), ("min_cost=-1", "min_cost"),
    ("min_cost=1e3", "min_cost"), ("min_cost=1.0000000000001", "min_cost"), ("max_cost=NaN", "max_cost"),
    ("max_cost=٣", "max_cost"), ("min_latency=fast", "min_latency"), ("min_tokens=1.5", "min_tokens"),
    ("max_tokens=9999999999999999", "max_tokens"), ("q=", "q"), ("meta.plan=", "meta.plan"), ("meta.=x", "meta."),
    ("meta.plan=%00", "meta.plan"), (f"meta.plan={'x' * 256}", "meta.plan"), ("meta.a%00=x", "meta.a\0"),
    ("&".join(f"meta.{n}=x" for n in range(6)), "meta.*"), ("meta.plan=a&meta.plan=b", "meta.plan"),
    ("feature=a&feature=b", "feature"), ("period=7d", "period"), ("cursor=x", "cursor"), ("meta=x", "meta"),
    ("Feature=x", "Feature"), ("from_=2026-01-01", "from_"), ("group_by=user", "group_by"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field"), WRONG)
def test_what_is_not_understood_is_named(api: Api, query: str, field: str) -> None:
    response = api.get(f"events?{query}")
    assert response.status_code == 422, response.content
    assert set(field_errors(response)) == {field}
    assert response.json()["error"]["type"] == "invalid_request"


def test_all_that_is_wrong_is_named_at_once(api: Api) -> None:
    response = api.get("events?limit=0&status=x&min_cost=x&meta.a=b&nothing=1")
    assert set(field_errors(response)) == {"limit", "status", "min_cost", "nothing"}


def test_what_is_not_ones_own_is_not_there(api: Api, organization: Organization, reader: Reader, now: datetime) -> None:
    (own,) = store_events(organization, [Call(at=now)])
    (test,) = store_events(organization, [Call(at=now, environment=Environment.TEST)])
    (foreign,) = store_events(OrganizationFactory(), [Call(at=now)])
    assert ids(api) == [public_id(own)]
    wrong = (
        public_id(foreign),
        public_id(test),
        public_id(own).upper(),
        own.hex,
        str(own),
        f"evt_{'0' * 32}",
        "evt_",
        "é",
        "%00",
    )
    for text in wrong:
        response = api.get(f"events/{text}")
        assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found"), text
    assert reader(organization, Environment.TEST).get(f"events/{public_id(test)}").json()["environment"] == "test"
    assert reader(organization, Environment.TEST).get(f"events/{public_id(own)}").status_code == 404
    assert api.get(f"events/{public_id(own)}?x=1").status_code == 422


def test_what_takes_too_long_is_503(
    committed_db: None, reader: Reader, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = OrganizationFactory()
    store_events(organization, [Call(at=now)])
    api = reader(organization)
    assert len(ids(api)) == 1
    monkeypatch.setattr(reading, "STATEMENT_TIMEOUT_MS", 50)
    slow = queries._DETAIL.replace("SELECT ", "SELECT pg_sleep(5), ", 1)
    monkeypatch.setattr(queries, "_DETAIL", slow)
    response = api.get("events")
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert response.json()["error"]["type"] == "unavailable"


def test_an_outage_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("dashboard.api.costs.grouped", fail)
    assert api.get("costs").status_code == 503
