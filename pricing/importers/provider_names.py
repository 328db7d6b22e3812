"""How SDKs, gateways and OpenTelemetry instrumentations spell the providers of the price list.

Collected from OpenTelemetry's `gen_ai.provider.name` values, LiteLLM's provider prefixes, the Vercel AI SDK's provider
ids and pydantic-ai's model prefixes. Spellings that differ only by case, spaces, underscores or a dotted suffix
(`openai.chat`) are found without an entry.
"""

from typing import Final

PROVIDER_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "anthropic": ("claude",),
    "aws": ("amazon", "amazon-bedrock", "aws-bedrock", "aws.bedrock", "bedrock", "bedrock-converse", "bedrockconverse"),
    "azure": (
        "azure-openai",
        "azureopenai",
        "azure-ai",
        "azure.ai.openai",
        "azure.ai.inference",
        "az.ai.openai",
        "az.ai.inference",
        "microsoft",
        "microsoft-foundry",
    ),
    "cloudflare": ("workers-ai",),
    "deepseek": ("deepseek-ai",),
    "fireworks": ("fireworks-ai", "fireworksai"),
    "github-copilot": ("copilot", "github.copilot"),
    "google": (
        "gcp",
        "gcp.gemini",
        "gcp.gen-ai",
        "gcp.vertex-ai",
        "gemini",
        "google-ai",
        "google-ai-studio",
        "google-genai",
        "google-generative-ai",
        "google-generativeai",
        "google-gla",
        "google-vertex",
        "googleai",
        "googlegenai",
        "vertex",
        "vertex-ai",
        "vertex-ai-beta",
        "vertexai",
    ),
    "mistral": ("mistral-ai", "mistralai"),
    "moonshotai": ("moonshot", "moonshot-ai"),
    "novita": ("novita-ai",),
    "openai": ("open-ai", "openai-chat", "openai-responses", "text-completion-openai"),
    "perplexity": ("perplexity-ai", "pplx"),
    "together": ("together-ai", "togetherai"),
    "voyageai": ("voyage",),
    "x-ai": ("xai", "grok"),
    "zai": ("z-ai", "z.ai"),
    "zhipuai": ("zhipu",),
}
