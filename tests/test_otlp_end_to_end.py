"""OpenTelemetry's own SDK, exporter and instrumentation of OpenAI, from the call to what is stored."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from loopback import Loopback, json_reply
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.real_server import RealServer, started_once
from tests.test_sdk_end_to_end import completion, completion_stream

pytestmark = pytest.mark.xdist_group("server")

OWNER = ("--owner", "owner@acme.example", "--password", "a long enough password")
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "the secret prompt"}]}
STORED = """SELECT e.provider, e.model, e.feature, t.external_id, e.status, e.input_tokens, e.output_tokens,
    e.cost_picousd::text, e.metadata ->> 'service', e.metadata::text FROM event e
LEFT JOIN tracked_user t ON t.id = e.tracked_user_id ORDER BY e.id"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    server = RealServer(started_once(tmp_path_factory.mktemp("otlp") / "var")).start()
    server.command(
        "create_organization", "Acme", "--slug", "acme", "--owner", "o@acme.example", "--password", "long 1 p"
    )
    yield server
    server.stop()


def test_calls_of_an_instrumented_client_are_stored_with_their_cost(server: RealServer) -> None:
    key = server.command("create_api_key", "acme", "--name", "otel")
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    headers = {"Authorization": f"Bearer {key}"}
    exporter = OTLPSpanExporter(f"{server.url}/v1/traces", headers=headers, compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    instrumentor: Any = OpenAIInstrumentor()  # type: ignore[no-untyped-call]
    instrumentor.instrument(tracer_provider=provider)
    tracer = provider.get_tracer("shop")
    try:
        with Loopback() as loopback, openai.OpenAI(api_key="k", base_url=loopback.url, max_retries=0) as client:
            failure = json_reply({"error": {"message": "no"}}, 500)
            loopback.answer(json_reply(completion()), completion_stream(), failure)
            with tracer.start_as_current_span("checkout"):
                client.chat.completions.create(**CHAT)
                list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
                with pytest.raises(openai.InternalServerError):
                    client.chat.completions.create(**CHAT)
        assert provider.force_flush()
    finally:
        instrumentor.uninstrument()
        provider.shutdown()
    with server.connect() as connection:
        rows = connection.execute(STORED).fetchall()
    # As the spans have it: this instrumentation tells of no cached tokens, nor how a stream ended, nor of any usage of
    # the call that failed.
    assert [row[:9] for row in rows] == [
        ("openai", "gpt-4o-2024-08-06", "", None, 0, 1200, 350, "6500000000", "shop"),
        ("openai", "gpt-4o-2024-08-06", "", None, 0, 1200, 350, "6500000000", "shop"),
    ]
    assert "secret" not in "".join(str(row[9]) for row in rows)
