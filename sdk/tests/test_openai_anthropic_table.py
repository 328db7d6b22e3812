"""Every way to make a billable call × synchronous or not × how it ends: exactly one event each.

One coroutine drives both kinds of client: what a synchronous client returns needs no waiting.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
import stainless_wire as wire
from loopback import Loopback, Reply, json_reply
from openai.types.chat import ChatCompletion
from recorder import Recorder

from fluxgate_sdk.providers.anthropic import create_anthropic_cost_tracker
from fluxgate_sdk.providers.openai import create_openai_cost_tracker
from fluxgate_sdk.tracking import tracking_of

MESSAGES: Any = [{"role": "user", "content": "Hi"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
ASK: dict[str, Any] = {"model": "gpt-5", "input": "Hi"}
CLAUDE: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": MESSAGES}
SOUND: dict[str, Any] = {"model": "gpt-4o-transcribe", "file": ("a.wav", b"RIFF")}
SPEECH: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
DRAW: dict[str, Any] = {"model": "gpt-image-1", "prompt": "a cat"}

# A driver makes one call and reads so many parts of its answer (None: all). It returns what carries the tracking.
Driver = Callable[[Any, "int | None"], Awaitable[Any]]


async def given(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def each(parts: Any) -> AsyncGenerator[Any, None]:
    if hasattr(parts, "__aiter__"):
        async for part in parts:
            yield part
    else:
        for part in parts:
            yield part


async def read(parts: Any, most: int | None) -> None:
    count = 0
    async for _ in each(parts):
        count += 1
        if count == most:
            break


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


def plain(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        return await given(call(client))

    return drive


def stream(call: Callable[[Any], Any]) -> Driver:
    """The stream is read in a `with`, as its documentation says."""

    async def drive(client: Any, most: int | None) -> Any:
        async with entered(await given(call(client))) as parts:
            await read(parts, most)
        return parts

    return drive


def dropped(call: Callable[[Any], Any]) -> Driver:
    """The stream is read without a `with` and left where reading stops, for the garbage collector."""

    async def drive(client: Any, most: int | None) -> Any:
        parts = await given(call(client))
        iterator = each(parts)
        with suppress(StopAsyncIteration):
            while most != 0:
                await iterator.__anext__()
                most = None if most is None else most - 1
        await iterator.aclose()
        return None

    return drive


def raw(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        answer = await given(call(client))
        if most is not None:
            return answer
        return await given(answer.parse())

    return drive


def raw_stream(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        answer = await given(call(client))
        async with entered(await given(answer.parse())) as parts:
            await read(parts, most)
        return parts

    return drive


def streaming_response(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as answer:
            return answer if most is not None else await given(answer.parse())

    return drive


def streaming_response_bytes(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as answer:
            await read(answer.iter_bytes(), most)
        return answer

    return drive


def streaming_response_parsed(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as answer:
            parts = await given(answer.parse())
            await read(parts, most)
        return parts

    return drive


def helper(call: Callable[[Any], Any], final: str) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as parts:
            if most is None:
                return await given(getattr(parts, final)())
            await read(parts, most)
        return parts

    return drive


@dataclass(frozen=True)
class Surface:
    """One way to make a call; `reply` is a good answer, `tokens` what it says was used."""

    name: str
    drive: Driver
    reply: Callable[[], Reply]
    midway: Callable[[], Reply] | None = None
    tokens: tuple[int, int] = (120 - 20, 20)
    is_parted: bool = False
    carries: bool = True


def _chat(name: str, drive: Driver, *, is_parted: bool = False) -> Surface:
    if not is_parted:
        return Surface(name, drive, lambda: json_reply(wire.chat_completion()))
    return Surface(
        name,
        drive,
        wire.chat_stream,
        lambda: wire.openai_error_midway(wire.chat_chunks(usage=True)[:2]),
        is_parted=True,
    )


def _response(name: str, drive: Driver, *, is_parted: bool = False) -> Surface:
    if not is_parted:
        return Surface(name, drive, lambda: json_reply(wire.response()))

    def midway() -> Reply:
        return wire.openai_error_midway([(event["type"], event) for event in wire.response_events()[:4]])

    return Surface(name, drive, wire.response_stream, midway, is_parted=True)


def _openai(name: str, drive: Driver, body: dict[str, Any], tokens: tuple[int, int] = (100, 20)) -> Surface:
    return Surface(name, drive, lambda: json_reply(body), tokens=tokens)


def _sound(name: str, drive: Driver) -> Surface:
    def reply() -> Reply:
        return Reply(b"\xff\xf3", content_type="audio/mpeg")

    return Surface(name, drive, reply, tokens=(0, 0), carries=False)


def _edit(client: Any) -> Any:
    return client.images.edit(model="gpt-image-1", prompt="a cat", image=("a.png", b"PNG"))


OPENAI = [
    _chat("chat", plain(lambda c: c.chat.completions.create(**CHAT))),
    _chat("chat parse", plain(lambda c: c.chat.completions.parse(**CHAT))),
    _chat("beta chat parse", plain(lambda c: c.beta.chat.completions.parse(**CHAT))),
    _chat("chat with_tracking", plain(lambda c: c.chat.with_tracking(step="x").completions.create(**CHAT))),
    _chat("chat with_options", plain(lambda c: c.with_options(timeout=9).chat.completions.create(**CHAT))),
    _chat("post", plain(lambda c: c.post("/chat/completions", cast_to=ChatCompletion, body=CHAT))),
    _chat("chat raw", raw(lambda c: c.chat.completions.with_raw_response.create(**CHAT))),
    _chat("client raw", raw(lambda c: c.with_raw_response.chat.completions.create(**CHAT))),
    _chat("chat streaming", streaming_response(lambda c: c.chat.completions.with_streaming_response.create(**CHAT))),
    _chat(
        "chat streaming bytes",
        streaming_response_bytes(lambda c: c.chat.completions.with_streaming_response.create(**CHAT)),
    ),
    _chat("chat stream", stream(lambda c: c.chat.completions.create(**CHAT, stream=True)), is_parted=True),
    _chat("chat stream dropped", dropped(lambda c: c.chat.completions.create(**CHAT, stream=True)), is_parted=True),
    _chat(
        "chat raw stream",
        raw_stream(lambda c: c.chat.completions.with_raw_response.create(**CHAT, stream=True)),
        is_parted=True,
    ),
    _chat(
        "chat streaming stream",
        streaming_response_parsed(lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True)),
        is_parted=True,
    ),
    _chat(
        "chat streaming stream bytes",
        streaming_response_bytes(lambda c: c.chat.completions.with_streaming_response.create(**CHAT, stream=True)),
        is_parted=True,
    ),
    _chat("chat helper", helper(lambda c: c.chat.completions.stream(**CHAT), "get_final_completion"), is_parted=True),
    _response("responses", plain(lambda c: c.responses.create(**ASK))),
    _response("responses parse", plain(lambda c: c.responses.parse(**ASK))),
    _response("responses raw", raw(lambda c: c.responses.with_raw_response.create(**ASK))),
    _response("responses streaming", streaming_response(lambda c: c.responses.with_streaming_response.create(**ASK))),
    _response("responses stream", stream(lambda c: c.responses.create(**ASK, stream=True)), is_parted=True),
    _response("responses stream dropped", dropped(lambda c: c.responses.create(**ASK, stream=True)), is_parted=True),
    _response(
        "responses raw stream",
        raw_stream(lambda c: c.responses.with_raw_response.create(**ASK, stream=True)),
        is_parted=True,
    ),
    _response(
        "responses streaming stream bytes",
        streaming_response_bytes(lambda c: c.responses.with_streaming_response.create(**ASK, stream=True)),
        is_parted=True,
    ),
    _response("responses helper", helper(lambda c: c.responses.stream(**ASK), "get_final_response"), is_parted=True),
    _response("responses compact", plain(lambda c: c.responses.compact(**ASK))),
    _response("beta responses", plain(lambda c: c.beta.responses.create(**ASK))),
    _openai(
        "decisions",
        plain(lambda c: c.decisions.create(**ASK, questions=[])),
        {"id": "d", "object": "decision", "model": "gpt-5", "usage": wire.RESPONSE_USAGE},
    ),
    _openai("completions", plain(lambda c: c.completions.create(model="m", prompt="Hi")), wire.text_completion()),
    _openai("embeddings", plain(lambda c: c.embeddings.create(model="m", input="Hi")), wire.embeddings(), (100, 0)),
    _openai("embeddings raw", raw(lambda c: c.embeddings.with_raw_response.create(model="m", input="Hi")),
            wire.embeddings(), (100, 0)),
    _openai("images", plain(lambda c: c.images.generate(**DRAW)), wire.images()),
    _openai("images edit", plain(_edit), wire.images()),
    Surface(
        "images stream", stream(lambda c: c.images.generate(**DRAW, stream=True)), wire.image_stream, is_parted=True
    ),
    _openai("transcription", plain(lambda c: c.audio.transcriptions.create(**SOUND)), wire.transcription()),
    Surface(
        "transcription stream",
        stream(lambda c: c.audio.transcriptions.create(**SOUND, stream=True)),
        wire.transcription_stream,
        is_parted=True,
    ),
    _openai("translation", plain(lambda c: c.audio.translations.create(**SOUND)), {"text": "Hello"}, (0, 0)),
    _sound("speech", plain(lambda c: c.audio.speech.create(**SPEECH))),
    _sound(
        "speech streaming", streaming_response_bytes(lambda c: c.audio.speech.with_streaming_response.create(**SPEECH))
    ),
    _openai("video", plain(lambda c: c.videos.create(model="sora-2", prompt="a cat")), wire.video(), (0, 0)),
]  # fmt: skip


def _claude(name: str, drive: Driver, *, is_parted: bool = False) -> Surface:
    if not is_parted:
        return Surface(name, drive, lambda: json_reply(wire.message()))
    return Surface(name, drive, wire.message_stream, wire.anthropic_error_midway, is_parted=True)


ANTHROPIC = [
    _claude("messages", plain(lambda c: c.messages.create(**CLAUDE))),
    _claude("messages with_tracking", plain(lambda c: c.messages.with_tracking(step="x").create(**CLAUDE))),
    _claude("messages with_options", plain(lambda c: c.with_options(timeout=9).messages.create(**CLAUDE))),
    _claude("messages raw", raw(lambda c: c.messages.with_raw_response.create(**CLAUDE))),
    _claude("messages streaming", streaming_response(lambda c: c.messages.with_streaming_response.create(**CLAUDE))),
    _claude("messages stream", stream(lambda c: c.messages.create(**CLAUDE, stream=True)), is_parted=True),
    _claude("messages stream dropped", dropped(lambda c: c.messages.create(**CLAUDE, stream=True)), is_parted=True),
    _claude(
        "messages raw stream",
        raw_stream(lambda c: c.messages.with_raw_response.create(**CLAUDE, stream=True)),
        is_parted=True,
    ),
    _claude(
        "messages streaming stream",
        streaming_response_parsed(lambda c: c.messages.with_streaming_response.create(**CLAUDE, stream=True)),
        is_parted=True,
    ),
    _claude(
        "messages streaming stream bytes",
        streaming_response_bytes(lambda c: c.messages.with_streaming_response.create(**CLAUDE, stream=True)),
        is_parted=True,
    ),
    _claude("messages helper", helper(lambda c: c.messages.stream(**CLAUDE), "get_final_message"), is_parted=True),
    _claude("messages parse", plain(lambda c: c.messages.parse(**CLAUDE))),
    _claude("beta messages parse", plain(lambda c: c.beta.messages.parse(**CLAUDE))),
    _claude("beta messages", plain(lambda c: c.beta.messages.create(**CLAUDE))),
    _claude("beta messages raw", raw(lambda c: c.beta.messages.with_raw_response.create(**CLAUDE))),
    _claude("beta messages stream", stream(lambda c: c.beta.messages.create(**CLAUDE, stream=True)), is_parted=True),
    _claude(
        "beta messages helper", helper(lambda c: c.beta.messages.stream(**CLAUDE), "get_final_message"), is_parted=True
    ),
]
NEEDS = {
    "chat parse": "chat.completions.parse",
    "chat helper": "chat.completions.stream",
    "responses parse": "responses.parse",
    "responses helper": "responses.stream",
    "responses compact": "responses.compact",
    "beta responses": "beta.responses.create",
    "decisions": "decisions.create",
    "images stream": "images.generate(stream)",
    "transcription stream": "audio.transcriptions.create(stream)",
    "video": "videos.create",
    "messages parse": "messages.parse",
    "beta messages parse": "beta.messages.parse",
    "beta messages helper": "beta.messages.stream",
}
"""What the oldest versions of the packages do not have."""


def _exists(client: Any, need: str) -> bool:
    path, _, parameter = need.rstrip(")").partition("(")
    for name in path.split(".") if path else []:
        client = getattr(client, name, None)
    return client is not None and (not parameter or parameter in inspect.signature(client).parameters)


CASES = [
    (package, surface)
    for package, client, surfaces in (
        ("openai", openai.OpenAI(api_key="k"), OPENAI),
        ("anthropic", anthropic.Anthropic(api_key="k"), ANTHROPIC),
    )
    for surface in surfaces
    if _exists(client, NEEDS.get(surface.name, ""))
]
SURFACES = [pytest.param(*case, id=f"{case[0]} {case[1].name}") for case in CASES]
# Who reads the bytes sees no error in them.
WITH_AN_ERROR_MIDWAY = [
    param for param, (_, surface) in zip(SURFACES, CASES, strict=True) if surface.midway and "bytes" not in surface.name
]


@dataclass(frozen=True)
class Bench:
    """What the tests share, because making it takes longer than they do."""

    provider: Loopback
    loop: asyncio.AbstractEventLoop
    clients: dict[tuple[str, bool], Any]

    def run(self, package: str, is_async: bool, recorder: Recorder, surface: Surface, most: int | None = None) -> Any:
        client = self.clients[package, is_async]
        if package == "openai":
            tracker = create_openai_cost_tracker(client, recorder, inject_stream_usage=True)
        else:
            tracker = create_anthropic_cost_tracker(client, recorder)
        return self.loop.run_until_complete(self._driven(tracker, recorder, surface, most))

    async def _driven(self, tracker: Any, recorder: Recorder, surface: Surface, most: int | None) -> Any:
        answer = await surface.drive(tracker.with_context(feature="table", user="u1"), most)
        if answer is None:
            # An asynchronous stream that was dropped is closed by tasks of the loop.
            await _some_turns()
            gc.collect()
            await _some_turns()
        return answer


async def _some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    with Loopback() as provider:
        options: dict[str, Any] = {"api_key": "k", "base_url": provider.url, "max_retries": 0}
        clients: dict[tuple[str, bool], Any] = {
            ("openai", False): openai.OpenAI(**options),
            ("openai", True): openai.AsyncOpenAI(**options),
            ("anthropic", False): anthropic.Anthropic(**options),
            ("anthropic", True): anthropic.AsyncAnthropic(**options),
        }
        yield Bench(provider, loop, clients)
        for (_, is_async), client in clients.items():
            if is_async:
                loop.run_until_complete(client.close())
            else:
                client.close()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing goes wrong unseen: the SDK logs what it swallows."""
    with caplog.at_level("DEBUG", logger="fluxgate"):
        yield
    assert [record.getMessage() for record in caplog.records if record.name == "fluxgate"] == []


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
class TestOneEventEach:
    @pytest.mark.parametrize(("package", "surface"), SURFACES)
    def test_ok(self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder) -> None:
        bench.provider.answer(surface.reply())
        answer = bench.run(package, is_async, recorder, surface)
        event = recorder.only
        assert (wire.status_of(event), wire.tokens_of(event)) == ("SUCCESS", surface.tokens)
        assert (event["metadata"]["feature"], event["metadata"]["user"]) == ("table", "u1")
        assert event["usage"]["is_streamed"] is surface.is_parted
        if answer is not None and surface.carries:
            assert tracking_of(answer) is not None

    @pytest.mark.parametrize(("package", "surface"), SURFACES)
    def test_refused(self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder) -> None:
        bench.provider.answer(
            wire.openai_error() if package == "openai" else wire.anthropic_error(429, "rate_limit_error")
        )
        package_error = openai.RateLimitError if package == "openai" else anthropic.RateLimitError
        with pytest.raises(package_error):
            bench.run(package, is_async, recorder, surface)
        event = recorder.only
        assert wire.status_of(event) == "ERROR"
        said = event["metadata"]
        assert (said["httpStatus"], said["errorType"], said["usageSource"]) == (429, "RateLimitError", "missing")

    @pytest.mark.parametrize(("package", "surface"), WITH_AN_ERROR_MIDWAY)
    def test_error_midway(
        self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder
    ) -> None:
        assert surface.midway is not None
        bench.provider.answer(surface.midway())
        package_error = openai.APIError if package == "openai" else anthropic.APIStatusError
        with pytest.raises(package_error):
            bench.run(package, is_async, recorder, surface)
        assert wire.status_of(recorder.only) == "ERROR"

    @pytest.mark.parametrize(("package", "surface"), SURFACES)
    def test_early_break(
        self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder
    ) -> None:
        bench.provider.answer(surface.reply())
        bench.run(package, is_async, recorder, surface, most=1)
        event = recorder.only
        assert wire.status_of(event) == "SUCCESS"
        if surface.is_parted:
            assert event["metadata"]["stopReason"] == "aborted"
            assert event["metadata"]["usageSource"] in ("missing", "partial")
