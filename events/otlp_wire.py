"""OTLP/HTTP as OpenTelemetry's exporters send it, protobuf or JSON: bytes in, spans out, and the answer in the same
encoding. Pure.

In JSON ids are hex and 64-bit integers may be texts, unlike protobuf's own JSON, so it is read by structs of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
ERROR_CODE = 2
"""A span's status code that says that it failed."""


class InvalidTraces(Exception):
    """The body is no export of traces; the message is a sentence for the sender."""


@dataclass(frozen=True, slots=True)
class Span:
    """One span: ids are hex, '' for no parent; times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    scope: str
    """Who made it: the name of the instrumentation."""
    is_error: bool = False
    error_message: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart from all others."""
        return self.trace_id, self.span_id


def read_spans(body: bytes, *, is_json: bool) -> list[Span]:
    """All spans of an export, in its order. Raises InvalidTraces."""
    try:
        return list(_from_json(body) if is_json else _from_protobuf(body))
    except RecursionError:
        raise InvalidTraces("an attribute is nested too deep to be read") from None


def answer_body(rejected: int, message: str, *, is_json: bool) -> bytes:
    """What an exporter is told: nothing where all is well, else how many spans were refused, and why."""
    if is_json:
        partial = {"rejectedSpans": str(rejected), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial} if rejected or message else {})
    answer = ExportTraceServiceResponse()
    if rejected or message:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())


def _from_protobuf(body: bytes) -> Iterator[Span]:
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise InvalidTraces("the body is not an ExportTraceServiceRequest in protobuf") from None
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield _protobuf_span(span, resource, scoped.scope.name)


def _protobuf_span(span: trace_pb2.Span, resource: Mapping[str, Any], scope: str) -> Span:
    attributes = _attributes(span.attributes)
    events = ((event.name, _attributes(event.attributes)) for event in span.events)
    is_error = span.status.code == ERROR_CODE
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=attributes,
        resource=resource,
        scope=scope,
        is_error=is_error,
        error_message=_error_message(span.status.message, events, attributes) if is_error else "",
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case None | "bytes_value":
            return None
        case kind:
            return getattr(value, kind)


def _error_message(said: str, events: Iterable[tuple[str, Mapping[str, Any]]], attributes: Mapping[str, Any]) -> str:
    """The status' own message, else that of the exception that was recorded, else the error's type."""
    if said:
        return said
    for name, found in events:
        if name == "exception" and isinstance(message := found.get("exception.message"), str) and message:
            return message
    kind = attributes.get("error.type")
    return kind if isinstance(kind, str) else ""


class _Values(Struct, rename="camel"):
    values: list[_Value] = []


class _Pairs(Struct, rename="camel"):
    values: list[_Pair] = []


class _Value(Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Values | None = None
    kvlist_value: _Pairs | None = None

    def plain(self) -> Any:
        if self.array_value is not None:
            return [one.plain() for one in self.array_value.values]
        if self.kvlist_value is not None:
            return _plain(self.kvlist_value.values)
        if self.int_value is not None:
            return _integer(self.int_value, "intValue")
        if self.double_value is not None:
            return _float(self.double_value)
        return self.bool_value if self.string_value is None else self.string_value


class _Pair(Struct, rename="camel"):
    key: str = ""
    value: _Value | None = None


class _Event(Struct, rename="camel"):
    name: str = ""
    attributes: list[_Pair] = []


class _Status(Struct, rename="camel"):
    code: int | str = 0
    message: str = ""


class _Span(Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    status: _Status | None = None


class _Scope(Struct, rename="camel"):
    name: str = ""


class _ScopeSpans(Struct, rename="camel"):
    scope: _Scope | None = None
    spans: list[_Span] = []


class _Resource(Struct, rename="camel"):
    attributes: list[_Pair] = []


class _ResourceSpans(Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] = []


class _Request(Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] = []


_decode = msgspec.json.Decoder(_Request).decode


def _from_json(body: bytes) -> Iterator[Span]:
    try:
        request = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidTraces(f"the body is not an export of traces in JSON: {error}") from None
    for group in request.resource_spans:
        resource = _plain(group.resource.attributes) if group.resource else {}
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield _json_span(span, resource, scoped.scope.name if scoped.scope else "")


def _json_span(span: _Span, resource: Mapping[str, Any], scope: str) -> Span:
    attributes, status = _plain(span.attributes), span.status or _Status()
    events = ((event.name, _plain(event.attributes)) for event in span.events)
    is_error = status.code in (ERROR_CODE, "STATUS_CODE_ERROR")
    return Span(
        trace_id=span.trace_id.lower(),
        span_id=span.span_id.lower(),
        parent_id=span.parent_span_id.lower(),
        name=span.name,
        start_ns=_integer(span.start_time_unix_nano, "startTimeUnixNano"),
        end_ns=_integer(span.end_time_unix_nano, "endTimeUnixNano"),
        attributes=attributes,
        resource=resource,
        scope=scope,
        is_error=is_error,
        error_message=_error_message(status.message, events, attributes) if is_error else "",
    )


def _plain(pairs: Iterable[_Pair]) -> dict[str, Any]:
    return {pair.key: pair.value.plain() if pair.value else None for pair in pairs}


def _float(value: float | str) -> float:
    try:
        return float(value)  # infinities and NaN are texts in JSON
    except ValueError:
        raise InvalidTraces("doubleValue must be a number") from None


def _integer(value: int | str, word: str) -> int:
    if isinstance(value, int):
        return value
    digits = value.removeprefix("-")
    if not (digits.isdecimal() and digits.isascii() and len(digits) < 21):
        raise InvalidTraces(f"{word} must be an integer, got {value[:40]!r}")
    return int(value)
