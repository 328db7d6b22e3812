"""The contract's error body, whatever is sent: never a page, never a 500."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connection

from events.models import Organization
from metering.api import openapi
from metering.models import Meter
from tests.factories import TrackedUserFactory
from tests.metering.api.conftest import Api

NOW = datetime.now(UTC)
ERROR_KEYS = {"type", "message", "errors", "requestId"}


def assert_contract(response: Any) -> None:
    body = response.json()
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert (body["status"], body["id"], body["createdAt"], body["cost"]) == ("ERROR", None, None, None)
    assert set(body["error"]) == ERROR_KEYS
    assert response["X-Request-Id"] == body["error"]["requestId"]
    assert body["error"]["message"]


@pytest.mark.parametrize(
    "path", ["", "nothing", "meters/", "meters/x", "auth", "auth/login/", "sdk", "\0", "é", "a/" * 500]
)
def test_an_unknown_path_is_404(admin: Api, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        response = admin.call(method, f"/api/v1/{path}")
        assert response.status_code == 404
        assert_contract(response)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "meters", "GET, POST"),
        ("DELETE", "meters", "GET, POST"),
        ("POST", "meters/1", "DELETE, GET, PATCH"),
        ("GET", "auth/login", "POST"),
        ("GET", "usage", "POST"),
        ("TRACE", "customers/1", "GET, PATCH"),
        ("POST", "/api/openapi.json", "GET, HEAD"),
        ("POST", "/api/docs", "GET, HEAD"),
    ],
)
def test_another_method_is_405(db: None, method: str, path: str, allowed: str) -> None:
    response = Api().call(method, path)
    assert (response.status_code, response["Allow"]) == (405, allowed)
    assert_contract(response)


BODIES = {
    b"": 400,
    b"{": 400,
    b"NaN": 400,
    b'{"name": NaN}': 400,
    b'{"name": Infinity}': 400,
    b'{"name": "\\ud800"}': 400,
    b'{"name": "\xff"}': 400,
    b"\xef\xbb\xbf{}": 400,
    b'{"name": 1' + b"1" * 10_000 + b"}": 400,
    b"[" * 100_000: 400,
    b'{"a":' * 40_000: 400,
    b"null": 422,
    b"[]": 422,
    b'"x"': 422,
    b"1e400": 422,
    b'{"name": "\\u0000"}': 422,
    b'{"name": 1e999999999999}': 422,
    b'{"\\u0000": 1}': 422,
    b'{"name": "a", "rates": [[[[[]]]]]}': 422,
    b" " * (256 * 1024 + 1): 413,
}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_what_is_not_json_is_400_what_is_not_ours_422(admin: Api, body: bytes) -> None:
    for path in ("meters", "customers", "auth/login"):
        response = admin.post(path, body)
        assert response.status_code == BODIES[body], path
        assert_contract(response)


def test_who_is_not_signed_in_is_told_before_the_body_is_looked_at(db: None) -> None:
    assert Api().post("meters", b"{").status_code == 401


def test_a_wrong_host_is_400(admin: Api) -> None:
    response = admin.get("meters", Host="evil.example")
    assert response.status_code == 400
    assert_contract(response)


@pytest.mark.parametrize(("error", "word"), [(OperationalError("gone"), "unavailable"), (RuntimeError(), "internal")])
def test_an_outage_is_503(admin: Api, monkeypatch: pytest.MonkeyPatch, error: Exception, word: str) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("metering.api.meter_store.listed", fail)
    response = admin.get("meters")
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert response.json()["error"]["type"] == word
    assert_contract(response)
    monkeypatch.setattr("metering.api.sessions.user_of", fail)
    assert admin.get("customers").status_code == 503


NASTY: list[Any] = [
    None, True, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, 0.1, -1e308, 1e308, "", " ", "\0", "x", "é\u202e", "x" * 300,
    "1", "-1", "1e5", "NaN", "9" * 70, "0.0000000000001", "2026-01-01", "2026-02-30", "9999-12-31", [], {}, [None],
    [[]], [{}], {"a": None}, {"up_to": 1}, [1] * 200, "SUM", "UNIQUE_COUNT", "per_unit", "volume", "flat", "package",
]  # fmt: skip


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in openapi.schema()["paths"].items():
        if path.startswith("/api/v1/") and path not in ("/api/v1/price", "/api/v1/sdk/track"):
            for method, operation in methods.items():
                yield method.upper(), path, operation


def _fields(schema: Any, components: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        return _fields(components[schema["$ref"].rpartition("/")[2]], components)
    return list(schema.get("properties", {}))


def _random_body(rng: random.Random, names: list[str]) -> Any:
    if not names or rng.random() < 0.1:
        return rng.choice(NASTY)
    body = {name: rng.choice(NASTY) for name in names if rng.random() < 0.8}
    nested = {"kind": rng.choice(NASTY), "effective_from": "2026-01-01", "tiers": rng.choice(NASTY)}
    if "rates" in names and rng.random() < 0.5:
        body["rates"] = [nested | {key: rng.choice(NASTY) for key in ("unit_price_usd", "fee_usd", "customer_id")}]
    return body


@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_is_sent_at_random_is_answered_with_500(admin: Api, organization: Organization, seed: int) -> None:
    rng, components = random.Random(seed), openapi.schema()["components"]["schemas"]
    meter = Meter.objects.create(organization=organization, name="Documents").pk
    customer = TrackedUserFactory(organization=organization).pk
    known = {"meter_id": meter, "customer_id": customer}
    for method, path, operation in _operations():
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        names = [*_fields(schema, components), "unknown"] if schema else []
        for _ in range(15):
            place = {name: rng.choice([known.get(name, 1), 1, 2**63, 10**40]) for name in ("meter_id", "customer_id")}
            url = path.format(
                **place, rate_id=rng.choice([1, 2**63]), invoice_id=rng.choice([1, 2**63]), event_id="evt_1"
            )
            parameters = [p["name"] for p in operation["parameters"] if p["in"] == "query"]
            query = "&".join(f"{name}={rng.choice(['', 'x', '%00', '-1', '9' * 40, '1', '2026-01-01', '%ff'])}"
                             for name in parameters if rng.random() < 0.6)  # fmt: skip
            body = None if method == "GET" else json.dumps(_random_body(rng, names)).encode()
            response = admin.call(method, f"{url}?{query}", body)
            assert response.status_code < 500, (method, url, query, body)
            assert str(response.status_code) in {str(code) for code in operation["responses"]}, (method, url, body)
            if response.status_code >= 400:
                assert_contract(response)
    assert connection.is_usable()
