"""`POST /v1/traces` against a real database: what is stored, once, and what the exporter is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from events import rollups
from events.ingest import Ingest
from events.models import Event, Organization, RejectedCall, TrackedUser
from events.models.event import Flag
from events.traces import MAX_BYTES, Traces
from pricing.catalog import Catalog
from tests.events.spans import SECOND, TRACE, export_json, export_protobuf, otlp_span
from tests.native_client import NativeClient, Response, make_key, opened

PROTOBUF = {"content-type": "application/x-protobuf"}
CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 350,
    "gen_ai.usage.cache_read.input_tokens": 1000,
    "fluxgate.feature": "chat-assistant",
    "user.id": "user-123",
    "gen_ai.input.messages": "the secret prompt",
}


@pytest.fixture
def traces(committed_db: None, catalog: Catalog) -> Iterator[NativeClient]:
    organization = Organization.objects.create(name="Acme", slug="acme", time_zone="Asia/Kolkata")
    key = make_key(organization)
    with opened(catalog) as (runner, runtime):
        routes = Traces(runtime, Ingest(runtime)).routes()
        yield NativeClient(runner, runtime, routes, key, organization)


def recent(attributes: dict[str, Any], **fields: Any) -> Span:
    start = int((datetime.now(UTC) - timedelta(minutes=3)).timestamp()) * SECOND
    return otlp_span(attributes, start=start, end=start + SECOND // 2, **fields)


def send(client: NativeClient, *spans: Span, **options: Any) -> Response:
    return client.post("/v1/traces", export_protobuf(spans), headers=PROTOBUF, **options)


def partial_of(response: Response) -> tuple[int, str]:
    found = ExportTraceServiceResponse.FromString(response.raw).partial_success
    return found.rejected_spans, found.error_message


def test_a_span_is_stored_and_priced_like_any_event(traces: NativeClient) -> None:
    span = recent(CALL)
    response = send(traces, span)
    assert (response.status, response.headers["content-type"], response.raw) == (200, "application/x-protobuf", b"")
    stored = Event.objects.get()
    # 200 fresh at $2.50, 1000 cached at $1.25 and 350 out at $10 a million.
    assert int(stored.cost_picousd or 0) == 5_250_000_000
    assert (stored.input_tokens, stored.cached_tokens, stored.output_tokens) == (1200, 1000, 350)
    assert (stored.feature, stored.latency_ms, stored.flags) == ("chat-assistant", 500, 0)
    assert stored.occurred_at.timestamp() * SECOND == span.start_time_unix_nano
    assert TrackedUser.objects.get().external_id == "user-123"
    assert stored.metadata == {"traceId": TRACE.hex(), "spanId": "01" * 8, "spanName": "chat"}
    assert rollups.audit() == []


def test_json_and_gzip_are_taken_too(traces: NativeClient) -> None:
    response = traces.post("/v1/traces", export_json([recent(CALL)]), compress=True)
    assert (response.status, response.headers["content-type"], response.body) == (200, "application/json", {})
    assert Event.objects.count() == 1
    assert send(traces, recent(CALL, span_id=b"\2" * 8), compress=True).raw == b""
    assert Event.objects.count() == 2


def test_a_span_sent_again_is_stored_once_in_either_encoding(traces: NativeClient) -> None:
    span = recent(CALL)
    for _ in range(2):
        assert send(traces, span).status == 200
    assert traces.post("/v1/traces", export_json([span])).status == 200
    assert Event.objects.count() == 1


def test_only_calls_become_events(traces: NativeClient) -> None:
    agent = recent(CALL | {"gen_ai.operation.name": "invoke_agent"}, span_id=b"\3" * 8)
    copied = recent(CALL, span_id=b"\4" * 8, parent_id=b"\3" * 8)
    call = recent(CALL, span_id=b"\5" * 8, parent_id=b"\4" * 8)
    response = send(traces, agent, copied, call, recent({"http.request.method": "GET"}, span_id=b"\6" * 8))
    assert response.raw == b""
    assert [event.metadata["spanId"] for event in Event.objects.all() if event.metadata] == ["05" * 8]


def test_a_failed_call_is_stored_with_its_error(traces: NativeClient) -> None:
    send(traces, recent(CALL, code=2, exception="Rate limit reached"))
    stored = Event.objects.get()
    assert (stored.status, stored.error_message) == (1, "Rate limit reached")


def test_spans_that_cannot_be_read_are_counted_named_and_listed(traces: NativeClient) -> None:
    good, bad = recent(CALL), recent(CALL | {"gen_ai.usage.input_tokens": -5}, span_id=b"\2" * 8)
    huge = recent(CALL | {"fluxgate.metadata.note": "x" * 300_000}, span_id=b"\3" * 8)
    revenue = recent(CALL | {"fluxgate.user.monthly_revenue": "lots"}, span_id=b"\4" * 8)
    response = send(traces, good, bad, huge, revenue)
    assert response.status == 200
    rejected, message = partial_of(response)
    assert rejected == 3
    assert "span 0202020202020202: gen_ai.usage.input_tokens must be an integer, 0 or more" in message
    assert "span 0303030303030303: its metadata is too large" in message
    assert "span 0404040404040404: metadata.user.monthlyRevenue" in message
    assert Event.objects.count() == 1
    traces.flush_rejections()
    listed = list(RejectedCall.objects.order_by("id"))
    assert {(one.endpoint, one.http_status) for one in listed} == {("/v1/traces", 422)}
    assert len(listed) == 3
    assert "secret" not in " ".join(one.excerpt + one.message for one in listed)


def test_of_many_refused_spans_a_few_are_named(traces: NativeClient) -> None:
    spans = [recent(CALL | {"gen_ai.usage.input_tokens": -5}, span_id=bytes([1, n] * 4)) for n in range(9)]
    rejected, message = partial_of(send(traces, *spans))
    assert (rejected, message.count("must be an integer")) == (9, 5)
    assert message.endswith("and 4 more")


def test_more_calls_than_a_batch_holds_are_stored(traces: NativeClient) -> None:
    spans = [recent(CALL, span_id=n.to_bytes(8)) for n in range(1, 2_102)]
    assert send(traces, *spans).raw == b""
    assert Event.objects.count() == 2_101


def test_a_time_long_ago_is_kept_as_a_flag(traces: NativeClient) -> None:
    send(traces, otlp_span(CALL, start=SECOND, end=2 * SECOND))
    assert Event.objects.get().flags == Flag.TIMESTAMP_OUT_OF_RANGE


def test_who_may_send(traces: NativeClient) -> None:
    reader = make_key(traces.organization, scopes=["read"])
    assert send(traces, recent(CALL), key=reader).status == 403
    assert send(traces, recent(CALL), key="org_live_nothing").status == 401
    assert traces.post("/v1/traces", b"", method="GET").status == 405
    assert Event.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"\xff\xff", PROTOBUF, 400),
        (b"{}", {"content-type": "application/xml"}, 415),
        (b"not gzip", {"content-encoding": "gzip"}, 400),
        (b"{}", {"content-encoding": "zstd"}, 415),
        (b" " * (MAX_BYTES + 1), {}, 413),
    ],
)
def test_what_is_no_export_is_refused(traces: NativeClient, body: bytes, headers: dict[str, str], status: int) -> None:
    response = traces.post("/v1/traces", body, headers=headers)
    assert response.status == status
    assert response.body["error"]["message"]
    traces.flush_rejections()
    assert [one.excerpt for one in RejectedCall.objects.all()] == [""]


@pytest.mark.parametrize("kind", ["logs", "metrics"])
def test_logs_and_metrics_are_taken_and_thrown_away(traces: NativeClient, kind: str) -> None:
    assert (traces.post(f"/v1/{kind}", {"resourceLogs": []}).body) == {}
    response = traces.post(f"/v1/{kind}", b"\x0a\x00", headers=PROTOBUF)
    assert (response.status, response.raw) == (200, b"")
    assert Event.objects.count() == 0


def test_an_empty_export_is_fine(traces: NativeClient) -> None:
    assert send(traces).raw == b""
    assert traces.post("/v1/traces", {}).body == {}


def test_nothing_that_is_sent_is_a_fault_of_ours(traces: NativeClient) -> None:
    random = Random(7)
    for whole, headers in ((export_protobuf([recent(CALL)]), PROTOBUF), (export_json([recent(CALL)]), {})):
        for _ in range(150):
            body = bytearray(whole)
            for _ in range(random.randint(1, 4)):
                body[random.randrange(len(body))] = random.randrange(256)
            assert traces.post("/v1/traces", bytes(body[: random.randint(1, len(body))]), headers=headers).status < 500
