"""`usage_of`: the same counters from whatever a provider's package or interface calls them."""

from __future__ import annotations

from typing import Any

import pytest
import stainless_wire as wire
from anthropic.types import Usage as MessageUsage
from google.genai import types
from loopback import gemini_usage
from openai.types import CompletionUsage
from recorder import Recorder

from fluxgate_sdk import usage_of
from fluxgate_sdk.custom import Tracker

REALTIME = {
    "total_tokens": 120,
    "input_tokens": 100,
    "output_tokens": 20,
    "input_token_details": {"cached_tokens": 40, "text_tokens": 60, "audio_tokens": 40},
    "output_token_details": {"text_tokens": 5, "audio_tokens": 15},
}
LIVE = {"promptTokenCount": 100, "responseTokenCount": 12, "thoughtsTokenCount": 8, "cachedContentTokenCount": 40}
CONTENT = gemini_usage(93, 12, 8, toolUsePromptTokenCount=7, cachedContentTokenCount=40)
INTERACTION = {
    "total_input_tokens": 100,
    "total_output_tokens": 12,
    "total_thought_tokens": 8,
    "total_cached_tokens": 40,
    "total_tokens": 120,
}
COUNTED = {"input_tokens": 100, "output_tokens": 20, "cached_tokens": 40}
THOUGHT = COUNTED | {"reasoning_tokens": 8}
WRITTEN = THOUGHT | {"cache_write_tokens": 30, "cache_write_1h_tokens": 10}


@pytest.mark.parametrize(
    ("said", "counters"),
    [
        (wire.CHAT_USAGE, THOUGHT),
        (CompletionUsage.model_validate(wire.CHAT_USAGE), THOUGHT),
        (wire.RESPONSE_USAGE, THOUGHT),
        (wire.IMAGE_USAGE, {"input_tokens": 100, "output_tokens": 20}),
        (REALTIME, COUNTED),
        (wire.MESSAGE_USAGE, WRITTEN),
        (MessageUsage.model_validate(wire.MESSAGE_USAGE), WRITTEN),
        ({"input_tokens": 3, "output_tokens": 2}, {"input_tokens": 3, "output_tokens": 2}),
        (CONTENT, THOUGHT),
        (types.GenerateContentResponseUsageMetadata.model_validate(CONTENT), THOUGHT),
        (LIVE, THOUGHT),
        (types.UsageMetadata.model_validate(LIVE), THOUGHT),
        (types.UsageMetadata.model_validate(LIVE).model_dump(), THOUGHT),
        (INTERACTION, THOUGHT),
        (None, {}),
        ({}, {}),
        ({"seconds": 12}, {}),
        ("100 tokens", {}),
        ({"input_tokens": "100", "output_tokens": None}, {}),
    ],
)
def test_the_counters(said: Any, counters: dict[str, int]) -> None:
    assert usage_of(said) == counters


def test_in_a_block() -> None:
    recorder = Recorder()
    with Tracker(recorder, "openai", "gpt-realtime", {}) as call:
        call.usage(**usage_of(REALTIME))
    assert {name: recorder.only["usage"].get(name) for name in COUNTED} == COUNTED
