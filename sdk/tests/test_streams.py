"""Following answers in parts, with stand-ins for a provider's package and its HTTP library."""

from __future__ import annotations

import gc
import gzip
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from recorder import Recorder

from fluxgate_sdk import bodies, calls, streams
from fluxgate_sdk.calls import Call
from fluxgate_sdk.providers._openai_readers import ChatReader
from fluxgate_sdk.streams import Verdict, Watch, followed
from fluxgate_sdk.tracking import tracking_of

WORD = {"id": "c", "choices": [{"finish_reason": None}]}
END = {"id": "c", "choices": [{"finish_reason": "stop"}]}
USAGE = {"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


class Response:
    """What `httpx.Response` is to us."""

    def __init__(self, status: int = 200, *, headers: dict[str, str], content: bytes = b"", stream: Any = None) -> None:
        self.headers = headers
        self.is_closed = False
        self.stream = stream
        self.content = gzip.decompress(content) if headers.get("content-encoding") == "gzip" else content

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.stream.close()


class SyncByteStream:
    """A body as the HTTP library has it."""

    elapsed = "1 ms"

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.was_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces

    def close(self) -> None:
        self.was_closed = True


class Stream:
    """What a provider's stream is to us: it closes the response when it ends or fails."""

    def __init__(self, parts: list[Any], response: Response) -> None:
        self.response = response
        self._iterator = self.__stream__(parts)

    def __stream__(self, parts: list[Any]) -> Iterator[Any]:
        try:
            for part in parts:
                if isinstance(part, BaseException):
                    raise part
                yield part
        finally:
            self.response.close()

    def __iter__(self) -> Iterator[Any]:
        return self._iterator

    def close(self) -> None:
        self.response.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def watch_of(recorder: Recorder, **how: Any) -> Watch:
    return Watch(Call(recorder, "openai", "m", {}, streamed=True), ChatReader("openai", {}, **how))


def adopted(recorder: Recorder, parts: list[Any], **how: Any) -> Stream:
    stream = Stream(parts, Response(headers={}, stream=SyncByteStream()))
    streams.adopt(stream, watch_of(recorder, **how), stream.response)
    return stream


def source_of(recorder: Recorder) -> tuple[Any, Any]:
    said = recorder.only["metadata"]
    return said.get("stopReason"), said.get("usageSource")


class TestHoldingBack:
    @pytest.mark.parametrize(
        ("parts", "injected", "seen"),
        [
            ([WORD, END, USAGE], True, [WORD, END]),
            ([WORD, END, USAGE], False, [WORD, END, USAGE]),
            ([WORD, END], True, [WORD, END]),
            ([END, END, USAGE], True, [END, END]),
            ([END, WORD, USAGE], True, [END, WORD]),
            ([USAGE, WORD], True, [WORD]),
            ([], True, []),
        ],
    )
    def test_the_caller_gets_every_part_that_is_his_in_order(
        self, parts: list[Any], injected: bool, seen: list[Any], recorder: Recorder
    ) -> None:
        stream = adopted(recorder, parts, was_injected=injected, expects_usage=True)
        assert list(stream) == seen
        assert len(recorder.events) == 1

    def test_what_is_held_back_comes_before_the_error(self, recorder: Recorder) -> None:
        stream = adopted(recorder, [WORD, END, ValueError("cut")], expects_usage=True)
        assert [next(stream._iterator), next(stream._iterator)] == [WORD, END]
        with pytest.raises(ValueError, match="cut"):
            next(stream._iterator)
        with pytest.raises(StopIteration):
            next(stream._iterator)
        assert recorder.only["metadata"]["errorType"] == "ValueError"

    def test_an_interruption_comes_at_once(self, recorder: Recorder) -> None:
        stream = adopted(recorder, [END, KeyboardInterrupt()], expects_usage=True)
        with pytest.raises(KeyboardInterrupt):
            next(stream._iterator)
        assert recorder.only["metadata"]["errorType"] == "cancelled"


class TestEndingOnce:
    def test_by_its_last_part_before_the_caller_sees_it(self, recorder: Recorder) -> None:
        stream = adopted(recorder, [WORD, END, USAGE])
        parts = iter(stream)
        while next(parts) is not USAGE:
            assert recorder.events == []
        assert (source_of(recorder), tracking_of(stream) is not None) == (("stop", None), True)
        stream.close()
        gc.collect()
        assert len(recorder.events) == 1

    def test_an_error_is_an_error_though_the_response_is_closed_first(self, recorder: Recorder) -> None:
        with pytest.raises(ValueError, match="no"):
            list(adopted(recorder, [WORD, ValueError("no")]))
        assert recorder.only["metadata"]["errorType"] == "ValueError"

    @pytest.mark.parametrize("close", [lambda stream: stream.close(), lambda stream: stream.response.close()])
    def test_by_closing_the_stream_or_its_response(self, close: Any, recorder: Recorder) -> None:
        stream = adopted(recorder, [WORD, WORD, END, USAGE])
        next(stream._iterator)
        close(stream)
        assert source_of(recorder) == ("aborted", "missing")

    @pytest.mark.parametrize("read", [0, 1])
    def test_by_being_dropped(self, read: int, recorder: Recorder) -> None:
        stream: Any = adopted(recorder, [WORD, WORD])
        for _ in range(read):
            next(stream._iterator)
        del stream
        gc.collect()
        assert source_of(recorder) == ("aborted", "missing")

    def test_by_the_end_of_the_program(self, recorder: Recorder) -> None:
        stream = adopted(recorder, [WORD, WORD])
        next(stream._iterator)
        calls.close_live_streams()
        assert source_of(recorder) == ("aborted", "missing")
        assert stream.response.is_closed

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_a_forked_child_leaves_it_to_its_parent(self, recorder: Recorder) -> None:
        stream: Any = adopted(recorder, [WORD, WORD])
        child = os.fork()
        if child == 0:
            stream.close()
            calls.close_live_streams()
            os._exit(len(recorder.events))
        assert os.waitpid(child, 0)[1] == 0
        stream.close()
        assert len(recorder.events) == 1

    def test_a_reader_that_breaks_costs_the_usage_alone(self, recorder: Recorder) -> None:
        stream = adopted(recorder, [{"choices": 7}, END, USAGE])
        assert len(list(stream)) == 3
        assert source_of(recorder) == ("stop", None)

    def test_nothing_is_kept_of_what_passed(self, recorder: Recorder) -> None:
        class Part(dict[str, Any]):
            pass

        passed = followed((Part(WORD) for _ in range(10_000)), watch_of(recorder))
        assert sum(1 for _ in passed) == 10_000
        gc.collect()
        alive = sum(type(found) is Part for found in gc.get_objects())
        assert alive == 0


class TestBodies:
    def watched(self, recorder: Recorder, headers: dict[str, str], *pieces: bytes) -> tuple[Watch, Response]:
        response = Response(headers=headers, stream=SyncByteStream(*pieces))
        watch = watch_of(recorder)
        watch.watch_body(response)
        return watch, response

    def test_the_body_stays_what_it_was(self, recorder: Recorder) -> None:
        inner = SyncByteStream(b"{}")
        response = Response(headers={}, stream=inner)
        watch = watch_of(recorder)
        watch.watch_body(response)
        assert isinstance(response.stream, SyncByteStream)
        assert (list(response.stream), response.stream.elapsed) == ([b"{}"], "1 ms")
        response.close()
        assert inner.was_closed

    @pytest.mark.parametrize("encoding", ["", "gzip"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_bytes_that_the_caller_reads_himself(self, encoding: str, streamed: bool, recorder: Recorder) -> None:
        parts = [WORD, END, USAGE] if streamed else [{**END, "usage": USAGE["usage"]}]
        text = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
        content = text.encode() if streamed else json.dumps(parts[0]).encode()
        content = gzip.compress(content) if encoding else content
        headers = {"content-type": "text/event-stream; charset=utf-8" if streamed else "application/json"}
        _, response = self.watched(recorder, headers | {"content-encoding": encoding}, content[:9], content[9:])
        assert b"".join(response.stream) == content
        response.close()
        assert source_of(recorder) == ("stop", None)
        assert wire_tokens(recorder) == (3, 2)

    def test_too_many_bytes_are_not_kept(self, recorder: Recorder) -> None:
        kept = bodies.Kept(Response(headers={}), most=10)
        for piece in (b"12345", b"67890", b"1"):
            kept.add(piece)
        assert kept.parts() == ([], None)

    def test_a_body_of_an_unknown_kind_stays_as_it_is(self, recorder: Recorder) -> None:
        response = Response(headers={}, stream=object())
        watch_of(recorder).watch_body(response)
        assert type(response.stream) is object


def wire_tokens(recorder: Recorder) -> tuple[int, int]:
    usage = recorder.only["usage"]["provider_usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]


def test_a_verdict_for_every_kind_of_part() -> None:
    reader = ChatReader("openai", {}, was_injected=True, expects_usage=True)
    assert [reader.take(part) for part in (WORD, END, USAGE)] == [Verdict.PASS, Verdict.HOLD, Verdict.SWALLOW]
