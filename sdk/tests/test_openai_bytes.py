"""Who reads the bytes of a chat stream gets those that he would have got without us, and its usage is recorded."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import stainless_wire as wire
from loopback import Loopback, Reply, Request, cut_into, sse_reply
from openai import AsyncOpenAI, OpenAI
from recorder import Recorder

from fluxgate_sdk.providers._openai_bytes import UsageEraser
from fluxgate_sdk.providers.openai import create_openai_cost_tracker

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def _asked(request: Request) -> bool:
    return (request.body.get("stream_options") or {}).get("include_usage") is True


@pytest.fixture(scope="module")
def provider() -> Iterator[Loopback]:
    with Loopback() as loopback:
        loopback.always("/chat/completions", lambda request: wire.chat_stream(usage=_asked(request)))
        yield loopback


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def iterated(method: str) -> Callable[[Any], list[Any]]:
    def read(completions: Any) -> list[Any]:
        with completions.with_streaming_response.create(**CHAT) as answer:
            return list(getattr(answer, method)())

    return read


def of_the_http_response(completions: Any) -> list[Any]:
    answer = completions.with_raw_response.create(**CHAT)
    return list(answer.http_response.iter_lines())


def read_whole(completions: Any) -> list[Any]:
    with completions.with_streaming_response.create(**CHAT) as answer:
        return [answer.read()]


READINGS = {
    "bytes": iterated("iter_bytes"),
    "lines": iterated("iter_lines"),
    "text": iterated("iter_text"),
    "raw": of_the_http_response,
    "whole": read_whole,
}


@pytest.mark.parametrize("how", READINGS)
def test_the_same_bytes(how: str, provider: Loopback, recorder: Recorder) -> None:
    with OpenAI(api_key="k", base_url=provider.url) as plain:
        tracker: Any = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)
        theirs = READINGS[how](plain.chat.completions)
        ours = READINGS[how](tracker.chat.completions)
    assert _asked(provider.requests[-1])
    assert ours[0][:0].join(ours) == theirs[0][:0].join(theirs)
    assert wire.tokens_of(recorder.only) == (100, 20)
    assert "usageSource" not in recorder.only["metadata"]


def test_the_same_bytes_in_an_event_loop(provider: Loopback, recorder: Recorder) -> None:
    async def read(client: Any) -> str:
        async with client.chat.completions.with_streaming_response.create(**CHAT) as answer:
            return "\n".join([line async for line in answer.iter_lines()])

    async def both() -> tuple[str, str]:
        async with AsyncOpenAI(api_key="k", base_url=provider.url) as plain:
            tracker = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)
            return await read(plain), await read(tracker)

    theirs, ours = asyncio.run(both())
    assert ours == theirs
    assert wire.tokens_of(recorder.only) == (100, 20)


def test_bytes_that_are_packed_all_the_same_pass_as_they_are(provider: Loopback, recorder: Recorder) -> None:
    packed = gzip.compress(b"".join(wire.chat_stream().pieces))
    provider.answer(replace(wire.chat_stream(), pieces=cut_into(packed, 7), headers={"Content-Encoding": "gzip"}))
    with OpenAI(api_key="k", base_url=provider.url) as plain:
        tracker: Any = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)
        assert b"".join(iterated("iter_bytes")(tracker.chat.completions)).endswith(b"data: [DONE]\n\n")
    assert provider.requests[-1].headers["accept-encoding"] == "identity"
    assert wire.tokens_of(recorder.only) == (100, 20)


def test_what_the_caller_wants_packed_stays_so(provider: Loopback, recorder: Recorder) -> None:
    with OpenAI(api_key="k", base_url=provider.url) as plain:
        tracker: Any = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)
        completions = tracker.chat.completions.with_raw_response
        completions.create(**CHAT, extra_headers={"accept-encoding": "gzip"}).http_response.read()
    assert provider.requests[-1].headers["accept-encoding"] == "gzip"


def _cut_off(reply: Reply) -> Reply:
    *pieces, _, _ = reply.pieces
    return replace(reply, pieces=tuple(pieces))


def test_a_stream_that_stops_inside_a_line_keeps_what_there_is(provider: Loopback, recorder: Recorder) -> None:
    def read(completions: Any) -> bytes:
        provider.answer(_cut_off(sse_reply(wire.chat_chunks(usage=False)[:2])))
        return b"".join(iterated("iter_bytes")(completions))

    with OpenAI(api_key="k", base_url=provider.url) as plain:
        tracker: Any = create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)
        assert read(tracker.chat.completions) == read(plain.chat.completions) != b""
    assert len(recorder.events) == 1


def _sent(*chunks: dict[str, Any], separators: tuple[str, str] = (", ", ": "), end: str = "\n\n") -> bytes:
    return "".join(f"data: {json.dumps(chunk, separators=separators)}{end}" for chunk in chunks).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_nothing_but_the_usage_is_erased(size: int, separators: tuple[str, str], end: str) -> None:
    choice = {"index": 0, "delta": {"content": 'the "usage": null, of it'}}
    filtered: dict[str, Any] = {"choices": [], "prompt_filter_results": []}
    null, usage = {"usage": None}, {"usage": wire.CHAT_USAGE}
    sent = _sent(
        filtered | null,
        {"id": "c"} | null | {"choices": [choice], "obfuscation": "x"},
        null | {"choices": [choice]},
        {"choices": [choice]} | usage,
        {"choices": []} | usage,
        separators=separators,
        end=end,
    )
    wanted = _sent(
        filtered,
        {"id": "c", "choices": [choice], "obfuscation": "x"},
        {"choices": [choice]},
        {"choices": [choice]} | usage,
        separators=separators,
        end=end,
    )
    seen: list[Any] = []
    eraser = UsageEraser(seen.append)
    comment = f": ping{end}".encode()
    pieces = cut_into(comment + sent + b"data: [DONE]\n\ndata: {", size)
    assert b"".join(map(eraser.take, pieces)) == comment + wanted + b"data: [DONE]\n\n"
    assert (eraser.rest(), eraser.rest()) == (b"data: {", b"")
    assert [chunk["usage"] for chunk in seen] == [wire.CHAT_USAGE]
