"""Whatever stands in a query, the answer is one that the schema declares."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import Organization
from metering.api import openapi
from pricing.costs import Usage
from tests.dashboard.api.conftest import Reader
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory
from tests.metering.api.conftest import Api
from tests.metering.api.test_errors import assert_contract

PATHS = ("/api/v1/events", "/api/v1/costs")
SCHEMA = openapi.schema()["paths"]
NAMES = sorted({one["name"] for path in PATHS for one in SCHEMA[path]["get"]["parameters"] if one["in"] == "query"})
USUAL = [
    *("2026-11-01", "2026-11-30", "2026-11-11T10:30:00Z", "2026-11-11T10:30:00.5+05:30", "0001-01-01", "9999-12-31"),
    *("2026-11-11T24:00:00Z", "2199-12-31T23:59:59-23:59", "2000-01-01T00:00:00+23:59", "ok", "error", "SUCCESS"),
    *("batch", "no", "live", "test", "chat", "(none)", "0", "1", "0.5", "1500", "999999999.999999999999", "hour"),
    *("day", "month", "total", "feature", "user", "model", "status", "step", "provider", "200", "1000"),
]
TEXTS = st.one_of(st.sampled_from(USUAL), st.text(max_size=20), st.text("0123456789-:TZ+. ", max_size=30))
PAIRS = st.lists(
    st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=8).map("meta.{}".format), st.text(max_size=8)), TEXTS),
    max_size=6,
)


@pytest.fixture
def somewhere(db: None, reader: Reader) -> Api:
    organization: Organization = OrganizationFactory(time_zone="Australia/Lord_Howe")
    at = datetime(2026, 11, 11, tzinfo=UTC)
    calls = [Call(at=at + timedelta(hours=number), cost=number * USD, usage=Usage(number, 1)) for number in range(50)]
    store_events(organization, calls)
    return reader(organization)


def check(api: Api, path: str, query: bytes | str) -> int:
    response: Any = api.client.generic("GET", path, QUERY_STRING=query, headers=api.headers)
    status: int = response.status_code
    assert str(status) in {str(code) for code in SCHEMA[path]["get"]["responses"]}, (query, response.content)
    assert status < 500, (query, response.content)
    if status >= 400:
        assert_contract(response)
    return status


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PAIRS)
def test_any_words_are_answered_or_refused(somewhere: Api, pairs: list[tuple[str, str]]) -> None:
    for path in PATHS:
        check(somewhere, path, urlencode(pairs, errors="surrogatepass"))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from([name for name in NAMES if name not in ("after", "meta.*")]), st.sampled_from(USUAL), max_size=4
    )
)
def test_any_known_words_with_usual_values(somewhere: Api, words: dict[str, str]) -> None:
    for path in PATHS:
        check(somewhere, path, urlencode(words))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("%&=;+ae0\"'[]{}\\\0\xff", max_size=40))
def test_any_characters(somewhere: Api, query: str) -> None:
    for path in PATHS:
        check(somewhere, path, query)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.binary(max_size=60).map(lambda raw: raw.hex())))
def test_any_cursor(somewhere: Api, after: str) -> None:
    check(somewhere, "/api/v1/events", urlencode({"after": after}, errors="surrogatepass"))


def test_the_schema_names_all_of_it() -> None:
    assert {"limit", "after", "from", "to", "environment", "q", "meta.*", "min_cost"} <= set(NAMES)
    for path in (*PATHS, "/api/v1/events/{event_id}"):
        operation = SCHEMA[path]["get"]
        assert {"apiKey": []} in operation["security"]
        assert all(one.get("schema") for one in operation["parameters"])
        answer = operation["responses"][200 if 200 in operation["responses"] else "200"]
        assert answer["content"]["application/json"]["schema"]
