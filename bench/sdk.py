"""P15: what tracking adds to a program's own thread for a call, a chunk, an event of its own; and its memory.

The client is of the real openai package, once plain and once tracked, in turns of one process. For what tracking adds,
it is `request` that is called; it answers at once, and the delivery works between the rounds: what remains is the
tracking's own work, with warm caches. The `whole` ones are calls over a transport in memory, with all that the package
itself does for one, and with the delivery beside them. Events go to a server in another process. Times are processor
time of the calling thread: other work on the machine does not count, but slows that too. `elapsed` ones are by the wall
clock and have all of it in them.
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
from fluxgate_sdk import FluxGate, create_openai_cost_tracker
from openai import OpenAI, Stream
from openai._models import FinalRequestOptions
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from bench.report import report

CALLS = 3_000
ROUND = 50
"""Fewer calls than make a batch."""
PAUSE_SECONDS = 0.0005
"""Between two events: even so, a thousand times the traffic of a busy program."""
EVENTS = 5_000
STREAMS = 60
CHUNKS = 500
QUEUED = 10_000
PLAIN, TRACKED = "plain", "tracked"

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}],
    "usage": {
        "prompt_tokens": 1200,
        "completion_tokens": 350,
        "total_tokens": 1550,
        "prompt_tokens_details": {"cached_tokens": 1000},
    },
}
RECORDED: dict[str, Any] = {
    "usage": {
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": 1200,
        "output_tokens": 350,
        "latency_in_ms": 1.5,
    },
    "metadata": {"feature": "chat-assistant", "user": "user-123"},
}
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import gzip
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        events = json.loads(gzip.decompress(body) if self.headers["Content-Encoding"] else body)["events"]
        result = {"id": "evt_1", "createdAt": "2026-05-05T10:00:00Z", "cost": 0.00525, "status": "SUCCESS"}
        answer = json.dumps({"results": [result] * len(events)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()
    def log_message(self, *arguments): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def main() -> int:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        with FluxGate("org_live_bench", f"http://127.0.0.1:{server.stdout.readline().strip()}") as fluxgate:
            _measure(fluxgate)
    finally:
        server.terminate()
        server.wait()
    return 0


def _measure(fluxgate: FluxGate) -> None:
    figures = {**_added_by_tracking(fluxgate), **_of_whole_calls(fluxgate), **_of_events(fluxgate), **_while_away()}
    figures["full_queue_rss_mib"] = _memory_of_a_full_queue()
    limits = {
        "call_added_median_us": "≤ 15",
        "call_added_p99_us": "≤ 100",
        "chunk_added_us": "≤ 0.5",
        "event_p99_us": "≤ 100",
        "event_elapsed_p99_us": "≤ 100 on an idle machine",
        "away_event_elapsed_p99_us": "as before",
        "full_queue_rss_mib": "≤ 10",
    }
    rows = [(name, f"{figure:.2f}", limits.get(name, "")) for name, figure in figures.items()]
    rows.append(("events sent, dropped", f"{fluxgate.stats.sent:,}", str(dict(fluxgate.stats.dropped))))
    report("sdk", "What the SDK adds on the caller's thread", ("what", "figure", "limit"), rows, figures)


def _added_by_tracking(fluxgate: FluxGate) -> dict[str, float]:
    client = Answering(api_key="none")
    tracked = _tracked(client, fluxgate)

    def deliver() -> None:
        fluxgate.flush(30)

    def request(client: Any) -> None:
        client.request(ChatCompletion, OPTIONS)

    def read(client: Any) -> None:
        for _ in client.request(ChatCompletionChunk, STREAM_OPTIONS, stream=True, stream_cls=Parsed):
            pass

    calls = _calls({PLAIN: lambda: request(client), TRACKED: lambda: request(tracked)}, CALLS, deliver)
    streams = _calls({PLAIN: lambda: read(client), TRACKED: lambda: read(tracked)}, STREAMS, deliver)
    added = _added(calls)
    return {
        "call_added_median_us": added,
        "call_added_p99_us": _p99(calls[TRACKED]) - _p99(calls[PLAIN]),
        # What a stream costs once, beginning and end, is what a call costs; the rest is for its chunks.
        "chunk_added_us": (_added(streams) - added) / CHUNKS,
    }


def _of_whole_calls(fluxgate: FluxGate) -> dict[str, float]:
    client = OpenAI(api_key="none", http_client=httpx2.Client(transport=httpx2.MockTransport(_answered)))
    tracked = _tracked(client, fluxgate)
    calls = _calls({PLAIN: lambda: _chat(client), TRACKED: lambda: _chat(tracked)}, CALLS)
    streams = _calls({PLAIN: lambda: _stream(client), TRACKED: lambda: _stream(tracked)}, STREAMS)
    fluxgate.flush(30)
    call, stream = statistics.median(calls[PLAIN]), statistics.median(streams[PLAIN])
    return {
        "whole_call_us": call,
        "whole_call_added_us": _added(calls),
        "whole_call_added_share": _added(calls) / call,
        "whole_chunk_us": stream / CHUNKS,
        "whole_chunk_added_share": _added(streams) / stream,
    }


def _of_events(fluxgate: FluxGate) -> dict[str, float]:
    took, waited = _events(fluxgate, time.thread_time_ns), _events(fluxgate, time.perf_counter_ns)
    fluxgate.flush(30)
    return {
        "event_median_us": statistics.median(took),
        "event_p99_us": _p99(took),
        "event_elapsed_median_us": statistics.median(waited),
        "event_elapsed_p99_us": _p99(waited),
    }


def _while_away() -> dict[str, float]:
    """Handing over events while no server is there: they wait in memory, and nobody waits for them."""
    fluxgate = FluxGate("org_live_bench", "http://127.0.0.1:9")
    waited = _events(fluxgate, time.perf_counter_ns)
    assert (fluxgate.stats.pending, fluxgate.stats.dropped) == (EVENTS, {})
    fluxgate.close(0)
    return {"away_event_elapsed_median_us": statistics.median(waited), "away_event_elapsed_p99_us": _p99(waited)}


def _tracked(client: OpenAI, fluxgate: FluxGate) -> OpenAI:
    return create_openai_cost_tracker(client, fluxgate).with_context(feature="chat", user="user-123")


class Answering(OpenAI):
    """Answers every request at once, with what the package has made of an answer before."""

    def request(self, cast_to: Any, options: Any, **how: Any) -> Any:
        if not how.get("stream"):
            return PARSED
        return Parsed(cast_to=cast_to, response=httpx2.Response(200, stream=httpx2.ByteStream(b"")), client=self)


class Parsed(Stream[Any]):
    """A stream of parts that have been parsed before."""

    def __stream__(self) -> Iterator[Any]:
        yield from PARSED_CHUNKS


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def _added(took: dict[str, list[float]]) -> float:
    """The median of what a tracked one took longer than the plain one that ran beside it."""
    return statistics.median(tracked - plain for plain, tracked in zip(took[PLAIN], took[TRACKED], strict=True))


def _calls(
    kinds: dict[str, Callable[[], None]], times: int, between: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Microseconds of each call, by kind, in turns; each kind goes first every other time. `between` the rounds."""
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    turns = list(kinds.items())
    for number in range(times):
        if number % ROUND == 0:
            between()
            for kind in kinds.values():
                kind()
        for name, call in turns:
            took[name].append(_microseconds(call))
        turns.reverse()
    return took


def _events(fluxgate: FluxGate, clock: Callable[[], int]) -> list[float]:
    """Microseconds of handing over one event, while the delivery is at work beside it."""
    took = []
    for _ in range(EVENTS):
        took.append(_microseconds(lambda: fluxgate.enqueue(RECORDED), clock))
        time.sleep(PAUSE_SECONDS)
    return took


def _microseconds(call: Callable[[], object], clock: Callable[[], int] = time.thread_time_ns) -> float:
    started = clock()
    call()
    return (clock() - started) / 1000


def _chat(client: OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])


def _stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for _ in stream:
        pass


def _answered(request: httpx2.Request) -> httpx2.Response:
    if not json.loads(request.content).get("stream"):
        return httpx2.Response(200, json=ANSWER)
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=httpx2.ByteStream(STREAMED))


def _chunks() -> list[dict[str, Any]]:
    chunk: dict[str, Any] = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    chunks = [chunk | {"choices": [choice], "usage": None} for _ in range(CHUNKS - 1)]
    chunks.append(chunk | {"choices": [], "usage": ANSWER["usage"]})
    return chunks


STREAMED = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in _chunks()) + b"data: [DONE]\n\n"
ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
OPTIONS = FinalRequestOptions(method="post", url="/chat/completions", json_data=ASKED)
STREAM_OPTIONS = FinalRequestOptions(
    method="post",
    url="/chat/completions",
    json_data=ASKED | {"stream": True, "stream_options": {"include_usage": True}},
)
PARSED = ChatCompletion.model_validate(ANSWER)
PARSED_CHUNKS = [ChatCompletionChunk.model_validate(chunk) for chunk in _chunks()]


def _memory_of_a_full_queue() -> float:
    """MiB by which a process of its own grows with 10,000 events that nobody takes."""
    program = f"""
import gc, time
from fluxgate_sdk import FluxGate
def rss():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * {os.sysconf("SC_PAGE_SIZE")}
fluxgate = FluxGate("org_live_bench", "http://127.0.0.1:9")
fluxgate.enqueue({RECORDED!r}).wait(0.5)
before = rss()
for _ in range({QUEUED}):
    fluxgate.enqueue({RECORDED!r})
    if _ % 100 == 0: time.sleep(0.002)
time.sleep(0.5)
print((rss() - before) / 2**20)
assert fluxgate.stats.pending >= {QUEUED}, fluxgate.stats
fluxgate.close(0)
"""
    path = Path(__file__).resolve().parent.parent / "sdk" / "src"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    gc.collect()
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
