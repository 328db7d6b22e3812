"""A tracked google-genai client: its contexts, and what becomes of the client that it was made of."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gemini_clients import CAN_CLOSE, CONTENT, MODEL, USAGE, opened, run
from google import genai
from google.genai.chats import Chats
from google.genai.models import Models
from loopback import (
    Loopback,
    gemini_stream,
    shared_tls_context,
)
from recorder import Recorder

from fluxgate_sdk.providers.gemini import TrackedAsyncGemini, TrackedGemini, create_gemini_cost_tracker
from fluxgate_sdk.tracking import tracking_of


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


async def _async_parts(stream: Awaitable[AsyncIterator[Any]], most: int | None) -> list[Any]:
    parts = []
    async for part in await stream:
        parts.append(part)
        if len(parts) == most:
            break
    return parts


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
