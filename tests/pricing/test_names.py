import pytest

from pricing.names import model_forms, provider_forms


@pytest.mark.parametrize(
    ("sent", "forms"),
    [
        ("openai", ["openai"]),
        ("  OpenAI ", ["openai"]),
        ("azure_openai", ["azure_openai", "azure-openai"]),
        ("Google Vertex", ["google vertex", "google-vertex"]),
        ("openai.responses", ["openai.responses", "openai"]),
        ("aws_bedrock.chat", ["aws_bedrock.chat", "aws-bedrock.chat", "aws-bedrock"]),
        ("", [""]),
    ],
)
def test_provider_forms(sent: str, forms: list[str]) -> None:
    assert list(provider_forms(sent)) == forms


@pytest.mark.parametrize(
    ("sent", "forms"),
    [
        (" GPT-4o ", ["gpt-4o"]),
        ("models/gemini-2.5-pro", ["models/gemini-2.5-pro", "gemini-2.5-pro"]),
        ("publishers/google/models/gemini-2.5-pro", ["publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"]),
        (
            "projects/p/locations/l/publishers/anthropic/models/claude-3",
            ["projects/p/locations/l/publishers/anthropic/models/claude-3", "claude-3"],
        ),
        ("gpt-5.2-20251211", ["gpt-5.2-20251211", "gpt-5.2-2025-12-11"]),
        ("gpt-5.2-20251311", ["gpt-5.2-20251311"]),
    ],
)
def test_model_forms(sent: str, forms: list[str]) -> None:
    assert list(model_forms(sent)) == forms
