"""Usage objects as providers return them, and the tokens that each must be billed for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.costs import Buckets, Usage, buckets_of, normalise
from pricing.provider_usage import read, region_of

JsonObject = dict[str, Any]


def buckets(provider: str, flavor: str, usage: JsonObject) -> Buckets:
    return buckets_of(normalise(Usage(**read(provider, flavor, usage)))[0])


OPENAI_CHAT: JsonObject = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 128,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
OPENAI_RESPONSES: JsonObject = {
    "input_tokens": 5200,
    "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 4096},
    "output_tokens": 900,
    "output_tokens_details": {"reasoning_tokens": 640},
    "total_tokens": 6100,
}
ANTHROPIC: JsonObject = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 556,
    "cache_read_input_tokens": 18_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 393,
    "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
    "service_tier": "standard",
    "inference_geo": "global",
}
CONVERSE: JsonObject = {
    "inputTokens": 50,
    "outputTokens": 100,
    "totalTokens": 2650,
    "cacheReadInputTokens": 2000,
    "cacheWriteInputTokens": 500,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 200}, {"ttl": "5m", "inputTokens": 300}],
}
GEMINI: JsonObject = {
    "promptTokenCount": 1200,
    "cachedContentTokenCount": 1000,
    "candidatesTokenCount": 198,
    "thoughtsTokenCount": 405,
    "toolUsePromptTokenCount": 77,
    "totalTokenCount": 1880,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1200}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 77}],
    "trafficType": "ON_DEMAND",
}
XAI_CHAT: JsonObject = {
    "prompt_tokens": 10_120,
    "completion_tokens": 1499,
    "total_tokens": 14_428,
    "prompt_tokens_details": {"text_tokens": 10_120, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 128},
    "completion_tokens_details": {"reasoning_tokens": 2809, "audio_tokens": 0},
    "num_sources_used": 0,
    "cost_in_usd_ticks": 232_856_000,
}
XAI_RESPONSES: JsonObject = {
    "input_tokens": 32,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 103,
    "output_tokens_details": {"reasoning_tokens": 94},
    "total_tokens": 135,
    "num_sources_used": 0,
    "num_server_side_tools_used": 0,
    "cost_in_usd_ticks": 37_756_000,
}
DEEPSEEK: JsonObject = {
    "prompt_tokens": 16,
    "completion_tokens": 10,
    "total_tokens": 26,
    "prompt_tokens_details": {"cached_tokens": 12},
    "completion_tokens_details": {"reasoning_tokens": 4},
    "prompt_cache_hit_tokens": 12,
    "prompt_cache_miss_tokens": 4,
}
GROQ: JsonObject = {
    "queue_time": 0.037493756,
    "prompt_tokens": 4641,
    "prompt_time": 0.03,
    "completion_tokens": 1817,
    "completion_time": 3.98,
    "total_tokens": 6458,
    "total_time": 4.02,
    "prompt_tokens_details": {"cached_tokens": 4608},
    "completion_tokens_details": {"reasoning_tokens": 1500},
}
MISTRAL: JsonObject = {
    "prompt_tokens": 1013,
    "total_tokens": 1043,
    "completion_tokens": 30,
    "num_cached_tokens": 1008,
    "prompt_tokens_details": {"cached_tokens": 1008},
}

# Buckets: input, cache_read, cache_write_5m, cache_write_1h, output, reasoning.
RECORDED = [
    # OpenAI: the prompt holds cache reads and (from GPT-5.6 on) writes, the completion holds reasoning.
    ("openai", "chat", OPENAI_CHAT, Buckets(86, 1920, 0, 0, 172, 128)),
    (
        "openai",
        "chat",
        {"prompt_tokens": 5200, "completion_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 4096}},
        Buckets(1104, 0, 4096, 0, 9, 0),
    ),
    ("openai", "responses", OPENAI_RESPONSES, Buckets(80, 1024, 4096, 0, 260, 640)),
    ("openai", "embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Buckets(8, 0, 0, 0, 0, 0)),
    ("azure", "chat", OPENAI_CHAT, Buckets(86, 1920, 0, 0, 172, 128)),
    # Anthropic: the input is without cache reads and writes; writes of two lifetimes have two rates.
    ("anthropic", "messages", ANTHROPIC, Buckets(21, 18_000, 456, 100, 393, 0)),
    ("anthropic", "messages", {"input_tokens": 25, "output_tokens": 150}, Buckets(25, 0, 0, 0, 150, 0)),
    (
        "anthropic",
        "messages",
        {"input_tokens": 9, "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}},
        Buckets(9, 0, 0, 0, 20, 30),
    ),
    # A summary written on the way is billed, but stands in the iterations alone.
    (
        "anthropic",
        "messages",
        {
            "input_tokens": 23_000,
            "output_tokens": 1000,
            "iterations": [
                {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500, "cache_read_input_tokens": 7},
                {"type": "message", "input_tokens": 23_000, "output_tokens": 1000},
            ],
        },
        Buckets(203_000, 7, 0, 0, 4500, 0),
    ),
    ("bedrock", "messages", ANTHROPIC, Buckets(21, 18_000, 456, 100, 393, 0)),
    ("aws", "anthropic", ANTHROPIC, Buckets(21, 18_000, 456, 100, 393, 0)),
    ("vertex", "messages", ANTHROPIC, Buckets(21, 18_000, 456, 100, 393, 0)),
    # Converse: the same, though its total holds all of them.
    ("bedrock", "converse", CONVERSE, Buckets(50, 2000, 300, 200, 100, 0)),
    ("amazon-bedrock", "", {"inputTokens": 50, "outputTokens": 100, "totalTokens": 150}, Buckets(50, 0, 0, 0, 100, 0)),
    # Gemini: cached content is inside the prompt; thoughts and the prompts of tools are outside of everything else.
    ("google", "default", GEMINI, Buckets(277, 1000, 0, 0, 198, 405)),
    (
        "gemini",
        "default",
        {
            "prompt_token_count": 20,
            "candidates_token_count": 198,
            "thoughts_token_count": 405,
            "total_token_count": 623,
        },
        Buckets(20, 0, 0, 0, 198, 405),
    ),
    ("google", "default", {"promptTokenCount": 21, "thoughtsTokenCount": 60}, Buckets(21, 0, 0, 0, 0, 60)),
    (
        "google",
        "default",
        {"promptTokenCount": 21, "candidatesTokenCount": 2, "promptTokensDetails": [{"modality": 9}, None, "new"]},
        Buckets(21, 0, 0, 0, 2, 0),
    ),
    # Gemini's OpenAI-compatible interface: only the total knows of the thoughts.
    (
        "google",
        "chat",
        {"prompt_tokens": 20, "completion_tokens": 151, "total_tokens": 553},
        Buckets(20, 0, 0, 0, 151, 382),
    ),
    (
        "google",
        "chat",
        {
            "prompt_tokens": 21,
            "completion_tokens": 0,
            "total_tokens": 81,
            "completion_tokens_details": {"reasoning_tokens": 60},
        },
        Buckets(21, 0, 0, 0, 0, 60),
    ),
    ("google", "chat", {"prompt_tokens": 20, "completion_tokens": 7}, Buckets(20, 0, 0, 0, 7, 0)),
    # xAI's chat: reasoning is outside of the completion; cost_in_usd_ticks of this one agrees.
    ("x-ai", "chat", XAI_CHAT, Buckets(9992, 128, 0, 0, 1499, 2809)),
    ("xai", "chat", XAI_CHAT | {"total_tokens": None}, Buckets(9992, 128, 0, 0, 1499, 2809)),
    # A total that leaves no room for it says that reasoning was inside.
    (
        "xai",
        "chat",
        {
            "prompt_tokens": 500,
            "completion_tokens": 500,
            "total_tokens": 1000,
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
        Buckets(500, 0, 0, 0, 300, 200),
    ),
    # Grok on Azure keeps xAI's rule.
    (
        "azure",
        "chat",
        {
            "prompt_tokens": 12,
            "completion_tokens": 1,
            "total_tokens": 110,
            "completion_tokens_details": {"reasoning_tokens": 97},
        },
        Buckets(12, 0, 0, 0, 1, 97),
    ),
    # xAI's Responses: the opposite rule.
    ("x-ai", "responses", XAI_RESPONSES, Buckets(24, 8, 0, 0, 9, 94)),
    (
        "x-ai",
        "default",
        {"prompt_tokens": 32, "completion_tokens": 9, "reasoning_tokens": 94, "cached_prompt_text_tokens": 6},
        Buckets(26, 6, 0, 0, 9, 94),
    ),
    # DeepSeek, Groq, Mistral: inclusive, like OpenAI.
    ("deepseek", "chat", DEEPSEEK, Buckets(4, 12, 0, 0, 6, 4)),
    (
        "deepseek",
        "chat",
        {"prompt_tokens": 16, "completion_tokens": 10, "prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 4},
        Buckets(4, 12, 0, 0, 10, 0),
    ),
    ("groq", "chat", GROQ, Buckets(33, 4608, 0, 0, 317, 1500)),
    ("mistral", "chat", MISTRAL, Buckets(5, 1008, 0, 0, 30, 0)),
    (
        "mistral",
        "default",
        {"prompt_tokens": 801, "completion_tokens": 2, "num_cached_tokens": 768},
        Buckets(33, 768, 0, 0, 2, 0),
    ),
    # Cohere keeps what it bills one level down.
    (
        "cohere",
        "default",
        {"billed_units": {"input_tokens": 5, "output_tokens": 418}, "tokens": {"input_tokens": 71}},
        Buckets(5, 0, 0, 0, 418, 0),
    ),
]


@pytest.mark.parametrize(("provider", "flavor", "usage", "expected"), RECORDED)
def test_a_recorded_usage_object_is_billed_for_what_the_provider_bills(
    provider: str, flavor: str, usage: JsonObject, expected: Buckets
) -> None:
    assert buckets(provider, flavor, usage) == expected


@pytest.mark.parametrize(
    ("provider", "usage", "expected"),
    [
        ("openai", OPENAI_CHAT, Buckets(86, 1920, 0, 0, 172, 128)),
        ("openai", OPENAI_RESPONSES, Buckets(80, 1024, 4096, 0, 260, 640)),
        ("azure", OPENAI_RESPONSES, Buckets(80, 1024, 4096, 0, 260, 640)),
        ("azure", ANTHROPIC, Buckets(21, 18_000, 456, 100, 393, 0)),
        ("anthropic", ANTHROPIC, Buckets(21, 18_000, 456, 100, 393, 0)),
        ("anthropic", {"input_tokens": 25, "output_tokens": 150}, Buckets(25, 0, 0, 0, 150, 0)),
        ("bedrock", ANTHROPIC, Buckets(21, 18_000, 456, 100, 393, 0)),
        ("google", {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 30}, Buckets(20, 0, 0, 0, 1, 9)),
        ("x-ai", XAI_CHAT, Buckets(9992, 128, 0, 0, 1499, 2809)),
        ("x-ai", XAI_RESPONSES, Buckets(24, 8, 0, 0, 9, 94)),
        ("openrouter", OPENAI_CHAT, Buckets(86, 1920, 0, 0, 172, 128)),
        ("openrouter", OPENAI_RESPONSES, Buckets(80, 1024, 4096, 0, 260, 640)),
        ("deepseek", DEEPSEEK, Buckets(4, 12, 0, 0, 6, 4)),
        ("openai", {"prompt_tokens": 8, "total_tokens": 8}, Buckets(8, 0, 0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("unsaid", ["", "default"])
def test_without_a_flavor_the_keys_of_the_object_tell(
    provider: str, unsaid: str, usage: JsonObject, expected: Buckets
) -> None:
    assert buckets(provider, unsaid, usage) == expected


@pytest.mark.parametrize("spelling", ["anthropic", "Anthropic", " claude ", "anthropic.messages", "ANTHROPIC"])
def test_providers_are_found_under_the_spellings_of_the_price_list(spelling: str) -> None:
    assert buckets(spelling, "messages", ANTHROPIC) == Buckets(21, 18_000, 456, 100, 393, 0)


NULL_DETAILS = [
    ("openai", "chat", OPENAI_CHAT, ("prompt_tokens_details", "completion_tokens_details")),
    ("openai", "responses", OPENAI_RESPONSES, ("input_tokens_details", "output_tokens_details")),
    (
        "anthropic",
        "messages",
        ANTHROPIC,
        ("cache_creation", "cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use", "iterations"),
    ),
    ("bedrock", "converse", CONVERSE, ("cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails")),
    (
        "google",
        "default",
        GEMINI,
        ("cachedContentTokenCount", "thoughtsTokenCount", "promptTokensDetails", "cacheTokensDetails"),
    ),
    ("x-ai", "chat", XAI_CHAT, ("prompt_tokens_details", "completion_tokens_details", "total_tokens")),
    ("groq", "chat", GROQ, ("prompt_tokens_details", "completion_tokens_details")),
    ("deepseek", "chat", DEEPSEEK, ("prompt_tokens_details", "completion_tokens_details", "prompt_cache_hit_tokens")),
    ("mistral", "chat", MISTRAL, ("prompt_tokens_details", "num_cached_tokens")),
]


@pytest.mark.parametrize(("provider", "flavor", "usage", "details"), NULL_DETAILS)
def test_details_that_are_null_or_missing_count_as_none(
    provider: str, flavor: str, usage: JsonObject, details: tuple[str, ...]
) -> None:
    bare = {key: value for key, value in usage.items() if key not in details}
    nulls = bare | dict.fromkeys(details)
    assert buckets(provider, flavor, nulls) == buckets(provider, flavor, bare)


@pytest.mark.parametrize(("provider", "flavor", "usage"), [case[:3] for case in NULL_DETAILS])
def test_parts_of_details_may_be_null(provider: str, flavor: str, usage: JsonObject) -> None:
    objects = {key: dict.fromkeys(value) for key, value in usage.items() if isinstance(value, dict)}
    assert read(provider, flavor, usage | objects)["output_tokens"] > 0


# Names of the future; the words that some rule reads are left out.
NEW_KEYS = st.text("abcdefgh_", min_size=1, max_size=8).map(lambda word: f"new_{word}")
NEW_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(RECORDED), st.dictionaries(NEW_KEYS, NEW_VALUES, max_size=4))
def test_keys_that_no_rule_knows_change_nothing(case: tuple[str, str, JsonObject, Buckets], new: JsonObject) -> None:
    provider, flavor, usage, expected = case
    nested = {key: value | new if isinstance(value, dict) else value for key, value in usage.items()}
    assert buckets(provider, flavor, nested | new) == expected


@pytest.mark.parametrize(
    ("provider", "flavor", "usage", "message"),
    [
        ("", "chat", OPENAI_CHAT, "needs usage.provider"),
        ("nobody", "chat", OPENAI_CHAT, "cannot be read for the provider 'nobody'"),
        ("openai", "converse", OPENAI_CHAT, "usage.apiFlavor 'converse' is not known for openai; use one of chat"),
        ("openai", "chat", {"prompt_tokens": 5}, "completion_tokens"),
        ("openai", "chat", {"prompt_tokens": 1.5, "completion_tokens": 1}, "input_tokens must be an integer, got 1.5"),
        ("anthropic", "messages", {"input_tokens": "9", "output_tokens": 1}, "input_tokens"),
        ("google", "default", {}, "No usage information found"),
        (
            "google",
            "default",
            {"candidatesTokenCount": 5, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}]},
            "says nothing of input tokens",
        ),
        (
            "anthropic",
            "messages",
            {"input_tokens": 9, "output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 5}},
            "splits cache writes whose sum it does not give",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(provider: str, flavor: str, usage: JsonObject, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(provider, flavor, usage)


@pytest.mark.parametrize(
    ("provider", "usage", "region"),
    [
        ("anthropic", ANTHROPIC | {"inference_geo": "us"}, "us"),
        ("Anthropic.messages", {"inference_geo": " US "}, "us"),
        ("anthropic", ANTHROPIC, "global"),
        ("anthropic", {"inference_geo": "not_available"}, "global"),
        ("anthropic", {"inference_geo": None}, "global"),
        ("anthropic", {"inference_geo": ["us"]}, "global"),
        ("anthropic", {}, "global"),
        ("anthropic", None, "global"),
        # elsewhere the endpoint decides, and the field would not be Anthropic's word
        ("bedrock", {"inference_geo": "us"}, "global"),
        ("openai", {"inference_geo": "us"}, "global"),
        ("", {"inference_geo": "us"}, "global"),
        ("nobody", {"inference_geo": "us"}, "global"),
    ],
)
def test_the_region_is_read_where_anthropic_says_it(provider: str, usage: JsonObject | None, region: str) -> None:
    assert region_of(provider, usage) == region
