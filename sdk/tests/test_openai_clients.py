"""Tracked clients of OpenAI's package of every kind, in an event loop, and what they leave behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import stainless_wire as wire
from loopback import Loopback, Reply, Request, json_reply, sse_reply
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from recorder import Recorder

from fluxgate_sdk.providers.openai import create_openai_cost_tracker
from fluxgate_sdk.tracking import tracking_of

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
ASK: dict[str, Any] = {"model": "gpt-5", "input": "Hi"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Loopback]:
    with Loopback() as loopback:
        loopback.always("/chat/completions", _chat)
        yield loopback


def _chat(request: Request) -> Reply:
    """Says the usage of a stream only when it is asked to, as OpenAI does."""
    if not request.body.get("stream"):
        return json_reply(wire.chat_completion())
    return wire.chat_stream(usage=(request.body.get("stream_options") or {}).get("include_usage") is True)


@pytest.fixture(scope="module")
def plain(provider: Loopback) -> Iterator[OpenAI]:
    """The caller's own client."""
    with OpenAI(api_key="k", base_url=provider.url, max_retries=0) as client:
        yield client


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def tracker(plain: OpenAI, recorder: Recorder) -> Any:
    return create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)


class TestClients:
    def test_a_class_of_the_users_own(self, provider: Loopback, recorder: Recorder) -> None:
        class House(OpenAI):
            asked = 0

            def request(self, *args: Any, **options: Any) -> Any:
                House.asked += 1
                return super().request(*args, **options)

            def hello(self) -> str:
                return "hello"

        with House(api_key="k", base_url=provider.url) as plain:
            tracker: Any = create_openai_cost_tracker(plain, recorder).with_context(feature="house")
            assert isinstance(tracker, House)
            assert tracker.hello() == "hello"
            tracker.with_options(timeout=3).chat.completions.create(**CHAT)
            assert isinstance(tracker.with_options(timeout=3), House)
        assert (House.asked, recorder.only["metadata"]["feature"]) == (1, "house")

    def test_a_request_function_that_somebody_put_there(self, provider: Loopback, recorder: Recorder) -> None:
        with OpenAI(api_key="k", base_url=provider.url) as plain:
            theirs: Any = plain.request
            asked: list[str] = []

            def request(cast_to: Any, options: Any, **how: Any) -> Any:
                asked.append(options.url)
                return theirs(cast_to, options, **how)

            plain.request = request  # type: ignore[method-assign]
            tracker: Any = create_openai_cost_tracker(plain, recorder)
            tracker.with_context(feature="x").chat.completions.create(**CHAT)
        assert asked == ["/chat/completions"]
        assert recorder.only["metadata"]["feature"] == "x"

    def test_azure(self, provider: Loopback, recorder: Recorder) -> None:
        def stream(version: str) -> dict[str, Any]:
            plain = AzureOpenAI(api_key="k", azure_endpoint=provider.url, api_version=version)
            with create_openai_cost_tracker(plain, recorder, inject_stream_usage=None) as tracker:
                list(tracker.chat.completions.create(**CHAT, stream=True))
            return provider.requests[-1].body  # type: ignore[no-any-return]

        stream("2024-10-21")
        assert provider.requests[-1].path == "/openai/deployments/gpt-4o/chat/completions"
        assert recorder.only["usage"]["provider"] == "azure"
        assert recorder.only["usage"]["model"] == "gpt-4o-2024-08-06"

    @pytest.mark.parametrize(
        ("url", "provider_name", "asks"),
        [
            ("https://api.openai.com/v1", "openai", True),
            ("https://eu.api.openai.com/v1", "openai", True),
            ("https://x.openai.azure.com/openai/v1", "azure", True),
            ("https://api.deepseek.com", "deepseek", False),
            ("https://generativelanguage.googleapis.com/v1beta/openai", "google", False),
            ("http://localhost:1234/v1", "openai", False),
        ],
    )
    def test_who_answers_and_whether_to_ask_for_usage(
        self, url: str, provider_name: str, asks: bool, plain: OpenAI, recorder: Recorder
    ) -> None:
        from fluxgate_sdk.providers import openai as module
        from fluxgate_sdk.providers._stainless import session_of

        tracker: Any = create_openai_cost_tracker(plain, recorder).with_options(base_url=url)
        session = session_of(tracker)
        assert session.provider_name == provider_name
        assert module._may_inject(tracker, {}, session) is asks
        assert module._may_inject(tracker, {"data_sources": []}, session) is False

    @pytest.mark.parametrize(("version", "asks"), [("2024-02-01", False), ("2024-10-21", True), ("preview", True)])
    def test_old_interfaces_of_azure_are_not_asked_for_usage(
        self, version: str, asks: bool, recorder: Recorder
    ) -> None:
        from fluxgate_sdk.providers import openai as module
        from fluxgate_sdk.providers._stainless import session_of

        plain = AzureOpenAI(api_key="k", azure_endpoint="https://x.openai.azure.com", api_version=version)
        with create_openai_cost_tracker(plain, recorder) as tracker:
            assert module._may_inject(tracker, {}, session_of(tracker)) is asks

    def test_a_named_provider_stays_named(self, plain: OpenAI, recorder: Recorder) -> None:
        tracker = create_openai_cost_tracker(plain, recorder, provider="groq")
        tracker.with_options(timeout=3).chat.completions.create(**CHAT)
        usage = recorder.only["usage"]
        assert (usage["provider"], usage["api_flavor"]) == ("groq", "chat")

    def test_counters_where_the_server_does_not_know_the_object(self, plain: OpenAI, recorder: Recorder) -> None:
        create_openai_cost_tracker(plain, recorder, provider="together").chat.completions.create(**CHAT)
        usage = recorder.only["usage"]
        assert "provider_usage" not in usage
        counters = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
        assert [usage[name] for name in counters] == [100, 20, 40, 8]


class TestInAnEventLoop:
    def test_a_cancelled_call_is_an_error_and_stays_cancelled(self, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(sse_reply(wire.chat_chunks(usage=True)[:1], end="open"))

        async def session() -> None:
            async with AsyncOpenAI(api_key="k", base_url=provider.url) as plain:
                tracker = create_openai_cost_tracker(plain, recorder)
                stream = await tracker.chat.completions.create(**CHAT, stream=True)
                first = asyncio.Event()

                async def consume() -> None:
                    async for _ in stream:
                        first.set()

                task = asyncio.create_task(consume())
                await first.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert tracking_of(stream) is not None

        asyncio.run(session())
        assert wire.status_of(recorder.only) == "ERROR"
        assert recorder.only["metadata"]["errorType"] == "cancelled"

    def test_calls_side_by_side_keep_their_contexts(self, provider: Loopback, recorder: Recorder) -> None:
        async def session() -> None:
            async with AsyncOpenAI(api_key="k", base_url=provider.url) as plain:
                tracker = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)

                async def one(number: int) -> None:
                    stream = await tracker.with_context(user=f"u{number}").chat.completions.create(**CHAT, stream=True)
                    async for _ in stream:
                        pass

                await asyncio.gather(*map(one, range(5)))

        asyncio.run(session())
        assert sorted(event["metadata"]["user"] for event in recorder.events) == [f"u{number}" for number in range(5)]


def test_nothing_is_left_open(recorder: Recorder) -> None:
    def call(provider: Loopback, times: int) -> None:
        with OpenAI(api_key="k", base_url=provider.url) as plain:
            tracker: Any = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)
            for number in range(times):
                stream = tracker.with_context(user=str(number)).chat.completions.create(**CHAT, stream=True)
                next(stream)
                stream.close()
                tracker.chat.completions.create(**CHAT)

    def held(provider: Loopback) -> tuple[int, set[threading.Thread]]:
        gc.collect()
        provider.settle()  # The other ends of the connections are the test's own.
        return len(os.listdir("/proc/self/fd")), set(threading.enumerate())

    # Of its own: connections of other tests' clients stay open.
    with Loopback() as own:
        own.always("/chat/completions", _chat)
        call(own, 2)
        before = held(own)
        call(own, 20)
        assert held(own) == before
