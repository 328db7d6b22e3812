"""Spans as exporters send them, in both encodings of OTLP."""

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SECOND = 10**9
START = 1_795_168_800 * SECOND
"""2026-11-20 10:00 UTC."""
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")


def otlp_span(
    attributes: dict[str, Any],
    *,
    span_id: bytes = b"\1" * 8,
    parent_id: bytes = b"",
    start: int = START,
    end: int = START + SECOND,
    code: int = 0,
    exception: str = "",
) -> Span:
    """A span in protobuf."""
    found = Span(
        trace_id=TRACE,
        span_id=span_id,
        parent_span_id=parent_id,
        name="chat",
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        attributes=_pairs(attributes),
        status=Status(code=Status.StatusCode.ValueType(code)),
    )
    if exception:
        found.events.add(name="exception", attributes=_pairs({"exception.message": exception}))
    return found


def export_protobuf(spans: Sequence[Span], **resource: Any) -> bytes:
    """An export of these spans, of one process."""
    return bytes(_request(spans, resource).SerializeToString())


def export_json(spans: Sequence[Span], **resource: Any) -> bytes:
    """The same in JSON, where ids are hex."""
    body = MessageToDict(_request(spans, resource), use_integers_for_enums=True)
    found = (
        [span for group in body["resourceSpans"] for scoped in group["scopeSpans"] for span in scoped["spans"]]
        if (spans)
        else []
    )
    for given, span in zip(spans, found, strict=True):
        span["traceId"], span["spanId"] = given.trace_id.hex(), given.span_id.hex()
        if given.parent_span_id:
            span["parentSpanId"] = given.parent_span_id.hex()
    return json.dumps(body).encode()


def _request(spans: Sequence[Span], resource: dict[str, Any]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(_pairs(resource))
    scoped = group.scope_spans.add()
    scoped.scope.name = "tests"
    scoped.spans.extend(spans)
    return request


def _pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[_value(one) for one in value]))
        case _:
            return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
