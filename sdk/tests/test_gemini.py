"""A tracked google-genai client against a provider on this machine: what is recorded, and that nothing else changes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timezone
from typing import Any

import pytest
from gemini_clients import CONTENT, MODEL, USAGE, VECTORS, opened, run
from google import genai
from google.genai import errors, types
from loopback import (
    Loopback,
    Reply,
    gemini_content,
    gemini_error,
    gemini_function_call,
    gemini_stream,
    gemini_usage,
    json_reply,
    shared_tls_context,
)
from recorder import Recorder

from fluxgate_sdk.providers import gemini_seam
from fluxgate_sdk.providers.gemini import TrackedGemini, create_gemini_cost_tracker
from fluxgate_sdk.tracking import tracking_of

RAISES_INSIDE = hasattr(errors.APIError, "raise_error")
"""Whether an error in the middle of a stream is an exception."""


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
    """The caller's own client."""
    with opened(http_options={"base_url": provider.url}) as client:
        yield client


@pytest.fixture
def tracked(plain: genai.Client, recorder: Recorder) -> TrackedGemini:
    return create_gemini_cost_tracker(plain, recorder).with_context(feature="chat", user="u-1")


# Every method in both worlds: what it is asked, and what comes back.

Ask = Callable[[Any], Any]
PLAIN: dict[str, tuple[Ask, Reply]] = {
    "models.generate_content": (lambda c: c.models.generate_content(model=MODEL, contents="hi"), CONTENT),
    "models.embed_content": (lambda c: c.models.embed_content(model=MODEL, contents=["hi"]), VECTORS),
    "chats.send_message": (lambda c: c.chats.create(model=MODEL).send_message("hi"), CONTENT),
}
STREAMED: dict[str, Ask] = {
    "models.generate_content_stream": lambda c: c.models.generate_content_stream(model=MODEL, contents="hi"),
    "chats.send_message_stream": lambda c: c.chats.create(model=MODEL).send_message_stream("hi"),
}


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, tracked: TrackedGemini, plain: genai.Client) -> Callable[[Ask], Any]:
    """Asks the tracked client in one of the two worlds and gives back the whole answer."""
    if request.param == "sync":
        return lambda question: question(tracked)

    async def awaited(question: Ask) -> Any:
        return await question(tracked.aio)

    return lambda question: run(lambda: awaited(question), plain)


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest, tracked: TrackedGemini, plain: genai.Client) -> Callable[..., list[Any]]:
    """Reads a stream of the tracked client in one of the two worlds: to its end, or `most` parts of it."""
    if request.param == "sync":
        return lambda question, most=None: _parts(question(tracked), most)
    return lambda question, most=None: run(lambda: _async_parts(question(tracked.aio), most), plain)


def _parts(stream: Iterator[Any], most: int | None) -> list[Any]:
    parts = []
    for part in stream:
        parts.append(part)
        if len(parts) == most:
            break
    return parts


async def _async_parts(stream: Awaitable[AsyncIterator[Any]], most: int | None) -> list[Any]:
    parts = []
    async for part in await stream:
        parts.append(part)
        if len(parts) == most:
            break
    return parts


@pytest.mark.parametrize("method", PLAIN)
class TestEveryMethod:
    def test_ok(self, method: str, ask: Callable[[Ask], Any], provider: Loopback, recorder: Recorder) -> None:
        question, reply = PLAIN[method]
        provider.answer(reply)
        answer = ask(question)
        event = recorder.only
        assert event["status"] == "SUCCESS"
        assert event["usage"]["is_streamed"] is False
        assert event["usage"]["latency_in_ms"] > 0
        assert (event["metadata"]["feature"], event["metadata"]["user"]) == ("chat", "u-1")
        tracking = tracking_of(answer)
        assert tracking is not None
        assert tracking.tracking_id == "evt_1"

    def test_error(self, method: str, ask: Callable[[Ask], Any], provider: Loopback, recorder: Recorder) -> None:
        question, _ = PLAIN[method]
        provider.answer(gemini_error(429))
        with pytest.raises(errors.ClientError) as raised:
            ask(question)
        assert raised.value.code == 429
        event = recorder.only
        assert event["status"]["status"] == "ERROR"
        assert "Resource exhausted" in event["status"]["error_message"]
        assert (event["metadata"]["errorType"], event["metadata"]["httpStatus"]) == ("ClientError", 429)
        assert event["metadata"]["errorCode"] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("method", STREAMED)
class TestEveryStream:
    def test_ok(self, method: str, read: Callable[..., list[Any]], provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_stream(usage=USAGE))
        parts = read(STREAMED[method])
        assert [part.text for part in parts] == ["part 0 ", "part 1 ", "end"]
        event = recorder.only
        assert event["status"] == "SUCCESS"
        assert event["usage"]["provider_usage"] == USAGE
        assert event["usage"]["is_streamed"] is True
        assert event["usage"]["latency_in_ms"] >= event["usage"]["streaming_duration_in_ms"] > 0
        assert event["metadata"]["timeToFirstChunkInMs"] > 0
        assert "usageSource" not in event["metadata"]
        assert [tracking_of(part) is not None for part in parts] == [False, False, True]

    def test_error(self, method: str, read: Callable[..., list[Any]], provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_error(400, "Bad", "INVALID_ARGUMENT"))
        with pytest.raises(errors.ClientError):
            read(STREAMED[method])
        assert recorder.only["status"]["status"] == "ERROR"
        assert recorder.only["metadata"]["httpStatus"] == 400

    def test_break(self, method: str, read: Callable[..., list[Any]], provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_stream(parts=2, end="open"))
        parts = read(STREAMED[method], most=1)
        gc.collect()
        event = recorder.only
        assert event["status"] == "SUCCESS"
        assert event["metadata"]["stopReason"] == "aborted"
        assert event["metadata"]["usageSource"] == "partial"
        assert event["usage"]["provider_usage"] == {"promptTokenCount": 100}
        assert tracking_of(parts[-1]) is not None

    def test_reset(self, method: str, read: Callable[..., list[Any]], provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_stream(parts=2, end="reset"))
        with pytest.raises(Exception, match=r"(?i)peer|closed|incomplete") as raised:
            read(STREAMED[method])
        assert type(raised.value).__module__.split(".")[0].startswith("httpx")
        event = recorder.only
        assert event["status"]["status"] == "ERROR"
        assert event["metadata"]["errorType"] == type(raised.value).__name__
        # All of the answer had arrived, and is billed.
        assert event["usage"]["provider_usage"] == gemini_usage()

    def test_error_inside(
        self, method: str, read: Callable[..., list[Any]], provider: Loopback, recorder: Recorder
    ) -> None:
        told = gemini_content(finish=None)
        provider.answer(
            Reply(
                content_type="text/event-stream",
                pieces=(
                    _event(told),
                    _event({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}),
                ),
            )
        )
        # Older packages give an empty part in its place.
        with pytest.raises(errors.ServerError) if RAISES_INSIDE else nullcontext():
            read(STREAMED[method])
        assert recorder.only["status"]["status"] == "ERROR"
        assert "Overloaded" in recorder.only["status"]["error_message"]
        assert (recorder.only["metadata"]["httpStatus"], recorder.only["metadata"]["errorCode"]) == (503, "UNAVAILABLE")
        assert recorder.only["usage"]["provider_usage"] == told["usageMetadata"]


def _event(value: object) -> bytes:
    return b"data: " + json_reply(value).body + b"\n\n"


class TestWhatIsRecorded:
    def test_usage_is_the_providers_own(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(CONTENT)
        tracked.models.generate_content(model=MODEL, contents="hi")
        usage = recorder.wire[0]["usage"]
        assert usage["providerUsage"] == USAGE
        assert (usage["apiFlavor"], usage["provider"], usage["model"]) == ("default", "google", MODEL)
        assert usage["serviceTier"] == "flex"
        assert recorder.only["metadata"]["responseId"] == "resp-1"

    @pytest.mark.parametrize("world", ["sync", "async"])
    def test_function_calling_counts_each_exchange(
        self, world: str, tracked: TrackedGemini, plain: genai.Client, provider: Loopback, recorder: Recorder
    ) -> None:
        def weather(city: str) -> str:
            """The weather of a city."""
            return f"sunny in {city}"

        provider.answer(json_reply(gemini_function_call("weather", city="Bonn")), CONTENT)
        config = types.GenerateContentConfig(tools=[weather])
        if world == "sync":
            answer = tracked.models.generate_content(model=MODEL, contents="hi", config=config)
        else:
            answer = run(lambda: tracked.aio.models.generate_content(model=MODEL, contents="hi", config=config), plain)
        assert answer.text == "Hello"
        assert [event["usage"]["provider_usage"]["promptTokenCount"] for event in recorder.events] == [50, 100]
        tracking = tracking_of(answer)
        assert tracking is not None
        assert tracking.tracking_id == "evt_2"

    @pytest.mark.skipif(not hasattr(types.FinishReason, "CONTINUATION"), reason="this google-genai does not continue")
    @pytest.mark.parametrize("streamed", [False, True])
    def test_continuation_counts_each_exchange(
        self, streamed: bool, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        first = gemini_content("one", finish="CONTINUATION", usage=gemini_usage(100, 25))
        first["candidates"][0]["continuationToken"] = "dG9rZW4="
        second = gemini_content("two", usage=gemini_usage(125, 5))
        if streamed:
            provider.answer(*(Reply(content_type="text/event-stream", pieces=(_event(it),)) for it in (first, second)))
            *_, answer = tracked.models.generate_content_stream(model=MODEL, contents="hi")
        else:
            provider.answer(json_reply(first), json_reply(second))
            answer = tracked.models.generate_content(model=MODEL, contents="hi")
        assert [event["usage"]["provider_usage"]["candidatesTokenCount"] for event in recorder.events] == [25, 5]
        assert [event["status"] for event in recorder.events] == ["SUCCESS", "SUCCESS"]
        assert tracking_of(answer) is not None

    def test_a_blocked_prompt(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
        provider.answer(json_reply(blocked))
        tracked.models.generate_content(model=MODEL, contents="hi")
        assert recorder.only["status"]["status"] == "BLOCKED"
        assert recorder.only["usage"]["model"] == MODEL

    def test_free_requests_are_not_recorded(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply({"totalTokens": 3}), json_reply({"name": f"models/{MODEL}"}))
        assert tracked.models.count_tokens(model=MODEL, contents="hi").total_tokens == 3
        tracked.models.get(model=MODEL)
        assert recorder.events == []

    def test_an_answer_that_is_no_json(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(Reply(body=b"<html>", content_type="text/html"))
        with pytest.raises(ValueError, match="Expecting value"):
            tracked.models.generate_content(model=MODEL, contents="hi")
        assert recorder.only["metadata"]["usageSource"] == "missing"

    def test_a_sink_that_fails_costs_the_event_alone(self, plain: genai.Client, provider: Loopback) -> None:
        class Broken:
            debug = True

            def enqueue(self, event: Any) -> Any:
                raise RuntimeError("no")

        provider.answer(CONTENT, gemini_stream())
        broken = create_gemini_cost_tracker(plain, Broken())
        assert broken.models.generate_content(model=MODEL, contents="hi").text == "Hello"
        assert len(list(broken.models.generate_content_stream(model=MODEL, contents="hi"))) == 3


class TestStreams:
    def test_no_request_before_the_first_part(self, tracked: TrackedGemini, provider: Loopback) -> None:
        tracked.models.generate_content_stream(model=MODEL, contents="hi")
        assert provider.requests == []

    def test_a_stream_carries_its_tracking_once_it_has_ended(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(gemini_stream())
        stream = tracked.models.generate_content_stream(model=MODEL, contents="hi")
        next(stream)
        assert tracking_of(stream) is None
        assert len(list(stream)) == 2
        assert tracking_of(stream) is not None

    def test_close(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_stream(parts=2, end="open"))
        stream: Any = tracked.models.generate_content_stream(model=MODEL, contents="hi")
        next(stream)
        stream.close()
        stream.close()
        assert recorder.only["metadata"]["stopReason"] == "aborted"
        assert tracking_of(stream) is not None

    def test_left_after_the_last_part_it_is_whole(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(gemini_stream(parts=2, end="open"))
        for part in tracked.models.generate_content_stream(model=MODEL, contents="hi"):
            if part.candidates and part.candidates[0].finish_reason:
                break
        assert recorder.only["metadata"]["stopReason"] == "STOP"
        assert "usageSource" not in recorder.only["metadata"]

    def test_dropped(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_stream(parts=2, end="open"))
        next(tracked.models.generate_content_stream(model=MODEL, contents="hi"))
        assert recorder.only["metadata"]["stopReason"] == "aborted"

    def test_an_exception_of_the_reader_is_no_error_of_the_call(
        self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(gemini_stream(parts=2, end="open"))

        def reading() -> None:
            for _ in tracked.models.generate_content_stream(model=MODEL, contents="hi"):
                raise KeyError("the reader's own")

        with pytest.raises(KeyError):
            reading()
        assert recorder.only["status"] == "SUCCESS"

    def test_cancelled(
        self, tracked: TrackedGemini, plain: genai.Client, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(gemini_stream(parts=2, end="open"))

        async def cancelled() -> None:
            has_begun = asyncio.Event()

            async def reading() -> None:
                async for _ in await tracked.aio.models.generate_content_stream(model=MODEL, contents="hi"):
                    has_begun.set()

            task = asyncio.create_task(reading())
            await has_begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(cancelled, plain)
        assert recorder.only["status"]["status"] == "ERROR"
        assert recorder.only["metadata"]["errorType"] == "cancelled"

    def test_closed_in_a_loop(
        self, tracked: TrackedGemini, plain: genai.Client, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(gemini_stream(parts=2, end="open"))

        async def closed() -> Any:
            stream: Any = await tracked.aio.models.generate_content_stream(model=MODEL, contents="hi")
            await anext(stream)
            await stream.aclose()
            return stream

        assert tracking_of(run(closed, plain)) is not None
        assert recorder.only["metadata"]["stopReason"] == "aborted"

    def test_open_at_exit(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        from fluxgate_sdk.calls import close_live_streams

        provider.answer(gemini_stream(parts=2, end="open"))
        stream = tracked.models.generate_content_stream(model=MODEL, contents="hi")
        next(stream)
        close_live_streams()
        assert recorder.only["metadata"]["stopReason"] == "aborted"
        del stream
        assert len(recorder.events) == 1


class TestBatches:
    def test_results_are_recorded_once(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        about = {"model": f"models/{MODEL}", "endTime": "2026-05-05T10:00:00.5Z", "state": "BATCH_STATE_SUCCEEDED"}
        results = [{"response": gemini_content(usage=USAGE)}, {"error": {"code": 3, "message": "no"}}]
        done = {
            "name": "batches/b1",
            "metadata": {**about, "output": {"inlinedResponses": {"inlinedResponses": results}}},
        }
        running = {"name": "batches/b1", "metadata": {**about, "state": "BATCH_STATE_RUNNING"}}
        provider.answer(json_reply(running), json_reply(done), json_reply(done))
        for _ in range(3):
            job = tracked.batches.get(name="batches/b1")
        assert job.dest is not None
        assert len(job.dest.inlined_responses or []) == 2
        first, second = recorder.events
        assert (first["usage"]["service_tier"], first["usage"]["provider_usage"]) == ("batch", USAGE)
        assert "latency_in_ms" not in first["usage"]
        at = datetime.fromisoformat(str(first["metadata"]["timestamp"]))
        assert at == datetime(2026, 5, 5, 10, tzinfo=timezone.utc)
        assert (second["status"]["status"], second["metadata"]["batch"]) == ("ERROR", "batches/b1")

    def test_results_in_a_file(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        line = json_reply({"key": "a", "response": gemini_content(usage=USAGE)}).body
        provider.answer(Reply(body=line + b"\n"), Reply(body=b"\x89PNG"))
        assert tracked.files.download(file="files/batch-1") == line + b"\n"
        tracked.files.download(file="files/image")
        assert recorder.only["usage"]["provider_usage"] == USAGE
        assert recorder.only["metadata"]["batchKey"] == "a"


def test_only_so_many_names_of_batches_are_remembered(recorder: Recorder) -> None:
    tracker = gemini_seam.Tracker(recorder, "google")
    names = [str(number) for number in range(gemini_seam.MAX_NAMES_REMEMBERED + 1)]
    assert all(map(tracker.is_new, names))
    assert [tracker.is_new(names[number]) for number in (-1, 1, 0)] == [False, False, True]
    assert len(tracker.already_read) == gemini_seam.MAX_NAMES_REMEMBERED
