"""Published prices, exact to the last of 12 decimals at the event's own date. Each row names who published it."""

from datetime import datetime
from decimal import Decimal

import pytest

from pricing.catalog import Catalog, epoch_ms
from pricing.costs import Usage, usd

OPENAI = "https://developers.openai.com/api/docs/pricing"
ANTHROPIC = "https://docs.anthropic.com/en/docs/about-claude/pricing"
GOOGLE = "https://ai.google.dev/gemini-api/docs/pricing"
XAI = "https://docs.x.ai/docs/models"
DEEPSEEK = "https://api-docs.deepseek.com/quick_start/pricing"
MISTRAL = "https://mistral.ai/pricing/api"
GROQ = "https://groq.com/pricing"
BEDROCK = "https://aws.amazon.com/bedrock/pricing/"
VERTEX = "https://cloud.google.com/vertex-ai/generative-ai/pricing"
AZURE = "https://azure.microsoft.com/en-us/pricing/details/cognitive-services/openai-service/"

PLAIN = Usage(1_000_000, 1_000_000)
CACHED = Usage(1200, 350, 1000)
# 1,000 uncached, 5,000 read, 2,000 written for 5 minutes, 1,000 for an hour
WRITES = Usage(9000, 100, 5000, 3000, 1000)
CLAUDE_ON_BEDROCK = "anthropic.claude-sonnet-4-5-20250929-v1:0"

# One row a line, to be compared with a price page.
# fmt: off
PRICES = [
    # provider, model, at, tier, usage, USD, source
    ("openai", "gpt-4o", "2026-05-05T10:00Z", "standard", CACHED, "0.005250", OPENAI),
    ("openai", "gpt-4o-mini", "2025-02-01T00:00Z", "standard", PLAIN, "0.75", OPENAI),
    ("openai", "gpt-4o-2024-05-13", "2024-06-01T00:00Z", "standard", PLAIN, "20", OPENAI),
    ("openai", "gpt-3.5-turbo", "2024-11-01T00:00Z", "standard", PLAIN, "2", OPENAI),
    ("openai", "gpt-4.1-nano", "2025-11-01T00:00Z", "standard", Usage(1000, 0, 1000), "0.000025", OPENAI),
    ("openai", "o3", "2025-06-09T23:59:59.999Z", "standard", PLAIN, "50", OPENAI),
    ("openai", "o3", "2025-06-10T00:00Z", "standard", PLAIN, "10", OPENAI),
    ("openai", "o3", "2025-06-10T05:30+05:30", "standard", PLAIN, "10", OPENAI),
    ("openai", "o3", "2025-06-10T05:29:59.999+05:30", "standard", PLAIN, "50", OPENAI),
    ("openai", "o3", "2026-01-01T00:00Z", "standard", Usage(10, 1000, reasoning_tokens=900), "0.00802", OPENAI),
    ("openai", "gpt-5", "2026-01-01T00:00Z", "standard", Usage(1200, 350, 1000), "0.003875", OPENAI),
    ("openai", "gpt-5.6-sol", "2026-08-20T23:59:59Z", "standard", PLAIN, "55", OPENAI),
    ("openai", "gpt-5.6-sol", "2026-08-21T00:00Z", "standard", Usage(100_000, 100_000), "2.4", OPENAI),
    ("openai", "gpt-5.4", "2026-06-01T00:00Z", "standard", Usage(272_000, 1000), "0.695", OPENAI),
    ("openai", "gpt-5.4", "2026-06-01T00:00Z", "standard", Usage(272_001, 1000), "1.382505", OPENAI),
    ("openai", "gpt-4o", "2026-05-05T10:00Z", "batch", CACHED, "0.00325", OPENAI),
    ("openai", "gpt-4o", "2026-11-05T10:00Z", "batch", CACHED, "0.00325", OPENAI),
    ("openai", "gpt-5", "2026-01-01T00:00Z", "batch", CACHED, "0.0019375", OPENAI),
    ("openai", "gpt-5", "2026-01-01T00:00Z", "flex", CACHED, "0.0019375", OPENAI),
    ("openai", "gpt-5", "2026-01-01T00:00Z", "priority", CACHED, "0.00775", OPENAI),
    ("openai", "gpt-4o", "2026-01-01T00:00Z", "priority", CACHED, "0.008925", OPENAI),
    ("openai", "o4-mini", "2025-09-01T00:00Z", "priority", PLAIN, "10", OPENAI),
    ("openai", "text-embedding-3-small", "2025-03-01T00:00Z", "standard", Usage(1_000_000, 0), "0.02", OPENAI),
    ("anthropic", "claude-sonnet-4-5-20250929", "2025-11-01T00:00Z", "standard", PLAIN, "28.5", ANTHROPIC),
    ("anthropic", "claude-sonnet-4-5", "2025-11-01T00:00Z", "standard", Usage(199_999, 1000), "0.614997", ANTHROPIC),
    ("anthropic", "claude-sonnet-4-5", "2025-11-01T00:00Z", "standard", Usage(200_000, 1000), "0.615", ANTHROPIC),
    ("anthropic", "claude-sonnet-4-5", "2025-11-01T00:00Z", "standard", Usage(200_001, 1000), "1.222506", ANTHROPIC),
        ("anthropic", "claude-sonnet-4-5", "2025-11-01T00:00Z", "standard", WRITES, "0.0195", ANTHROPIC),
    ("anthropic", "claude-sonnet-4-5", "2026-01-01T00:00Z", "batch", WRITES, "0.00975", ANTHROPIC),
    ("anthropic", "claude-opus-4-5", "2026-01-01T00:00Z", "standard", PLAIN, "30", ANTHROPIC),
    ("anthropic", "claude-3-haiku-20240307", "2024-05-01T00:00Z", "standard", PLAIN, "1.5", ANTHROPIC),
    ("anthropic", "claude-3-haiku", "2024-09-01T00:00Z", "standard", Usage(2000, 0, 1000, 1000), "0.00033", ANTHROPIC),
    ("anthropic", "claude-sonnet-4-6", "2026-03-12T23:59:59Z", "standard", Usage(300_000, 0), "1.8", ANTHROPIC),
    ("anthropic", "claude-sonnet-4-6", "2026-03-13T00:00Z", "standard", Usage(300_000, 0), "0.9", ANTHROPIC),
    ("anthropic", "claude-haiku-5-5", "2026-11-01T00:00Z", "standard", Usage(100_000, 1000), "0.0105", ANTHROPIC),
    ("anthropic", "claude-haiku-5-5", "2026-11-01T00:00Z", "standard", Usage(100_001, 1000), "0.0525005", ANTHROPIC),
    ("google", "gemini-2.5-pro", "2025-11-01T00:00Z", "standard", Usage(200_000, 1000, 100_000), "0.1475", GOOGLE),
    ("google", "gemini-2.5-pro", "2025-11-01T00:00Z", "standard", Usage(200_001, 1000, 100_000), "0.2900025", GOOGLE),
    # batch and cache do not stack at Gemini 2.5: the cached rate stays
    ("google", "gemini-2.5-pro", "2025-11-01T00:00Z", "batch", Usage(200_000, 1000, 100_000), "0.08", GOOGLE),
    ("google", "gemini-2.5-flash", "2025-11-01T00:00Z", "standard", Usage(1000, 500, 0, 0, 0, 400), "0.00155", GOOGLE),
    ("google", "gemini-1.5-pro", "2024-11-01T00:00Z", "standard", Usage(128_000, 1000), "0.165", GOOGLE),
    ("google", "gemini-1.5-pro", "2024-11-01T00:00Z", "standard", Usage(128_001, 1000), "0.3300025", GOOGLE),
    ("vertex_ai", "claude-sonnet-4-5@20250929", "2025-11-01T00:00Z", "standard", CACHED, "0.00615", VERTEX),
    # xAI switches at 200,000, where the others switch above it
    ("xai", "grok-4.5", "2026-09-01T00:00Z", "standard", Usage(199_999, 1000), "0.405998", XAI),
    ("xai", "grok-4.5", "2026-09-01T00:00Z", "standard", Usage(200_000, 1000), "0.812", XAI),
    ("xai", "grok-4.20", "2026-04-29T23:59:59Z", "standard", Usage(1000, 1000), "0.008", XAI),
    ("xai", "grok-4.20", "2026-04-30T00:00Z", "standard", Usage(1000, 1000), "0.00375", XAI),
    ("deepseek", "deepseek-v4-flash", "2026-06-01T02:00Z", "standard", PLAIN, "0.42", DEEPSEEK),
    ("deepseek", "deepseek-v4-flash", "2026-10-07T02:00Z", "standard", PLAIN, "1.5", DEEPSEEK),
    ("deepseek", "deepseek-v4-flash", "2026-10-07T12:00+08:00", "standard", PLAIN, "0.75", DEEPSEEK),
    ("deepseek", "deepseek-v4-flash", "2026-10-07T11:59:59+08:00", "standard", PLAIN, "1.5", DEEPSEEK),
    ("mistral", "mistral-large-2411", "2025-03-01T00:00Z", "standard", PLAIN, "8", MISTRAL),
    ("mistral", "mistral-medium-latest", "2025-09-01T00:00Z", "standard", PLAIN, "2.4", MISTRAL),
    ("groq", "openai/gpt-oss-120b", "2026-02-01T00:00Z", "standard", Usage(2000, 1000, 1000), "0.000825", GROQ),
    ("bedrock", "amazon.nova-pro-v1:0", "2026-03-01T00:00Z", "standard", Usage(2000, 1000, 1000), "0.0042", BEDROCK),
    ("bedrock", f"us.{CLAUDE_ON_BEDROCK}", "2026-03-01T00:00Z", "standard", PLAIN, "19.8", BEDROCK),
    ("bedrock", f"global.{CLAUDE_ON_BEDROCK}", "2026-03-01T00:00Z", "standard", PLAIN, "18", BEDROCK),
    ("azure_openai", "gpt-4o", "2025-03-01T00:00Z", "standard", CACHED, "0.00525", AZURE),
]
# fmt: on


@pytest.mark.parametrize(("provider", "model", "at", "tier", "usage", "expected", "source"), PRICES)
def test_published_price(
    catalog: Catalog, provider: str, model: str, at: str, tier: str, usage: Usage, expected: str, source: str
) -> None:
    cost = catalog.price(provider, model, epoch_ms(datetime.fromisoformat(at)), usage, tier)
    assert cost.picousd is not None, (cost.status, source)
    assert usd(cost.picousd) == Decimal(expected), source
    assert sum(line.cost_picousd for line in cost.lines) == cost.picousd


@pytest.mark.parametrize(
    ("provider", "model", "tier", "status"),
    [
        ("openai", "gpt-4o-2030-01-01", "standard", "unpriced_model"),
        ("anthropic", "claude-nonexistent-99", "standard", "unpriced_model"),
        ("openai", "o1-nonexistent", "standard", "unpriced_model"),
        ("openai", "", "standard", "unpriced_model"),
        ("nobody", "gpt-4o", "standard", "unpriced_provider"),
        ("", "my-own-model", "standard", "unpriced_provider"),
        ("nobody", "nothing/gpt-4o", "standard", "unpriced_provider"),
        ("mistral", "mistral-large-2411", "batch", "unpriced_tier"),
        ("openai", "gpt-4o", "flex", "unpriced_tier"),
        ("openai", "gpt-4o", "Batch", "unpriced_tier"),
        ("openai", "gpt-4o", "auto", "unpriced_tier"),
        ("azure", "gpt-4o", "batch", "unpriced_tier"),  # a reseller's tiers are not its supplier's
        ("openai", "claude-sonnet-4-5", "standard", "unpriced_model"),
        ("google", "gemma-3", "standard", "unpriced_model"),  # listed without a price: unknown, not free
    ],
)
def test_what_no_source_prices_has_no_cost(catalog: Catalog, provider: str, model: str, tier: str, status: str) -> None:
    cost = catalog.price(provider, model, epoch_ms(datetime.fromisoformat("2026-09-01T00:00Z")), PLAIN, tier)
    assert (cost.picousd, cost.status, cost.lines) == (None, status, ())
