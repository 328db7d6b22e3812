"""Tracked clients beside the instrumentors of others, with a real `FluxGate`, and when the program ends.

Classes are tracked before the instrumentors come, which is the harder order.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stainless_wire as wire
from anthropic import Anthropic
from ingest import IngestServer
from loopback import Loopback, Request, json_reply
from openai import OpenAI
from recorder import Recorder

from fluxgate_sdk import FluxGate, create_anthropic_cost_tracker, create_openai_cost_tracker, tracking_of

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
CLAUDE: dict[str, Any] = {**CHAT, "model": "claude-test", "max_tokens": 10}


@pytest.fixture(scope="module")
def provider() -> Iterator[Loopback]:
    def chat(request: Request) -> Any:
        return wire.chat_stream() if request.body.get("stream") else json_reply(wire.chat_completion())

    def message(request: Request) -> Any:
        return wire.message_stream() if request.body.get("stream") else json_reply(wire.message())

    with Loopback() as loopback:
        loopback.always("/chat/completions", chat)
        loopback.always("/v1/messages", message)
        yield loopback


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def spans() -> Any:
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    return export.InMemorySpanExporter()


@pytest.fixture
def tracer_provider(spans: Any) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    return tracer_provider


def test_beside_opentelemetrys_instrumentor_of_openai(
    provider: Loopback, recorder: Recorder, spans: Any, tracer_provider: Any
) -> None:
    instrumentor = pytest.importorskip("opentelemetry.instrumentation.openai_v2").OpenAIInstrumentor()
    create_openai_cost_tracker(OpenAI(api_key="k"), recorder).chat.completions.with_tracking()
    instrumentor.instrument(tracer_provider=tracer_provider)
    try:
        with OpenAI(api_key="k", base_url=provider.url) as plain:
            tracker: Any = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)
            answer = tracker.with_context(feature="x").chat.completions.create(**CHAT)
            chunks = list(tracker.chat.completions.create(**CHAT, stream=True))
    finally:
        instrumentor.uninstrument()
    assert tracking_of(answer) is not None
    assert len(chunks) == 4
    assert [wire.tokens_of(event) for event in recorder.events] == [(100, 20), (100, 20)]
    assert len(spans.get_finished_spans()) == 2


def test_beside_openinferences_instrumentor_of_anthropic(
    provider: Loopback, recorder: Recorder, spans: Any, tracer_provider: Any
) -> None:
    instrumentor = pytest.importorskip("openinference.instrumentation.anthropic").AnthropicInstrumentor()
    create_anthropic_cost_tracker(Anthropic(api_key="k"), recorder).messages.with_tracking()
    instrumentor.instrument(tracer_provider=tracer_provider)
    try:
        with Anthropic(api_key="k", base_url=provider.url) as plain:
            tracker: Any = create_anthropic_cost_tracker(plain, recorder)
            answer = tracker.with_context(feature="x").messages.create(**CLAUDE)
            events = list(tracker.messages.create(**CLAUDE, stream=True))
            with tracker.messages.stream(**CLAUDE) as stream:
                final = stream.get_final_message()
    finally:
        instrumentor.uninstrument()
    assert tracking_of(answer) is not None
    assert (events[-1].type, final.stop_reason) == ("message_stop", "end_turn")
    assert [wire.tokens_of(event) for event in recorder.events] == [(100, 20)] * 3
    assert len(spans.get_finished_spans()) >= 3


def test_beside_the_spans_of_anthropics_package_itself(
    provider: Loopback, recorder: Recorder, spans: Any, tracer_provider: Any
) -> None:
    try:
        plain = Anthropic(api_key="k", base_url=provider.url, open_telemetry={"tracer_provider": tracer_provider})
    except TypeError:
        pytest.skip("an old package")
    with plain:
        tracker: Any = create_anthropic_cost_tracker(plain, recorder)
        tracker.messages.create(**CLAUDE)
        stream = tracker.messages.create(**CLAUDE, stream=True)
        next(stream)
        stream.close()
    assert len(recorder.events) == 2
    assert {span.end_time is not None for span in spans.get_finished_spans()} <= {True}


def test_a_real_fluxgate_fills_in_the_cost(provider: Loopback, fluxgate: FluxGate, server: IngestServer) -> None:
    with OpenAI(api_key="k", base_url=provider.url) as plain:
        tracker = create_openai_cost_tracker(plain, fluxgate).with_context(feature="chat", session_id="s-1")
        answer: Any = tracker.chat.completions.create(**CHAT)
    tracking = answer.flux_gate_cost_tracking_response
    assert tracking.wait(10)
    assert (tracking.status, tracking.tracking_id is not None) == ("SUCCESS", True)
    assert (answer.model_dump() == tracker) is False


LEFT_OPEN = """
import sys
from pathlib import Path
from anthropic import Anthropic
from openai import OpenAI
from fluxgate_sdk import create_anthropic_cost_tracker, create_openai_cost_tracker
from recorder import Recorder

class Printing(Recorder):
    def _enqueue_later(self, make):
        event = make()
        print(event["usage"]["provider"], event["metadata"]["stopReason"], flush=True)
        return super()._enqueue_later(make)

url, message = sys.argv[1], [{"role": "user", "content": "Hi"}]
chat = create_openai_cost_tracker(OpenAI(api_key="k", base_url=url), Printing(), inject_stream_usage=True)
claude = create_anthropic_cost_tracker(Anthropic(api_key="k", base_url=url), Printing())
streams = [
    chat.chat.completions.create(model="m", messages=message, stream=True),
    claude.messages.create(model="m", max_tokens=1, messages=message, stream=True),
]
for stream in streams:
    next(stream)
print("end", flush=True)
"""


def test_streams_left_open_at_the_end_of_the_program(provider: Loopback, tmp_path: Path) -> None:
    provider.answer(wire.chat_stream(end="open"), wire.message_stream(end="open"))
    script = tmp_path / "left_open.py"
    script.write_text(LEFT_OPEN)
    here = Path(__file__).parent
    path = ":".join(map(str, (here, here.parent / "src")))
    done = subprocess.run(
        [sys.executable, str(script), provider.url], env={"PYTHONPATH": path}, capture_output=True, timeout=120
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    said = done.stdout.decode().split("\n")
    assert (said[0], sorted(said[1:3])) == ("end", ["anthropic aborted", "openai aborted"])
