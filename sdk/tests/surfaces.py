"""The ways to make a billable call with OpenAI's and Anthropic's packages, each with what the provider answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import stainless_wire as wire
from drivers import (
    Driver,
    dropped,
    helper,
    plain,
    raw,
    raw_stream,
    stream,
    streaming_response,
    streaming_response_bytes,
    streaming_response_parsed,
    turn,
    turn_stream,
)
from loopback import Reply, json_reply
from openai.types.chat import ChatCompletion

MESSAGES: Any = [{"role": "user", "content": "Hi"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
ASK: dict[str, Any] = {"model": "gpt-5", "input": "Hi"}
CLAUDE: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": MESSAGES}
THREAD: dict[str, Any] = {"model": "claude-test", "max_tokens": 10}
SOUND: dict[str, Any] = {"model": "gpt-4o-transcribe", "file": ("a.wav", b"RIFF")}
SPEECH: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
DRAW: dict[str, Any] = {"model": "gpt-image-1", "prompt": "a cat"}


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


def _edit(client: Any, **more: Any) -> Any:
    return client.images.edit(**DRAW, image=("a.png", b"PNG"), **more)


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
    _response(
        "responses streaming stream",
        streaming_response_parsed(lambda c: c.responses.with_streaming_response.create(**ASK, stream=True)),
        is_parted=True,
    ),
    _response("responses compact raw", raw(lambda c: c.responses.with_raw_response.compact(**ASK))),
    _response("responses compact", plain(lambda c: c.responses.compact(**ASK))),
    _response("beta responses", plain(lambda c: c.beta.responses.create(**ASK))),
    _response("beta responses raw", raw(lambda c: c.beta.responses.with_raw_response.create(**ASK))),
    _response("beta responses stream", stream(lambda c: c.beta.responses.create(**ASK, stream=True)), is_parted=True),
    _openai(
        "decisions",
        plain(lambda c: c.decisions.create(**ASK, questions=[])),
        {"id": "d", "object": "decision", "model": "gpt-5", "usage": wire.RESPONSE_USAGE},
    ),
    _openai("completions", plain(lambda c: c.completions.create(model="m", prompt="Hi")), wire.text_completion()),
    _openai("completions raw", raw(lambda c: c.completions.with_raw_response.create(model="m", prompt="Hi")),
            wire.text_completion()),
    Surface(
        "completions stream",
        stream(lambda c: c.completions.create(model="m", prompt="Hi", stream=True)),
        wire.text_stream,
        is_parted=True,
    ),
    _openai("embeddings", plain(lambda c: c.embeddings.create(model="m", input="Hi")), wire.embeddings(), (100, 0)),
    _openai("embeddings raw", raw(lambda c: c.embeddings.with_raw_response.create(model="m", input="Hi")),
            wire.embeddings(), (100, 0)),
    _openai("embeddings streaming",
            streaming_response(lambda c: c.embeddings.with_streaming_response.create(model="m", input="Hi")),
            wire.embeddings(), (100, 0)),
    _openai("images raw", raw(lambda c: c.images.with_raw_response.generate(**DRAW)), wire.images()),
    _openai("images variation", plain(lambda c: c.images.create_variation(image=("a.png", b"PNG"))), wire.images()),
    _openai("images", plain(lambda c: c.images.generate(**DRAW)), wire.images()),
    _openai("images edit", plain(_edit), wire.images()),
    Surface(
        "images stream", stream(lambda c: c.images.generate(**DRAW, stream=True)), wire.image_stream, is_parted=True
    ),
    Surface(
        "images edit stream",
        stream(lambda c: _edit(c, stream=True)),
        lambda: wire.image_stream("image_edit"),
        is_parted=True,
    ),
    _openai("transcription raw", raw(lambda c: c.audio.transcriptions.with_raw_response.create(**SOUND)),
            wire.transcription()),
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
    _sound("speech raw", raw(lambda c: c.audio.speech.with_raw_response.create(**SPEECH))),
    _openai("video raw", raw(lambda c: c.videos.with_raw_response.create(model="sora-2", prompt="a cat")),
            wire.video(), (0, 0)),
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
    _claude(
        "beta messages streaming",
        streaming_response(lambda c: c.beta.messages.with_streaming_response.create(**CLAUDE)),
    ),
    _claude(
        "beta messages raw stream",
        raw_stream(lambda c: c.beta.messages.with_raw_response.create(**CLAUDE, stream=True)),
        is_parted=True,
    ),
    _claude(
        "beta messages streaming stream bytes",
        streaming_response_bytes(lambda c: c.beta.messages.with_streaming_response.create(**CLAUDE, stream=True)),
        is_parted=True,
    ),
    _claude(
        "beta messages stream dropped",
        dropped(lambda c: c.beta.messages.create(**CLAUDE, stream=True)),
        is_parted=True,
    ),
    _claude("tool runner", turn(lambda c: c.beta.messages.tool_runner(**CLAUDE, tools=[]))),
    _claude(
        "tool runner stream",
        turn_stream(lambda c: c.beta.messages.tool_runner(**CLAUDE, tools=[], stream=True)),
        is_parted=True,
    ),
    _claude("thread", plain(lambda c: c.beta.messages.thread(**THREAD).send(*MESSAGES))),
    _claude("thread parse", plain(lambda c: c.beta.messages.thread(**THREAD).parse(*MESSAGES))),
    _claude(
        "thread helper",
        helper(lambda c: c.beta.messages.thread(**THREAD).stream(*MESSAGES), "get_final_message"),
        is_parted=True,
    ),
    _claude("beta messages stream", stream(lambda c: c.beta.messages.create(**CLAUDE, stream=True)), is_parted=True),
    _claude(
        "beta messages helper", helper(lambda c: c.beta.messages.stream(**CLAUDE), "get_final_message"), is_parted=True
    ),
]
NEEDS = {
    "responses compact raw": "responses.compact",
    "beta responses raw": "beta.responses.create",
    "beta responses stream": "beta.responses.create",
    "images edit stream": "images.edit(stream)",
    "video raw": "videos.create",
    "thread": "beta.messages.thread",
    "thread parse": "beta.messages.thread",
    "thread helper": "beta.messages.thread",
    "tool runner": "beta.messages.tool_runner",
    "tool runner stream": "beta.messages.tool_runner",
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
