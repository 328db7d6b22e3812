"""The REST API as it is served: routed beside the native paths, bodies packed and in chunks, many callers at once."""

import gzip
import http.client
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.real_server import RealServer, started_once, wait_for

OWNER = "owner@acme.example"
PASSWORD = "correct horse battery staple"


class Answer(NamedTuple):
    """What the server sent."""

    status: int
    body: Any
    cookies: list[str]


class Program:
    """Signed in at the server; sends its token as Bearer."""

    def __init__(self, server: RealServer) -> None:
        self._port = server.port
        self._headers: dict[str, str] = {}
        answer = self.call("POST", "auth/login", {"email": OWNER, "password": PASSWORD})
        self.refresh_cookie = next(one for one in answer.cookies if one.startswith("refresh_token="))
        self._headers = {"Authorization": f"Bearer {answer.body['access_token']}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body` is JSON unless it is bytes or an iterator of bytes, which is sent in chunks."""
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request(
            method, f"/api/v1/{path}", sent, {"Content-Type": "application/json"} | self._headers | headers
        )
        response = connection.getresponse()
        cookies = [cookie.partition(";")[0] for cookie in response.headers.get_all("Set-Cookie") or []]
        answer = Answer(response.status, json.loads(response.read()), cookies)
        connection.close()
        return answer

    def together(self, times: int, call: Callable[[int], Answer]) -> list[Answer]:
        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(call, range(times)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    running = RealServer(started_once(tmp_path_factory.mktemp("rest") / "var")).start()
    running.command("create_organization", "Acme", "--slug", "acme", "--owner", OWNER, "--password", PASSWORD)
    yield running
    assert running.stop() == 0


@pytest.fixture
def program(server: RealServer) -> Program:
    return Program(server)


def test_bodies_arrive_whole_however_they_are_framed(program: Program) -> None:
    names = [f"{way} {'é' * 90}" for way in ("plain", "packed", "chunked")]
    plain, packed, chunked = (json.dumps({"name": name}).encode() for name in names)
    assert program.call("POST", "meters", plain).status == 201
    assert program.call("POST", "meters", gzip.compress(packed), **{"Content-Encoding": "gzip"}).status == 201
    parts = (chunked[first : first + 50] for first in range(0, len(chunked), 50))
    assert program.call("POST", "meters", parts).status == 201
    assert {meter["name"] for meter in program.call("GET", "meters").body["items"]} >= set(names)


def test_a_body_that_unpacks_to_more_than_the_limit_is_refused(program: Program) -> None:
    for body, headers in (
        (b" " * 300_000, {}),
        (gzip.compress(b" " * 100_000_000), {"Content-Encoding": "gzip"}),
    ):
        answer = program.call("POST", "meters", body, **headers)
        assert (answer.status, answer.body["error"]["type"]) == (413, "too_large")


def test_both_sides_answer_their_own_paths(program: Program) -> None:
    def refusal(method: str, path: str) -> tuple[int, str]:
        answer = program.call(method, path)
        return answer.status, answer.body["error"]["type"]

    assert refusal("GET", "price") == (405, "method_not_allowed")
    assert refusal("POST", "sdk/track") == (401, "unauthorized")  # a key, not a token
    assert refusal("POST", "nothing") == (404, "not_found")
    assert refusal("GET", "../nothing") == (404, "not_found")
    assert program.call("GET", "events").status == 200
    assert program.call("GET", "costs?granularity=day&meta.plan=pro").body["items"] == []
    assert program.call("GET", "meters", Host="evil.example").status == 400
    assert program.call("GET", "../openapi.json").status == 404
    two = {"Cookie": "access_token=a; access_token=b", "Authorization": ""}
    assert program.call("GET", "meters", **two).status == 401


def test_of_many_that_do_the_same_one_does_it(program: Program) -> None:
    def statuses(path: str, body: dict[str, Any]) -> Counter[int]:
        return Counter(answer.status for answer in program.together(8, lambda _: program.call("POST", path, body)))

    for path, body in (("meters", {"name": "Race"}), ("customers", {"external_id": "race", "monthly_revenue_usd": 5})):
        found = statuses(path, body)
        assert found.pop(201) == 1
        assert set(found) <= {409, 422}
    ids = {
        "meter_id": next(one["id"] for one in program.call("GET", "meters").body["items"] if one["name"] == "Race"),
        "customer_id": program.call("GET", "customers").body["items"][0]["id"],
    }
    key = {"idempotency_key": "race"}
    answers = program.together(8, lambda number: program.call("POST", "usage", ids | key | {"quantity": number + 1}))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert Counter(answer.body["deduplicated"] for answer in answers) == {True: 7, False: 1}


def test_of_many_that_refresh_with_one_token_one_gets_the_next_and_all_are_signed_out(program: Program) -> None:
    cookie = {"Cookie": program.refresh_cookie}
    answers = program.together(6, lambda _: program.call("POST", "auth/refresh", **cookie))
    assert Counter(answer.status for answer in answers) == {200: 1, 401: 5}
    assert program.call("GET", "meters").status == 401


def test_without_the_database_it_is_503_and_comes_back(server: RealServer, program: Program) -> None:
    assert program.call("GET", "meters").status == 200
    server.kill_postgres()
    answers = [program.call("GET", "meters") for _ in range(3)]  # it may be back before the last one
    assert {answer.body["error"]["type"] for answer in answers if answer.status != 200} <= {"unavailable"}
    assert {answer.status for answer in answers} <= {200, 503}
    wait_for(lambda: program.call("GET", "meters").status == 200, 60)
