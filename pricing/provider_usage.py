"""Reads token counters out of a provider's own usage object, by the rules that genai-prices keeps for each provider.

The counters come out as the wire contract means them: the prompt with its cache reads and writes, all billed output.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pricing.importers.provider_names import PROVIDER_NAMES

_FLAVOR_NAMES = {("anthropic", "messages"): "default", ("aws", "converse"): "default", ("aws", "messages"): "anthropic"}
MAX_NAME_CHARACTERS = 255
_COUNTERS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
}


def read(provider: str, api_flavor: str, usage: Mapping[str, Any]) -> dict[str, int]:
    """Counters by their names in `pricing.costs.Usage`. Raises ValueError with a sentence for the sender."""
    if not provider:
        raise ValueError("needs usage.provider beside it, to know how to read it")
    name = _canonical(provider[:MAX_NAME_CHARACTERS])
    roots = _roots(name)
    if not roots:
        raise ValueError(f"cannot be read for the provider {name!r}; send the counters instead")
    flavor = _flavor(name, api_flavor, usage, roots)
    wrapped: Any = dict(usage)
    for part in reversed(roots[flavor]):
        wrapped = {part: wrapped}
    try:
        _, found = _provider(name).extract_usage(wrapped, api_flavor=flavor)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"is not what {name} sends: {error}") from error
    return {ours: _whole(theirs, getattr(found, theirs, None)) for theirs, ours in _COUNTERS.items()}


def _whole(name: str, value: Any) -> int:
    if value is None:
        return 0
    if value != int(value):
        raise ValueError(f"{name} must be an integer, got {value}")
    return int(value)


def _flavor(name: str, sent: str, usage: Mapping[str, Any], roots: Mapping[str, Any]) -> str:
    flavor = _FLAVOR_NAMES.get((name, sent), sent)
    if flavor in roots:
        return flavor
    if sent in ("", "default"):
        # OpenAI's two interfaces name their counters differently, so the object itself tells.
        guess = "chat" if "prompt_tokens" in usage else "responses"
        if guess in roots:
            return guess
    raise ValueError(f"usage.apiFlavor {sent!r} is not known for {name}; use one of {', '.join(sorted(roots))}")


def _canonical(provider: str) -> str:
    name = provider.strip().lower().replace("_", "-")
    return next((known for known, others in PROVIDER_NAMES.items() if name == known or name in others), name)


@lru_cache(maxsize=256)
def _roots(name: str) -> dict[str, tuple[str, ...]]:
    """Where each flavor's usage object stands in a response; empty for a provider without rules."""
    try:
        extractors = _provider(name).extractors or []
    except LookupError:
        return {}
    return {
        extractor.api_flavor: (extractor.root,) if isinstance(extractor.root, str) else tuple(extractor.root)
        for extractor in extractors
    }


def _provider(name: str) -> Any:
    # Imported on first use: most senders send counters, and the package costs 30 MB.
    from genai_prices import data_snapshot

    return data_snapshot.get_snapshot().find_provider(None, name, None)
