"""What the Python SDK leaves to the server to read, the server reads: by provider and interface."""

import pytest
from fluxgate_sdk.providers import _anthropic_readers, _openai_readers

from pricing import provider_usage

USAGE = {
    "chat": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    "responses": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120},
    "embeddings": {"prompt_tokens": 100, "total_tokens": 100},
    "messages": {
        "input_tokens": 30,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 40,
        "output_tokens": 20,
    },
}
LEFT_TO_THE_SERVER = [
    *((flavor, name) for flavor, names in _openai_readers.READ_BY_THE_SERVER.items() for name in sorted(names)),
    *(("messages", name) for name in sorted(_anthropic_readers.READ_BY_THE_SERVER)),
]


@pytest.mark.parametrize(("flavor", "provider"), LEFT_TO_THE_SERVER)
def test_read(flavor: str, provider: str) -> None:
    counters = provider_usage.read(provider, flavor, USAGE[flavor])
    assert counters["input_tokens"] == 100
    assert counters["output_tokens"] == (0 if flavor == "embeddings" else 20)


@pytest.mark.parametrize("details", ["input_tokens_details", "input_token_details"])
def test_parts_of_images_and_sound_are_read_as_a_response(details: str) -> None:
    usage = USAGE["responses"] | {details: {"image_tokens": 40, "text_tokens": 60, "audio_tokens": 0}, "type": "tokens"}
    assert provider_usage.read("openai", "responses", usage)["input_tokens"] == 100
