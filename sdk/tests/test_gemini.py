"""A tracked google-genai client against a provider on this machine: what is recorded, and that nothing else changes."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from gemini_clients import CAN_CLOSE, CONTENT, MODEL, USAGE, VECTORS, opened, run
from google import genai
from google.genai import errors, types
from google.genai.chats import Chats
from google.genai.models import Models
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
from fluxgate_sdk.providers.gemini import TrackedAsyncGemini, TrackedGemini, create_gemini_cost_tracker
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


class TestContexts:
    def test_each_level(self, plain: genai.Client, provider: Loopback, recorder: Recorder) -> None:
        provider.always(":generateContent", CONTENT)
        root = create_gemini_cost_tracker(plain, recorder)
        session = root.with_context(feature="chat", metadata={"a": 1})
        for asked in (
            root,
            session,
            session.with_tracking(step="draft", metadata={"b": 2}),
            session.with_context(user="u-2"),
            session.client,
        ):
            asked.models.generate_content(model=MODEL, contents="hi")
        session.models.with_tracking(step="m").generate_content(model=MODEL, contents="hi")
        session.chats.with_tracking(step="c").create(model=MODEL).send_message("hi")
        known = ("feature", "step", "user", "a", "b")
        found = [
            {key: event["metadata"][key] for key in known if key in event["metadata"]} for event in recorder.events
        ]
        assert found == [
            {},
            {"feature": "chat", "a": 1},
            {"feature": "chat", "step": "draft", "b": 2},
            {"user": "u-2"},
            {},
            {"feature": "chat", "step": "m", "a": 1},
            {"feature": "chat", "step": "c", "a": 1},
        ]

    def test_each_level_of_aio(self, plain: genai.Client, provider: Loopback, recorder: Recorder) -> None:
        provider.always(":generateContent", CONTENT)

        async def asked() -> None:
            session = create_gemini_cost_tracker(plain.aio, recorder).with_context(feature="chat")
            assert isinstance(session, TrackedAsyncGemini)
            for one in (session, session.with_tracking(step="draft"), session.client):
                await one.models.generate_content(model=MODEL, contents="hi")
            await session.models.with_tracking(step="m").generate_content(model=MODEL, contents="hi")
            await session.chats.with_tracking(step="c").create(model=MODEL).send_message("hi")

        run(asked, plain)
        found = [(event["metadata"].get("feature"), event["metadata"].get("step")) for event in recorder.events]
        assert found == [("chat", None), ("chat", "draft"), (None, None), ("chat", "m"), ("chat", "c")]

    def test_contexts_of_tasks_do_not_mix(
        self, tracked: TrackedGemini, plain: genai.Client, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.always(":generateContent", CONTENT)
        provider.always(":streamGenerateContent", gemini_stream())

        async def one(number: int) -> tuple[int, str | None]:
            session = tracked.aio.with_tracking(step=str(number))
            if number % 2:
                answer = await session.models.generate_content(model=MODEL, contents="hi")
            else:
                async for part in await session.models.generate_content_stream(model=MODEL, contents="hi"):
                    await asyncio.sleep(0)
                    answer = part
            tracking = tracking_of(answer)
            return number, tracking.tracking_id if tracking else None

        async def many() -> list[tuple[int, str | None]]:
            return await asyncio.gather(*(one(number) for number in range(8)))

        found = run(many, plain)
        by_id = {f"evt_{index}": event["metadata"]["step"] for index, event in enumerate(recorder.events, 1)}
        assert [by_id[tracking_id or ""] for _, tracking_id in found] == [str(number) for number, _ in found]

    def test_a_misspelt_word_is_refused(self, tracked: TrackedGemini) -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'feture'; it takes conversation_id, feature"):
            tracked.with_context(feture="chat")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"with_tracking\(\) got an unexpected"):
            tracked.models.with_tracking(usr="u")  # type: ignore[call-arg]

    def test_no_client_at_all_is_refused(self, recorder: Recorder) -> None:
        with pytest.raises(TypeError, match=r"client: must be a google.genai.Client or its aio, got str"):
            create_gemini_cost_tracker("client", recorder)  # type: ignore[call-overload]


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


class TestTheCallersClient:
    def test_is_not_changed(self, plain: genai.Client, provider: Loopback, recorder: Recorder) -> None:
        def state() -> dict[str, Any]:
            return {**vars(plain), **{f"aio.{name}": value for name, value in vars(plain.aio).items()}}

        before, transport = state(), dict(vars(plain._api_client))
        provider.answer(CONTENT, CONTENT)
        session = create_gemini_cost_tracker(plain, recorder).with_context(feature="x")
        session.models.generate_content(model=MODEL, contents="hi")
        assert state() == before
        assert vars(plain._api_client) == transport
        plain.models.generate_content(model=MODEL, contents="hi")
        assert len(recorder.events) == 1

    def test_is_not_closed_by_a_twin_that_goes(
        self, plain: genai.Client, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(CONTENT)
        create_gemini_cost_tracker(plain, recorder).with_context(feature="x").aio.models.with_tracking(step="s")
        gc.collect()
        assert plain.models.generate_content(model=MODEL, contents="hi").text == "Hello"

    @pytest.mark.skipif(not CAN_CLOSE, reason="this google-genai leaves it to the interpreter")
    def test_lives_as_long_as_its_twin(self, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(CONTENT)
        client = genai.Client(api_key="k", http_options={"base_url": provider.url})
        models = create_gemini_cost_tracker(client, recorder).with_context(feature="x").models
        http_client = client._api_client._httpx_client
        del client
        gc.collect()
        assert models.generate_content(model=MODEL, contents="hi").text == "Hello"
        assert not http_client.is_closed
        del models
        gc.collect()
        assert http_client.is_closed

    def test_tracked_twice_counts_once(self, tracked: TrackedGemini, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(CONTENT)
        create_gemini_cost_tracker(tracked, recorder).models.generate_content(model=MODEL, contents="hi")
        assert len(recorder.events) == 1

    def test_an_instrumentor_of_the_same_class_sees_the_call(
        self, plain: genai.Client, provider: Loopback, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As OpenTelemetry's does it: the method of the package's class is replaced, after a twin was made."""
        session = create_gemini_cost_tracker(plain, recorder)
        asked: list[str] = []

        def instrumented(name: str) -> None:
            theirs = getattr(Models, name)

            def replacing(self: Any, **arguments: Any) -> Any:
                asked.append(name)
                return theirs(self, **arguments)

            monkeypatch.setattr(Models, name, replacing)

        instrumented("generate_content")
        instrumented("generate_content_stream")
        provider.answer(CONTENT, gemini_stream(usage=USAGE))
        answer = session.models.generate_content(model=MODEL, contents="hi")
        *_, last = session.models.generate_content_stream(model=MODEL, contents="hi")
        assert asked == ["generate_content", "generate_content_stream"]
        assert [event["usage"]["provider_usage"] for event in recorder.events] == [USAGE, USAGE]
        assert None not in (tracking_of(answer), tracking_of(last))

    def test_a_subclass_stays_one(self, provider: Loopback, recorder: Recorder) -> None:
        class Mine(genai.Client):
            def greet(self) -> str:
                return str(self.models.generate_content(model=MODEL, contents="hi").text)

        provider.answer(CONTENT)
        with opened(Mine, http_options={"base_url": provider.url}) as mine:
            twin: Any = create_gemini_cost_tracker(mine, recorder).with_context(feature="x")
            assert twin.greet() == "Hello"
            assert isinstance(twin, Mine)
        assert recorder.only["metadata"]["feature"] == "x"

    def test_what_it_answers_is_the_same(self, plain: genai.Client, tracked: TrackedGemini, provider: Loopback) -> None:
        provider.answer(CONTENT, CONTENT)
        own = plain.models.generate_content(model=MODEL, contents="hi")
        answer = tracked.models.generate_content(model=MODEL, contents="hi")
        for one in (own, answer):
            one.sdk_http_response = None  # The date is in there.
        assert tracking_of(answer) is not None
        assert answer == own
        assert (answer.model_dump(), repr(answer)) == (own.model_dump(), repr(own))
        assert tracking_of(answer.model_copy(deep=True)) is tracking_of(answer)
        assert (isinstance(tracked.models, Models), isinstance(tracked.chats, Chats)) == (True, True)
        own_request, request = (copy.deepcopy(it) for it in provider.requests)
        assert (own_request.path, own_request.body) == (request.path, request.body)

    @pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts file handles where the system lists them")
    def test_nothing_is_left_behind(self, provider: Loopback, recorder: Recorder) -> None:
        provider.always(":generateContent", CONTENT)
        provider.always(":streamGenerateContent", gemini_stream(parts=2, end="open"))

        def once() -> None:
            with opened(http_options={"base_url": provider.url}) as client:
                session = create_gemini_cost_tracker(client, recorder)
                session.models.generate_content(model=MODEL, contents="hi")
                next(session.models.generate_content_stream(model=MODEL, contents="hi"))
                run(
                    lambda: _async_parts(session.aio.models.generate_content_stream(model=MODEL, contents="hi"), 1),
                    client,
                )

        def handles() -> int:
            gc.collect()
            provider.settle()
            return len(list(Path("/proc/self/fd").iterdir()))

        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            once()
            before, threads = handles(), set(threading.enumerate())
            once()
            assert handles() == before
            assert set(threading.enumerate()) <= threads
        assert len(recorder.events) == 6
