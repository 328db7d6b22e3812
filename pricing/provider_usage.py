"""Reads token counters out of a provider's own usage object, by the rules that genai-prices keeps for each provider.

The counters come out as the wire contract means them: the prompt with its cache reads and writes, all billed output.
What the library does not know or gets wrong is mended here. Keys that no rule knows are passed over. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pricing.importers.provider_names import PROVIDER_NAMES
from pricing.names import provider_forms

if TYPE_CHECKING:
    from genai_prices.types import UsageExtractor

MAX_NAME_CHARACTERS = 255
_SLUGS: Final = {name: slug for slug, names in PROVIDER_NAMES.items() for name in (slug, *names)}
# Read as well, to notice a split of cache writes whose sum is missing.
_WRITES_5M: Final = "cache_write_5m_tokens"
_COUNTERS: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
}
# What people call an interface, and what genai-prices may call it at the provider in question.
_FLAVOR_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "messages": ("anthropic", "default"),
    "converse": ("default",),
    "chat": ("default",),
}
_ANTHROPIC_KEYS: Final = frozenset({"cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"})
_XAI_SDK_KEYS: Final = frozenset({"reasoning_tokens", "cached_prompt_text_tokens"})
# Google's Python package names the fields of its REST interface in its own way.
_GOOGLE_SDK_NAMES: Final = {
    "prompt_token_count": "promptTokenCount",
    "cached_content_token_count": "cachedContentTokenCount",
    "candidates_token_count": "candidatesTokenCount",
    "thoughts_token_count": "thoughtsTokenCount",
    "tool_use_prompt_token_count": "toolUsePromptTokenCount",
}
# Chat interfaces that may leave reasoning out of completion_tokens, though total_tokens has it: Gemini's
# OpenAI-compatible one (discuss.ai.google.dev/t/98760; the library loses the thoughts), xAI's (docs.x.ai; the library
# adds reasoning even where the total shows that it is inside), and Azure's for Grok (BerriAI/litellm#39426).
_REASONING_BY_TOTAL: Final = frozenset({"google", "x-ai", "azure"})
# Cache reads that stand beside prompt_tokens_details or in its place: DeepSeek documents only this one, Mistral both
# (vercel/ai#14382). The library reads the details alone, and the reads would be charged as fresh input.
_CACHED_TOKENS_KEY: Final = {"deepseek": "prompt_cache_hit_tokens", "mistral": "num_cached_tokens"}


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the library knows of a provider: by flavor, how to read a usage object of that interface."""

    provider: str
    extractors: "Mapping[str, UsageExtractor]"


def read(provider: str, api_flavor: str, usage: Mapping[str, Any]) -> dict[str, int]:
    """Counters by their names in `pricing.costs.Usage`. Raises ValueError with a sentence for the sender."""
    if not provider:
        raise ValueError("needs usage.provider beside it, to know how to read it")
    rules = _rules_of(provider[:MAX_NAME_CHARACTERS])
    if rules is None:
        raise ValueError(f"cannot be read for the provider {provider[:MAX_NAME_CHARACTERS]!r}; send the counters")
    if rules.provider == "google":
        usage = {_GOOGLE_SDK_NAMES.get(key, key): value for key, value in usage.items()}
    flavor = _flavor(rules, api_flavor, usage)
    counters = _extracted(rules, flavor, usage)
    if flavor == "chat" and rules.provider in _REASONING_BY_TOTAL:
        return _with_reasoning_by_total(usage, counters)
    if rules.provider in _CACHED_TOKENS_KEY and not counters["cached_tokens"]:
        return counters | {"cached_tokens": _count(usage, _CACHED_TOKENS_KEY[rules.provider]) or 0}
    if flavor == "anthropic" or (rules.provider, flavor) == ("anthropic", "default"):
        compactions = [_extracted(rules, flavor, part) for part in _compactions(usage)]
        return {name: count + sum(part[name] for part in compactions) for name, count in counters.items()}
    return counters


def region_of(provider: str, provider_usage: Mapping[str, Any] | None) -> str:
    """The region that prices the call: "us" where Anthropic's own usage object says that it ran there, else "global".

    Anthropic charges 1.1 times the list price for inference that is kept in the US, and says with every call where it
    ran ("us", "global", "not_available"; platform.claude.com, data residency). On Bedrock and Vertex the endpoint does.
    """
    geo = provider_usage.get("inference_geo") if provider_usage else None
    if not isinstance(geo, str) or geo.strip().lower() != "us":
        return "global"
    rules = _rules_of(provider[:MAX_NAME_CHARACTERS])
    return "us" if rules is not None and rules.provider == "anthropic" else "global"


def _extracted(rules: _Rules, flavor: str, usage: Mapping[str, Any]) -> dict[str, int]:
    """What the library reads from the usage object, put where a whole response of this flavor has it."""
    extractor = rules.extractors[flavor]
    wrapped: Any = dict(usage)
    for part in reversed([extractor.root] if isinstance(extractor.root, str) else list(extractor.root)):
        # Cohere's usage object holds what the library looks for one level below.
        if not isinstance(wrapped.get(part), Mapping):
            wrapped = {part: wrapped}
    try:
        _, found = extractor.extract(wrapped)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"is not what {rules.provider} sends: {error}") from error
    # Asked by attribute, the library would look for a way to infer each counter that is not there.
    reported = vars(found)
    if "input_tokens" not in reported:
        raise ValueError("says nothing of input tokens; send the counters")
    if "cache_write_tokens" not in reported and (reported.get(_WRITES_5M) or reported.get("cache_write_1h_tokens")):
        raise ValueError("splits cache writes whose sum it does not give; send the counters")
    return {ours: _whole(theirs, reported.get(theirs)) for theirs, ours in _COUNTERS.items()}


def _whole(name: str, value: Any) -> int:
    if value is None:
        return 0
    if value != int(value):
        raise ValueError(f"{name} must be an integer, got {value}")
    return int(value)


def _count(usage: Mapping[str, Any], key: str) -> int | None:
    value = usage.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _with_reasoning_by_total(usage: Mapping[str, Any], counters: dict[str, int]) -> dict[str, int]:
    """Output is what the total holds beyond the prompt; a total that cannot be leaves the counters as they are."""
    total, completion = _count(usage, "total_tokens"), _count(usage, "completion_tokens")
    if total is None or completion is None:
        return counters
    output = total - counters["input_tokens"]
    reasoning = max(counters["reasoning_tokens"], output - completion)
    if output < completion or reasoning > output:
        return counters
    return counters | {"output_tokens": output, "reasoning_tokens": reasoning}


def _compactions(usage: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Summaries that Claude wrote on the way: billed, but left out of the counters at the top of the object.

    platform.claude.com, compaction: the top-level counters hold all iterations but these.
    """
    iterations = usage.get("iterations")
    parts = iterations if isinstance(iterations, list) else []
    return [part for part in parts if isinstance(part, Mapping) and part.get("type") == "compaction"]


def _flavor(rules: _Rules, sent: str, usage: Mapping[str, Any]) -> str:
    """The library's name of the interface: as it was sent, under another name, or by the keys of the object."""
    known = rules.extractors
    wanted = (*_flavors_by_keys(usage), "default") if sent in ("", "default") else (sent, *_FLAVOR_NAMES.get(sent, ()))
    flavor = next((flavor for flavor in wanted if flavor in known), None)
    if flavor is None:
        raise ValueError(
            f"usage.apiFlavor {sent!r} is not known for {rules.provider}; use one of {', '.join(sorted(known))}"
        )
    return flavor


def _flavors_by_keys(usage: Mapping[str, Any]) -> tuple[str, ...]:
    """Which interfaces name their counters like this; read by another one's rules, parts would be lost unnoticed."""
    keys = usage.keys()
    if "prompt_tokens" in keys:
        if keys & _XAI_SDK_KEYS:
            return ("default", "chat")
        return ("chat", "default") if "completion_tokens" in keys else ("embeddings", "chat")
    if "input_tokens" in keys:
        return ("anthropic", "default", "responses") if keys & _ANTHROPIC_KEYS else ("responses", "anthropic")
    return ()


@lru_cache(maxsize=1024)
def _rules_of(provider: str) -> _Rules | None:
    """The rules for a provider under any of its spellings; None when the library has none."""
    # Imported on first use: most senders send counters, and the package costs 30 MB.
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    # The snapshot's own look-up remembers every name that it was ever asked for.
    providers = get_snapshot().providers
    forms = list(provider_forms(provider))
    slug = next((_SLUGS[form] for form in forms if form in _SLUGS), None)
    names = [slug] if slug is not None else forms
    found = next((found for name in names if (found := find_provider_by_id(providers, name))), None)
    if found is None or not found.extractors:
        return None
    return _Rules(found.id, {extractor.api_flavor: _narrowed(extractor) for extractor in found.extractors})


def _narrowed(extractor: "UsageExtractor") -> "UsageExtractor":
    """The rules for our counters alone: those for modalities take most of the time, and stumble over new ones."""
    ours = {*_COUNTERS, _WRITES_5M}
    return replace(extractor, mappings=[mapping for mapping in extractor.mappings if mapping.dest in ours])
