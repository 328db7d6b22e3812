"""Interactions and decisions of a tracked google-genai client: its second HTTP stack."""

from __future__ import annotations

import asyncio
import gc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google import genai
from google.genai import types
from loopback import Loopback, Reply, cut_into, gemini_error, json_reply, shared_tls_context, sse_reply
from recorder import Recorder

from fluxgate_sdk.calls import close_live_streams
from fluxgate_sdk.providers.gemini import TrackedGemini, create_gemini_cost_tracker
from fluxgate_sdk.tracking import tracking_of

pytest.importorskip("google.genai._gaos", reason="this google-genai has no such stack, or another one")

MODEL = "gemini-2.5-flash"
USAGE = {"total_input_tokens": 10, "total_output_tokens": 4, "total_thought_tokens": 6, "total_tokens": 20}
COUNTED = {"input_tokens": 10, "output_tokens": 10, "reasoning_tokens": 6}
STEPS = [{"type": "model_output", "content": [{"type": "text", "text": "Hello"}]}]


def interaction(status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "int_1", "status": status, "model": MODEL, "steps": STEPS, "usage": USAGE, **more}


def stream(end: str = "close", status: str = "completed", **more: Any) -> Reply:
    """The events of a streamed interaction, cut inside them."""
    begun = {"id": "int_1", "status": "in_progress", "model": MODEL}
    delta = {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hello"}}
    done = {"id": "int_1", "status": status, "usage": USAGE, **more}
    events = [{"event_type": "interaction.created", "interaction": begun}, delta]
    if end == "close":
        events.append({"event_type": "interaction.completed", "interaction": done})
    return sse_reply(events, end=end, last="[DONE]" if end == "close" else "")


@pytest.fixture(autouse=True)
def one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssl.create_default_context", shared_tls_context)


@pytest.fixture
def provider() -> Iterator[Loopback]:
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def plain(provider: Loopback) -> Iterator[genai.Client]:
    with genai.Client(api_key="k", http_options={"base_url": provider.url}) as client:
        yield client


@pytest.fixture
def tracked(plain: genai.Client, recorder: Recorder) -> Any:
    return create_gemini_cost_tracker(plain, recorder).with_context(feature="chat", user="u-1")


CONTINUES = hasattr(types.FinishReason, "CONTINUATION")
continues = pytest.mark.skipif(not CONTINUES, reason="this google-genai does not continue")
ONCE: dict[str, Any] = {"automatic_continuation": False} if CONTINUES else {}
World = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, tracked: TrackedGemini) -> World:
    """Does something with the tracked client in one of the two worlds: a function's result, or what it awaits."""
    if request.param == "sync":
        return lambda question: question(tracked)

    async def whole(question: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return await _collected(await question(tracked.aio))
        finally:
            await tracked.aio.aclose()

    return lambda question: asyncio.run(whole(question))


async def _collected(answer: Any) -> Any:
    """A stream is read here; everything else is an answer already."""
    if not hasattr(answer, "__anext__"):
        return answer
    return answer, [event async for event in answer]


def _read(answer: Any) -> tuple[Any, list[Any]]:
    return answer if isinstance(answer, tuple) else (answer, list(answer))


def create(client: Any, **more: Any) -> Any:
    return client.interactions.create(model=MODEL, input="hi", **more)


class TestWhole:
    def test_ok(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(json_reply(interaction(service_tier="flex")))
        answer = ask(create)
        assert answer.output_text == "Hello"
        usage = recorder.only["usage"]
        assert {name: usage.get(name) for name in COUNTED} == COUNTED
        assert (usage["model"], usage["provider"], usage["service_tier"]) == (MODEL, "google", "flex")
        assert usage["latency_in_ms"] > 0
        assert recorder.only["metadata"]["feature"] == "chat"
        assert recorder.only["metadata"]["responseId"] == "int_1"
        assert tracking_of(answer) is not None

    def test_error(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_error(400, "Bad", "INVALID_ARGUMENT"))
        with pytest.raises(Exception, match="Bad") as raised:
            ask(create)
        assert getattr(raised.value, "status_code", None) == 400
        assert recorder.only["status"] == {"status": "ERROR", "error_message": "Bad"}
        assert (recorder.only["metadata"]["httpStatus"], recorder.only["usage"]["model"]) == (400, MODEL)

    def test_an_agent(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        answered = interaction("requires_action", agent="deep-research")
        del answered["model"]
        provider.answer(json_reply(answered))
        ask(lambda client: client.interactions.create(agent="deep-research", input="hi"))
        assert (recorder.only["usage"]["model"], recorder.only["status"]) == ("deep-research", "SUCCESS")

    def test_a_raw_response(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(json_reply(interaction()))
        answer: Any = tracked.interactions.with_raw_response.create(model=MODEL, input="hi")
        assert answer.parse().id == "int_1"
        assert recorder.only["usage"]["input_tokens"] == 10

    def test_a_response_that_is_read_later(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply(interaction()))
        with tracked.interactions.with_streaming_response.create(model=MODEL, input="hi") as response:
            assert recorder.events == []
            assert response.parse().id == "int_1"
        assert recorder.only["usage"]["input_tokens"] == 10

    @continues
    def test_continuation_counts_each_exchange(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        first = interaction("requires_continuation", continuation_token="t-1", id="int_1")
        provider.answer(json_reply(first), json_reply(interaction(id="int_2")))
        answer = ask(create)
        assert answer.usage.total_input_tokens == 20
        assert [event["usage"]["input_tokens"] for event in recorder.events] == [10, 10]
        assert len({event["idempotency_key"] for event in recorder.events}) == 2
        tracking = tracking_of(answer)
        assert tracking is not None
        assert tracking.tracking_id == "evt_2"


class TestStreamed:
    def test_ok(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(stream())
        answer, events = _read(ask(lambda client: create(client, stream=True)))
        assert [event.event_type for event in events][-1] == "interaction.completed"
        usage = recorder.only["usage"]
        assert {name: usage.get(name) for name in COUNTED} == COUNTED
        assert usage["is_streamed"] is True
        assert usage["latency_in_ms"] >= usage["streaming_duration_in_ms"] >= 0
        assert tracking_of(answer) is not None

    @pytest.mark.parametrize(
        ("wbits", "encoding", "is_read"), [(31, "gzip", True), (15, "deflate", True), (-15, "deflate", False)]
    )
    def test_packed(
        self, wbits: int, encoding: str, is_read: bool, ask: World, provider: Loopback, recorder: Recorder
    ) -> None:
        packer = zlib.compressobj(wbits=wbits)
        packed = packer.compress(b"".join(stream().pieces)) + packer.flush()
        provider.answer(replace(stream(), pieces=cut_into(packed, 7), headers={"Content-Encoding": encoding}))
        _, events = _read(ask(lambda client: create(client, stream=True)))
        assert events[-1].event_type == "interaction.completed"
        # A deflate without its head is for the HTTP library alone: then the usage is missing, and nothing is raised.
        assert recorder.only["usage"]["input_tokens"] == (10 if is_read else 0)
        assert recorder.only["metadata"].get("usageSource") == (None if is_read else "missing")

    @continues
    def test_continuation_counts_each_exchange(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(stream(status="requires_continuation", continuation_token="t-1"), stream(id="int_2"))
        answer, _ = _read(ask(lambda client: create(client, stream=True)))
        assert [event["usage"]["input_tokens"] for event in recorder.events] == [10, 10]
        tracking = tracking_of(answer)
        assert tracking is not None
        assert tracking.tracking_id == "evt_2"

    def test_error(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_error(400, "Bad", "INVALID_ARGUMENT"))
        with pytest.raises(Exception, match="Bad"):
            ask(lambda client: create(client, stream=True))
        assert recorder.only["status"] == {"status": "ERROR", "error_message": "Bad"}

    def test_error_inside(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        begun = {"id": "int_1", "status": "in_progress", "model": MODEL}
        error = {"event_type": "error", "error": {"code": "overloaded", "message": "Busy"}}
        provider.answer(sse_reply([{"event_type": "interaction.created", "interaction": begun}, error]))
        _read(ask(lambda client: create(client, stream=True)))
        assert recorder.only["status"] == {"status": "ERROR", "error_message": "Busy"}

    def test_reset(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(stream(end="reset"))
        with pytest.raises(Exception):  # noqa: B017, PT011 (whose class differs between the versions)
            _read(ask(lambda client: create(client, stream=True, **ONCE)))
        assert recorder.only["status"]["status"] == "ERROR"
        assert recorder.only["metadata"]["usageSource"] == "missing"

    @pytest.mark.parametrize("how", ["close", "drop", "with", "exit"])
    def test_left(self, how: str, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(stream(end="open"))
        answer: Any = create(tracked, stream=True)
        next(answer)
        if how == "with":
            with answer:
                pass
        elif how == "close":
            answer.close()
        elif how == "exit":
            close_live_streams()
        if how != "drop":
            assert tracking_of(answer) is not None
        del answer
        gc.collect()
        assert (recorder.only["status"], recorder.only["metadata"]["stopReason"]) == ("SUCCESS", "aborted")

    def test_dropped_before_it_was_read(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(stream(end="open"))
        create(tracked, stream=True)
        gc.collect()
        assert recorder.only["metadata"]["stopReason"] == "aborted"


class TestInTheBackground:
    def test_it_is_recorded_by_whoever_sees_the_end(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        running = {"id": "int_1", "status": "in_progress", "model": MODEL}
        provider.answer(json_reply(running), json_reply(running), json_reply(interaction()), json_reply(interaction()))
        create(tracked, background=True)
        assert recorder.events == []
        for _ in range(3):
            answer = tracked.interactions.get("int_1")
        assert answer.status == "completed"
        usage = recorder.only["usage"]
        assert {name: usage.get(name) for name in COUNTED} == COUNTED
        # How long reading takes says nothing of how long the model took.
        assert "latency_in_ms" not in usage

    def test_its_stream_left_says_nothing_of_its_usage(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(stream(end="open"), json_reply(interaction()))
        with create(tracked, stream=True, background=True) as answer:
            next(answer)
        assert recorder.events == []
        tracked.interactions.get("int_1")
        assert recorder.only["usage"]["input_tokens"] == 10

    def test_it_is_read(self, ask: World, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(json_reply(interaction()))
        assert tracking_of(ask(lambda client: client.interactions.get("int_1"))) is not None
        assert recorder.only["usage"]["input_tokens"] == 10

    def test_an_interaction_read_again_counts_once(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply(interaction()), json_reply(interaction()))
        create(tracked)
        tracked.interactions.get("int_1")
        assert len(recorder.events) == 1

    def test_an_old_one_is_not_recorded(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(json_reply(interaction(created="2020-01-01T00:00:00Z")), gemini_error(404, "gone", "NOT_FOUND"))
        tracked.interactions.get("int_1")
        with pytest.raises(Exception, match="gone"):
            tracked.interactions.get("int_2")
        assert recorder.events == []


@pytest.mark.skipif(not hasattr(genai.Client, "decisions"), reason="this google-genai has no decisions")
def test_a_decision(ask: World, provider: Loopback, recorder: Recorder) -> None:
    provider.answer(json_reply({"answers": {}, "usage": USAGE}))
    question = {"q": {"type": "choice", "instructions": "which?", "criteria": {"a": "the first", "b": "the second"}}}
    answer = ask(lambda client: client.decisions.create(model=f"models/{MODEL}", input="hi", questions=question))
    assert (recorder.only["usage"]["model"], recorder.only["usage"]["output_tokens"]) == (MODEL, 10)
    assert tracking_of(answer) is not None


def test_the_callers_resources_are_not_touched(
    plain: genai.Client, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
) -> None:
    own = plain.interactions
    provider.answer(json_reply(interaction()), json_reply(interaction()))
    create(tracked)
    assert plain.interactions is own
    create(plain)
    assert len(recorder.events) == 1
    assert isinstance(tracked.interactions, type(own))
    assert tracked.interactions is tracked.interactions


def test_a_resource_keeps_its_client_open(provider: Loopback, recorder: Recorder) -> None:
    provider.answer(json_reply(interaction()))
    client = genai.Client(api_key="k", http_options={"base_url": provider.url})
    interactions = create_gemini_cost_tracker(client, recorder).with_context(feature="x").interactions
    del client
    gc.collect()
    interactions.create(model=MODEL, input="hi")
    assert len(recorder.events) == 1
