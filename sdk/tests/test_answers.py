"""Looking into answers: a usage object is what the provider sent, whoever holds it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import stainless_wire as wire
from anthropic.types import Message
from openai import BaseModel
from openai._models import construct_type
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseUsage
from recorder import Recorder

from fluxgate_sdk.calls import Call
from fluxgate_sdk.providers._answers import fields_of, sent_usage
from fluxgate_sdk.providers._anthropic_readers import MessageReader
from fluxgate_sdk.providers._openai_readers import ChatReader, ResponseReader


class Listed(BaseModel):
    input_tokens: int
    parts: list[CompletionUsage]


PART = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (CompletionUsage, wire.CHAT_USAGE),
        (CompletionUsage, PART),
        (CompletionUsage, PART | {"prompt_tokens_details": None}),
        (
            CompletionUsage,
            PART | {"queue_time": 0.5, "unknown": {"deep": [1]}, "prompt_tokens_details": {"new_tokens": 1}},
        ),
        (ResponseUsage, wire.RESPONSE_USAGE),
        (Listed, {"input_tokens": 3, "parts": [PART, PART]}),
    ],
)
def test_a_usage_object_is_what_was_sent(cls: Any, said: dict[str, Any]) -> None:
    model: Any = construct_type(type_=cls, value=said)
    assert sent_usage(model) == said == sent_usage(said)
    assert sent_usage(model) == model.to_dict(mode="json")


def test_it_is_a_copy() -> None:
    model: Any = construct_type(type_=CompletionUsage, value=PART | {"unknown": {"deep": [1]}})
    sent: Any = sent_usage(model)
    model.unknown["deep"].append(2)
    model.prompt_tokens = 9
    assert sent == PART | {"unknown": {"deep": [1]}}


@pytest.mark.parametrize(
    "said",
    [
        PART | {"prompt_tokens": -1},
        PART | {"prompt_tokens_details": "none"},
        PART | {"prompt_tokens_details": {"cached_tokens": [3]}},
        PART | {"completion_tokens": 2.5},
    ],
)
def test_what_the_server_would_refuse_is_not_sent(said: dict[str, Any]) -> None:
    assert sent_usage(construct_type(type_=CompletionUsage, value=said)) is None
    assert sent_usage(said) is None


@pytest.mark.parametrize("nothing", [None, "text", 3, object()])
def test_what_has_no_fields(nothing: object) -> None:
    assert sent_usage(nothing) is None
    assert fields_of(nothing) == {}


NOTED = [
    pytest.param(ChatReader, "openai", ChatCompletion, wire.chat_completion(), "choices", id="chat"),
    pytest.param(ResponseReader, "openai", Response, wire.response(), "output", id="response"),
    pytest.param(MessageReader, "anthropic", Message, wire.message(), "content", id="message"),
]


@pytest.mark.parametrize(("reader", "provider", "cls", "said", "content"), NOTED)
def test_notes_are_of_the_moment(reader: Any, provider: str, cls: Any, said: dict[str, Any], content: str) -> None:
    model = cls.construct(**said)
    read, notes = reader(provider, {"model": "asked"}).note(model)
    for name, value in vars(model.usage).items():
        if type(value) is int:
            setattr(model.usage, name, value + 1000)
    model.id = model.model = "mine"
    reading = reader(provider, {"model": "asked"})
    reading.whole(said)
    assert read(notes) == reading.reading


@pytest.mark.parametrize(("reader", "provider", "cls", "said", "content"), NOTED)
def test_notes_hold_no_content(reader: Any, provider: str, cls: Any, said: dict[str, Any], content: str) -> None:
    model, recorder = cls.construct(**said), Recorder()
    kept = [weakref.ref(it) for it in (model, *getattr(model, content))]
    Call(recorder, provider, None, {}).finish(reader(provider, {}).note(model))
    del model
    gc.collect()
    assert [ref() for ref in kept] == [None, None]
    assert recorder.only["usage"]["provider_usage"]


def test_an_answer_that_notes_cannot_hold_is_read_at_once() -> None:
    model: Any = ChatCompletion.construct(**wire.chat_completion())
    model.usage = construct_type(type_=Listed, value={"input_tokens": 3, "parts": [PART]})
    reading: Any = ChatReader("openai", {}).note(model)
    assert (reading.input_tokens, reading.stop_reason) == (3, "stop")
