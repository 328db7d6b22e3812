"""What the endpoints that Django does not see take and answer, for the schema: `events` and `metering` read them with
msgspec, from the bytes. A test compares the paths with those that are answered natively."""

from typing import Any, Final

import msgspec

from events import wire
from events.models import Status
from events.wire import MAX_DURATION_MS

type Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
STATUSES: Final = [status.label for status in Status]


def components() -> Schema:
    """Schemas by name; what msgspec decodes is described by what it decodes into."""
    _, found = msgspec.json.schema_components((wire.Usage, wire.PriceItem), ref_template=_REF)
    return found | {
        "Event": EVENT,
        "EventStatus": EVENT_STATUS,
        "EventMetadata": EVENT_METADATA,
        "EventUser": EVENT_USER,
        "StoredEvent": STORED_EVENT,
        "PriceAnswer": PRICE_ANSWER,
        "TrackedUsage": TRACKED_USAGE,
        "RecordedUsage": RECORDED_USAGE,
        "StoredUsage": STORED_USAGE,
    }


def paths() -> Schema:
    """Operations by path and method."""
    event, stored = {"application/json": ref("Event")}, ref("StoredEvent")
    one = _post("Events", "Record one LLM call", "events:write", event, stored)
    batch = {"application/json": _object({"events": _list("Event")}), "application/x-ndjson": ref("Event")}
    many = _post("Events", "Record many LLM calls", "events:write", batch, BATCH_ANSWER)
    items, prices = (
        {"application/json": _object({"items": _list("PriceItem")})},
        _object({"items": _list("PriceAnswer")}),
    )
    price = _post("Prices", "Price calls without recording them", "read or events:write", items, prices)
    usage, kept = {"application/json": ref("TrackedUsage")}, ref("StoredUsage")
    track = _post("Usage", "Record metered usage of a program", "usage:write", usage, kept, 404, 409)
    for operation in (one, many, track):
        operation["parameters"] = [IDEMPOTENCY_KEY]
    found = {"/api/events": one, "/api/events/batch": many, "/api/v1/price": price, "/api/v1/sdk/track": track}
    return {path: {"post": operation} for path, operation in (found | _exports()).items()}


def _exports() -> Schema:
    """What OpenTelemetry's exporters send: OTLP, whose shapes are its own."""
    summaries = {
        "/v1/traces": "Record the LLM calls among exported spans",
        "/v1/logs": "Take exported logs, and keep nothing",
        "/v1/metrics": "Take exported metrics, and keep nothing",
    }
    body: Schema = {"application/json": {"type": "object"}, "application/x-protobuf": {"type": "string"}}
    return {
        path: _post("OpenTelemetry", summary, "events:write", body, {"type": "object"})
        for path, summary in summaries.items()
    }


def refusal(description: str) -> Schema:
    """An answer with the contract's error body."""
    return {"description": description, "content": {"application/json": {"schema": ref("Error")}}}


REFUSALS: Final = {
    400: "Not JSON, not UTF-8, broken gzip, or a body that does not arrive",
    401: "No API key, or a wrong, expired or revoked one",
    403: "The API key lacks the scope",
    404: "No such meter",
    405: "Not a POST",
    409: "The Idempotency-Key was used for something else",
    413: "Too large; the connection is closed",
    415: "Not JSON by its content type, or an encoding other than gzip",
    422: "Wrong fields, all of them named",
    503: "Not stored, the database did not take it in time; Retry-After says when to send it again",
}
_ALWAYS: Final = (400, 401, 403, 405, 413, 415, 422, 503)


def _post(tag: str, summary: str, scope: str, body: Schema, answer: Schema, *more: int) -> Schema:
    return {
        "operationId": summary.lower().replace(" ", "_"),
        "tags": [tag],
        "summary": summary,
        "description": f"With an API key of the scope {scope}.",
        "security": [{"apiKey": []}, {"bearerKey": []}],
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind, schema in body.items()}},
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}}
        | {str(status): refusal(REFUSALS[status]) for status in sorted((*_ALWAYS, *more))},
    }


def ref(name: str) -> Schema:
    """A reference to one of the components."""
    return {"$ref": _REF.format(name=name)}


def _list(name: str) -> Schema:
    return {"type": "array", "items": ref(name), "maxItems": 1000}


def _object(properties: Schema, *optional: str, description: str = "") -> Schema:
    required = [name for name in properties if name not in optional]
    found: Schema = {"type": "object", "properties": properties, "required": required}
    return found | ({"description": description} if description else {})


def _optional(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT: Final[Schema] = {"type": "string"}
_LABEL: Final[Schema] = _optional({"type": "string", "maxLength": 255})
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_KEY: Final[Schema] = _optional({"type": "string", "minLength": 1, "maxLength": 255})

EVENT_STATUS: Final = {
    "anyOf": [
        {"type": "string", "enum": STATUSES},
        _object({"status": {"type": "string", "enum": STATUSES}, "errorMessage": _optional(_TEXT)}, "errorMessage"),
        {"type": "null"},
    ]
}
EVENT_USER: Final = _object(
    {
        "id": {"type": "string", "minLength": 1},
        "name": _LABEL,
        "email": _LABEL,
        "image": _optional(_TEXT),
        "monthlyRevenue": _optional({"type": "number", "minimum": 0, "description": "USD"}),
    },
    *("name", "email", "image", "monthlyRevenue"),
    description="A customer; only the fields that are sent are updated.",
)
EVENT_METADATA: Final = _object(
    {
        "feature": _LABEL,
        "step": _LABEL,
        "user": {"anyOf": [_TEXT, ref("EventUser"), {"type": "null"}]},
        "sessionId": _LABEL,
        "conversationId": _LABEL,
        "timestamp": _optional(_TEXT),
        "serviceTier": _LABEL,
    },
    *("feature", "step", "user", "sessionId", "conversationId", "timestamp", "serviceTier"),
    description="Other keys are kept and read back unchanged.",
)
EVENT: Final = _object(
    {
        "usage": ref("Usage"),
        "status": ref("EventStatus"),
        "metadata": _optional(ref("EventMetadata")),
        "idempotencyKey": _KEY,
    },
    *("status", "metadata", "idempotencyKey"),
    description=f"One LLM call. Durations are milliseconds, at most {MAX_DURATION_MS:.0f}.",
)
STORED_EVENT: Final = _object(
    {
        "id": {"type": "string", "pattern": "^evt_[0-9a-f]{32}$"},
        "createdAt": _MOMENT,
        "cost": _optional({"type": "number", "description": "USD; null while no price is known"}),
        "status": {"type": "string", "const": "SUCCESS"},
    }
)
BATCH_ANSWER: Final = _object(
    {
        "accepted": {"type": "integer"},
        "rejected": {"type": "integer"},
        "results": {"type": "array", "items": {"anyOf": [ref("StoredEvent"), ref("Error")]}},
    }
)
PRICE_ANSWER: Final = _object(
    {
        "cost": _optional({"type": "string", "description": "USD with 12 decimals"}),
        "status": {
            "type": "string",
            "enum": ["priced", "partial", "unpriced_provider", "unpriced_model", "unpriced_tier", "no_usage"],
        },
        "lines": {
            "type": "array",
            "items": _object(
                {
                    "meter": _TEXT,
                    "tokens": {"type": "integer"},
                    "usd_per_mtok": _TEXT,
                    "cost": _TEXT,
                    "source": _optional(_TEXT),
                    "rate_from": _TEXT,
                },
            ),
        },
        "revision": {"type": "integer"},
    }
)


def _usage(meter: str, meter_schema: Schema, customer: str, customer_schema: Schema, description: str) -> Schema:
    return _object(
        {
            meter: meter_schema,
            customer: customer_schema,
            "quantity": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 10**9},
            "timestamp": _optional(_MOMENT | {"description": "when it was used; without one, now"}),
            "idempotency_key": _KEY,
            "metadata": _optional({"type": "object", "additionalProperties": True}),
        },
        *("timestamp", "idempotency_key", "metadata"),
        description=description,
    )


_ID: Final[Schema] = {"type": "integer", "minimum": 1}
TRACKED_USAGE: Final = _usage(
    "meter_token",
    {"type": "string", "format": "uuid"},
    "customer_external_id",
    {"type": "string", "minLength": 1, "maxLength": 255},
    "Usage as programs send it; a customer that does not exist yet is made.",
)
RECORDED_USAGE: Final = _usage("meter_id", _ID, "customer_id", _ID, "Usage as people enter it.")
STORED_USAGE: Final = _object(
    {
        "id": {"type": "string", "pattern": "^use_[0-9a-f]{32}$"},
        "meter_id": _ID,
        "customer_id": _ID,
        "quantity": {"type": "number"},
        "timestamp": _MOMENT,
        "deduplicated": {"type": "boolean"},
    }
)
