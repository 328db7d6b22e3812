"""Connections: kept, cut, packed, timed."""

from __future__ import annotations

import threading
from email.utils import formatdate

import pytest
from ingest import KEY, Fault, IngestServer, an_event

from fluxgate_sdk.events import encode, wire_event
from fluxgate_sdk.lanes import EVENTS, ONE_EVENT
from fluxgate_sdk.transport import Reply, Transport, Unreachable

BODY = encode(wire_event(an_event()))


@pytest.fixture
def transport(server: IngestServer) -> Transport:
    return Transport(server.url, KEY)


def post(transport: Transport, timeout: float = 5.0) -> Reply:
    return transport.post(ONE_EVENT.path, BODY, timeout)


def test_one_connection_serves_many_requests_and_is_closed(transport: Transport, server: IngestServer) -> None:
    assert [post(transport).status for _ in range(3)] == [200, 200, 200]
    assert len({request.connection for request in server.requests}) == 1
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    transport.close()
    assert post(transport).status == 200
    assert len({request.connection for request in server.requests}) == 2


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 200_000])
def test_a_server_that_closes_after_every_answer(transport: Transport, server: IngestServer, body: bytes) -> None:
    server.fail(*[Fault(503, {"Connection": "close"}, body)] * 2)
    assert [post(transport) for _ in range(2)] == [Reply(503, body)] * 2
    assert len({request.connection for request in server.requests}) == 2


def test_a_kept_connection_that_was_cut_is_replaced(transport: Transport, server: IngestServer) -> None:
    post(transport)
    server.cut_idle_connections()
    assert post(transport).status == 200


def test_a_kept_connection_is_not_trusted_when_the_server_is_gone(transport: Transport, server: IngestServer) -> None:
    post(transport)
    server.stop()
    with pytest.raises(Unreachable, match="refused"):
        post(transport)


def test_large_bodies_are_packed_and_small_ones_are_not(transport: Transport, server: IngestServer) -> None:
    post(transport)
    transport.post(EVENTS.path, EVENTS.join([BODY] * 100), 5.0)
    assert "content-encoding" not in server.requests[0].headers
    assert server.requests[1].headers["content-encoding"] == "gzip"
    assert int(server.requests[1].headers["content-length"]) < len(BODY) * 100 / 10
    assert len(server.requests[1].body["events"]) == 100


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), (formatdate(0, usegmt=True), 0.0), ("soon", None), ("-1", None), ("", None)],
)
def test_retry_after_in_seconds_or_as_a_date(
    transport: Transport, server: IngestServer, header: str, seconds: float | None
) -> None:
    server.fail(Fault(503, {"Retry-After": header}, b"{}"))
    assert post(transport) == Reply(503, b"{}", seconds)


def test_a_late_answer_is_given_up_and_its_connection_not_used_again(
    transport: Transport, server: IngestServer
) -> None:
    late = threading.Event()
    server.fail(Fault(until=late))
    with pytest.raises(Unreachable, match=r"[Tt]ime"):
        post(transport, timeout=0.05)
    late.set()
    assert post(transport).status == 200
    assert len({request.connection for request in server.requests}) == 2


def test_a_connection_cut_in_place_of_an_answer(transport: Transport, server: IngestServer) -> None:
    server.fail(Fault(hangs_up=True))
    with pytest.raises(Unreachable):
        post(transport)


def test_no_time_left_is_no_answer(transport: Transport) -> None:
    with pytest.raises(Unreachable, match="in time"):
        post(transport, timeout=0)


def test_the_endpoint_may_have_a_path(server: IngestServer) -> None:
    transport = Transport(f"{server.url}/fluxgate/", KEY)
    post(transport)
    assert server.requests[0].path == "/fluxgate/api/events"
    assert transport.address == f"{server.url}/fluxgate"


@pytest.mark.parametrize("endpoint", ["localhost:8000", "ftp://x", "http://", "", "/api"])
def test_an_address_that_is_none_is_named(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"^endpoint: must be an address such as"):
        Transport(endpoint, KEY)


@pytest.mark.parametrize("key", ["", "  ", None, "org live", "org\nlive", "schlüssel"])
def test_a_key_that_is_none_is_named(key: str) -> None:
    with pytest.raises(ValueError, match=r"^api_key: "):
        Transport("http://localhost:8000", key)
