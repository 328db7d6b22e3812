"""The Python SDK with the providers' own packages, from the call to the page that shows it.

The providers are loopback servers that speak their wire formats; FluxGate is the real server. What a page shows is
compared with what the provider said, by hand-made figures: the reader's path through the product, and nobody's memory.
"""

import asyncio
import http.cookiejar
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any, Final

import anthropic
import openai
import pytest
from fluxgate_sdk import (
    CostTrackingResponse,
    FluxGate,
    create_anthropic_cost_tracker,
    create_gemini_cost_tracker,
    create_openai_cost_tracker,
    tracking_of,
)
from google import genai
from google.genai import errors, types
from loopback import (
    Loopback,
    Reply,
    gemini_content,
    gemini_error,
    gemini_stream,
    gemini_usage,
    json_reply,
    shared_tls_context,
    sse_reply,
)

from tests.real_server import RealServer, started_once

pytestmark = pytest.mark.xdist_group("server")

GPT, CLAUDE, GEMINI = "gpt-4o-2024-08-06", "claude-haiku-4-5-20251001", "gemini-2.5-flash"
PASSWORD: Final = "a long enough password"

# What the providers answer.

CHAT_USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 350,
    "total_tokens": 1550,
    "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
RESPONSE_USAGE = {
    "input_tokens": 75,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 1186,
    "output_tokens_details": {"reasoning_tokens": 1024},
    "total_tokens": 1261,
}
VECTOR_USAGE = {"prompt_tokens": 8, "total_tokens": 8}
MESSAGE_USAGE = {
    "input_tokens": 100,
    "cache_creation_input_tokens": 300,
    "cache_read_input_tokens": 1000,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 50,
    "service_tier": "standard",
}
CONTENT_USAGE = gemini_usage(2000, 20, 30, toolUsePromptTokenCount=7, cachedContentTokenCount=400, serviceTier="flex")
INTERACTION_USAGE = {"total_input_tokens": 10, "total_output_tokens": 4, "total_thought_tokens": 6, "total_tokens": 20}


def completion(**more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": GPT,
        "choices": [choice],
        "usage": CHAT_USAGE,
        **more,
    }


def completion_stream() -> Reply:
    def chunk(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return completion(object="chat.completion.chunk", choices=choices, usage=None) | more

    texts = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in ("Hel", "lo")]
    ended: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "length"}
    events = [*(chunk([choice]) for choice in [*texts, ended]), chunk([], usage=CHAT_USAGE)]
    return sse_reply(events, last="[DONE]")


def response() -> dict[str, Any]:
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "o3-2025-04-16",
        "status": "completed",
        "service_tier": "flex",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSE_USAGE,
    }


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": MESSAGE_USAGE,
        **more,
    }


def message_stream() -> Reply:
    begun = message(content=[], stop_reason=None, usage=MESSAGE_USAGE | {"output_tokens": 1})
    text = {"type": "text_delta", "text": "Hello"}
    ended = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 50}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": text},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", **ended},
        {"type": "message_stop"},
    ]
    return sse_reply([(event["type"], event) for event in events])


def batch() -> dict[str, Any]:
    results = [{"response": gemini_content(usage=gemini_usage(500, 60)), "metadata": {"key": "row-1"}}]
    about = {"model": f"models/{GEMINI}", "state": "BATCH_STATE_SUCCEEDED"}
    output = {"inlinedResponses": {"inlinedResponses": results}}
    return {"name": "batches/b1", "metadata": {**about, "output": output}}


# What is called, and what a reader of the page is to find.


@dataclass(frozen=True)
class Tokens:
    """As the receipt parts them."""

    fresh: int = 0
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        return self.fresh + self.cached + self.written + self.written_1h

    @property
    def answer(self) -> int:
        return self.output + self.reasoning

    def by_item(self) -> dict[str, int]:
        """By the words of the receipt, which has no line for nothing."""
        items = (
            "Input tokens",
            "Cached input",
            "Cache write",
            "Cache write, 1 hour",
            "Output tokens",
            "Reasoning tokens",
        )
        counts = (self.fresh, self.cached, self.written, self.written_1h, self.output, self.reasoning)
        return {item: count for item, count in zip(items, counts, strict=True) if count}


@dataclass(frozen=True)
class Made:
    """One call. `feature` is its own, so that its row can be found; `usage` is what the provider reported."""

    feature: str
    model: str
    reply: Reply
    call: Callable[["Clients"], Any]
    tokens: Tokens = Tokens()
    usage: Mapping[str, Any] | None = None
    status: str = "Succeeded"
    tier: str = "standard"
    is_timed: bool = True
    carries_tracking: bool = True
    raises: type[Exception] | None = None

    @property
    def provider(self) -> str:
        return {"gemini": "google"}.get(self.feature.split("-")[0], self.feature.split("-")[0])


class Clients:
    """The providers' clients, tracked, in the context of one feature."""

    def __init__(self, fluxgate: FluxGate, loopback: Loopback, feature: str) -> None:
        self._context: Any = {"feature": feature, "user": {"id": "user-1", "name": "A User"}, "session_id": "s-1"}
        self._fluxgate = fluxgate
        self._url = loopback.url

    @property
    def openai(self) -> Any:
        client = openai.OpenAI(api_key="k", base_url=self._url, max_retries=0)
        return create_openai_cost_tracker(client, self._fluxgate).with_context(**self._context)

    @property
    def anthropic(self) -> Any:
        client = anthropic.Anthropic(api_key="k", base_url=self._url, max_retries=0)
        return create_anthropic_cost_tracker(client, self._fluxgate).with_context(**self._context)

    @property
    def gemini(self) -> Any:
        options = types.HttpOptions(base_url=self._url)
        client = genai.Client(api_key="k", http_options=options)
        return create_gemini_cost_tracker(client, self._fluxgate).with_context(**self._context)

    def async_openai(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            async with openai.AsyncOpenAI(api_key="k", base_url=self._url, max_retries=0) as client:
                return await ask(create_openai_cost_tracker(client, self._fluxgate).with_context(**self._context))

        return asyncio.run(asked())

    def async_anthropic(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            async with anthropic.AsyncAnthropic(api_key="k", base_url=self._url, max_retries=0) as client:
                return await ask(create_anthropic_cost_tracker(client, self._fluxgate).with_context(**self._context))

        return asyncio.run(asked())

    def async_gemini(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        async def asked() -> Any:
            async with self.gemini.aio as client:
                return await ask(client)

        return asyncio.run(asked())


SAY: Any = [{"role": "user", "content": "Say hello"}]
CHAT = Tokens(fresh=200, cached=1000, output=350)
MESSAGE = Tokens(fresh=100, cached=1000, written=200, written_1h=100, output=50)


def read_chat_stream(clients: Clients) -> Any:
    with_usage = {"include_usage": True}
    stream = clients.openai.chat.completions.create(
        model="gpt-4o", messages=SAY, stream=True, stream_options=with_usage
    )
    assert [chunk.usage for chunk in stream][-1].total_tokens == 1550
    return stream


def read_message_stream(clients: Clients) -> Any:
    with clients.anthropic.messages.stream(model=CLAUDE, max_tokens=64, messages=SAY) as stream:
        assert "".join(stream.text_stream) == "Hello"
        return stream.get_final_message() and stream


def read_content_stream(clients: Clients) -> Any:
    for part in clients.gemini.models.generate_content_stream(model=GEMINI, contents="Say hello"):
        last = part
    return last


CALLS = [
    Made(
        "openai-chat",
        GPT,
        json_reply(completion()),
        lambda to: to.openai.chat.completions.create(model="gpt-4o", messages=SAY),
        CHAT,
        CHAT_USAGE,
    ),
    Made(
        "openai-chat-stream",
        GPT,
        completion_stream(),
        read_chat_stream,
        CHAT,
        CHAT_USAGE,
        status="Stopped at max tokens",
    ),
    Made(
        "openai-responses-async",
        "o3-2025-04-16",
        json_reply(response()),
        lambda to: to.async_openai(lambda client: client.responses.create(model="o3", input="Say hello")),
        Tokens(fresh=75, output=162, reasoning=1024),
        RESPONSE_USAGE,
        tier="flex",
    ),
    Made(
        "openai-embeddings",
        "text-embedding-3-small",
        json_reply(
            {
                "object": "list",
                "model": "text-embedding-3-small",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
                "usage": VECTOR_USAGE,
            }
        ),
        lambda to: to.openai.embeddings.create(model="text-embedding-3-small", input="hi", encoding_format="float"),
        Tokens(fresh=8),
        VECTOR_USAGE,
    ),
    Made(
        "openai-error",
        "gpt-4o",
        json_reply({"error": {"message": "Too fast", "code": "rate_limit_exceeded"}}, 429),
        lambda to: to.openai.chat.completions.create(model="gpt-4o", messages=SAY),
        status="Error",
        carries_tracking=False,
        raises=openai.RateLimitError,
    ),
    Made(
        "anthropic-messages",
        CLAUDE,
        json_reply(message()),
        lambda to: to.anthropic.messages.create(model=CLAUDE, max_tokens=64, messages=SAY),
        MESSAGE,
        MESSAGE_USAGE,
    ),
    Made("anthropic-stream", CLAUDE, message_stream(), read_message_stream, MESSAGE, MESSAGE_USAGE),
    Made(
        "anthropic-async",
        CLAUDE,
        json_reply(message(stop_reason="refusal")),
        lambda to: to.async_anthropic(lambda client: client.messages.create(model=CLAUDE, max_tokens=64, messages=SAY)),
        MESSAGE,
        MESSAGE_USAGE,
        status="Blocked",
    ),
    Made(
        "gemini-content",
        GEMINI,
        json_reply(gemini_content(usage=CONTENT_USAGE)),
        lambda to: to.gemini.models.generate_content(model=GEMINI, contents="Say hello"),
        Tokens(fresh=1607, cached=400, output=20, reasoning=30),
        CONTENT_USAGE,
        tier="flex",
    ),
    Made(
        "gemini-stream",
        GEMINI,
        gemini_stream(usage=gemini_usage(100, 20, 30)),
        read_content_stream,
        Tokens(fresh=100, output=20, reasoning=30),
        gemini_usage(100, 20, 30),
    ),
    Made(
        "gemini-async-chat",
        GEMINI,
        json_reply(gemini_content(finish="SAFETY", usage=gemini_usage(9, 1))),
        lambda to: to.async_gemini(lambda client: client.chats.create(model=GEMINI).send_message("Say hello")),
        Tokens(fresh=9, output=1),
        gemini_usage(9, 1),
        status="Content filter",
    ),
    Made(
        "gemini-embeddings",
        "gemini-embedding-001",
        json_reply({"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 8}}),
        lambda to: to.gemini.models.embed_content(model="gemini-embedding-001", contents=["hi"]),
        Tokens(fresh=8),
        {"promptTokenCount": 8},
    ),
    Made(
        "gemini-interaction",
        GEMINI,
        json_reply({"id": "int_1", "status": "completed", "model": GEMINI, "steps": [], "usage": INTERACTION_USAGE}),
        lambda to: to.gemini.interactions.create(model=GEMINI, input="Say hello"),
        Tokens(fresh=10, output=4, reasoning=6),
    ),
    Made(
        "gemini-batch",
        GEMINI,
        json_reply(batch()),
        lambda to: to.gemini.batches.get(name="batches/b1") and None,
        Tokens(fresh=500, output=60),
        gemini_usage(500, 60),
        tier="batch",
        is_timed=False,
        carries_tracking=False,
    ),
    Made(
        "gemini-error",
        GEMINI,
        gemini_error(429),
        lambda to: to.gemini.models.generate_content(model=GEMINI, contents="Say hello"),
        status="Error",
        carries_tracking=False,
        raises=errors.ClientError,
    ),
]
"""In the order in which they are made; every one is one request at its provider."""


@dataclass(frozen=True)
class Reader:
    """A person who is signed in, by cookies alone."""

    server: RealServer
    opener: urllib.request.OpenerDirector

    def page(self, path: str) -> str:
        with self.opener.open(self.server.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    @classmethod
    def signed_in(cls, server: RealServer, email: str) -> "Reader":
        cookies = http.cookiejar.CookieJar()
        reader = cls(server, urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies)))
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', reader.page("/sign-in/"))
        assert token is not None
        form = {"username": email, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        sent = urllib.parse.urlencode(form).encode()
        with reader.opener.open(urllib.request.Request(f"{server.url}/sign-in/", sent), timeout=30) as answer:
            assert "/sign-in/" not in answer.url, "not signed in"
        return reader


class Markup(HTMLParser):
    """Tables as rows of cells with their titles, definition lists as pairs, preformatted texts by their labels."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.titles: list[list[str]] = []
        self.facts: dict[str, str] = {}
        self.raw: dict[str, str] = {}
        self._texts: list[str] = []
        self._term = ""
        self._label = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "tr":
            self.rows.append([])
            self.titles.append([])
        if tag in ("th", "td"):
            self.titles[-1].append(told.get("title") or "")
        if tag in ("th", "td", "dt", "dd", "pre"):
            self._texts = []
            self._label = told.get("aria-label") or ""

    def handle_endtag(self, tag: str) -> None:
        text = " ".join("".join(self._texts).split())
        if tag in ("th", "td"):
            self.rows[-1].append(text)
        elif tag == "dt":
            self._term = text
        elif tag == "dd":
            self.facts[self._term] = text
        elif tag == "pre":
            self.raw[self._label] = "".join(self._texts)

    def handle_data(self, data: str) -> None:
        self._texts.append(data)


@dataclass(frozen=True)
class Row:
    """One request in the list: its id, its cells by their heads, and the exact cost behind the rounded one."""

    id: str
    cells: Mapping[str, str]
    cost: Decimal


@dataclass(frozen=True)
class World:
    """What there is after all calls: the list's rows by feature, what the calls' answers carry, and a reader."""

    reader: Reader
    fluxgate: FluxGate
    rows: Mapping[str, Row]
    tracked: Mapping[str, CostTrackingResponse | None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = RealServer(started_once(tmp_path_factory.mktemp("sdk") / "var")).start()
    try:
        owner = ("--owner", "owner@acme.example", "--password", PASSWORD)
        server.command("create_organization", "Acme", "--slug", "acme", *owner)
        scopes = ("--scope", "events:write", "--scope", "usage:write")
        key = server.command("create_api_key", "acme", "--name", "sdk", *scopes)
        with (
            FluxGate(key, server.url, timeout=60) as fluxgate,
            Loopback() as loopback,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr("ssl.create_default_context", shared_tls_context)
            tracked = {made.feature: tracking_after(made, fluxgate, loopback) for made in CALLS}
            assert fluxgate.flush(60)
            reader = Reader.signed_in(server, "owner@acme.example")
            yield World(reader, fluxgate, {row.cells["Feature"]: row for row in listed(reader)}, tracked)
    finally:
        server.stop()


def tracking_after(made: Made, fluxgate: FluxGate, loopback: Loopback) -> CostTrackingResponse | None:
    """Make the call; what its answer carries. Every one is one request at its provider."""
    loopback.answer(made.reply)
    clients = Clients(fluxgate, loopback, made.feature)
    if made.raises is None:
        return tracking_of(made.call(clients))
    with pytest.raises(made.raises):
        made.call(clients)
    return None


def listed(reader: Reader) -> Iterator[Row]:
    """The rows of the list of requests."""
    page = reader.page("/requests/")
    ids, table = re.findall(r'class="row-link" href="/requests/(evt_[0-9a-f]+)/"', page), Markup(page)
    head = next(row for row in table.rows if "Feature" in row)
    shown = [(row, titles) for row, titles in zip(table.rows, table.titles, strict=True) if len(row) == len(head)][1:]
    for event_id, (row, titles) in zip(ids, shown, strict=True):
        yield Row(event_id, dict(zip(head, row, strict=True)), usd(titles[head.index("Cost")]))


def usd(text: str) -> Decimal:
    return Decimal(text.replace("$", "").replace(",", ""))


def test_every_call_is_stored_once_and_none_was_refused(world: World) -> None:
    assert sorted(world.rows) == sorted(made.feature for made in CALLS)
    assert len(list(listed(world.reader))) == len(CALLS)
    assert (world.fluxgate.stats.sent, dict(world.fluxgate.stats.dropped)) == (len(CALLS), {})


@pytest.mark.parametrize("made", CALLS, ids=lambda made: made.feature)
def test_the_list_shows_who_and_what(made: Made, world: World) -> None:
    cells = world.rows[made.feature].cells
    assert cells["Time (UTC)"].startswith(made.status)
    assert cells["Model"].startswith(f"{made.provider}/{made.model}")
    assert cells["User"] == "A User"
    assert (cells["Tokens in"], cells["Tokens out"]) == (f"{made.tokens.prompt:,}", f"{made.tokens.answer:,}")
    assert re.fullmatch(r"<?[\d,.]+ (ms|s)" if made.is_timed else "—", cells["Latency"])


@pytest.mark.parametrize("made", CALLS, ids=lambda made: made.feature)
def test_the_receipt_is_the_providers_usage(made: Made, world: World) -> None:
    row = world.rows[made.feature]
    page = Markup(world.reader.page(f"/requests/{row.id}/"))
    _, *lines, total = page.rows
    assert {item: int(usd(tokens)) for item, tokens, _, _ in lines} == made.tokens.by_item()
    for _, tokens, rate, cost in lines:
        assert usd(cost) == usd(tokens) * usd(rate) / 10**6
    assert usd(total[-1]) == row.cost == sum(usd(cost) for *_, cost in lines)
    assert (row.cost > 0) == bool(made.tokens.by_item())
    assert (page.facts["User"], page.facts["Session"]) == ("A User (user-1)", "s-1")
    assert page.facts["Service tier"] == made.tier
    assert json.loads(page.raw.get("Provider usage", "null")) == made.usage


@pytest.mark.parametrize("made", CALLS, ids=lambda made: made.feature)
def test_the_answer_knows_its_cost(made: Made, world: World) -> None:
    tracking, row = world.tracked[made.feature], world.rows[made.feature]
    if made.carries_tracking:
        assert tracking is not None
        assert (tracking.tracking_id, tracking.cost, tracking.status) == (row.id, row.cost, "SUCCESS")
    else:
        assert tracking is None


MAKE_METER = """
from datetime import date
from events.models import Organization
from metering.models import Meter, MeterRate
meter = Meter.objects.create(organization=Organization.objects.get(), name="Documents", unit="documents")
MeterRate.objects.create(meter=meter, effective_from=date(2020, 1, 1), unit_price_usd="0.4")
print(meter.token)
"""


def test_metered_usage_of_the_same_user_is_stored_once_and_meets_its_cost(world: World) -> None:
    token = world.reader.server.command("shell", "-v0", "-c", MAKE_METER)
    answers = [world.fluxgate.track_usage(token, "user-1", Decimal("2.500000001"), "once") for _ in range(2)]
    assert world.fluxgate.flush(60)
    assert {answer.status for answer in answers} == {"SUCCESS"}
    assert len({answer.tracking_id for answer in answers}) == 1
    (customer,) = (row for row in Markup(world.reader.page("/customers/")).rows if row[0].startswith("A User"))
    assert customer[1:3] == ["1", "$1.00"]
    assert int(customer[5]) == len(CALLS)
    used = Markup(world.reader.page("/usage/")).rows
    assert any("2.500000001 documents" in row for row in used)
