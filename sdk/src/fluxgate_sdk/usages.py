"""Reading any provider's usage object: for what no tracker sees, such as sessions over a WebSocket. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from fluxgate_sdk.calls import COUNTERS, Reading
from fluxgate_sdk.events import Usage
from fluxgate_sdk.providers import gemini_reading
from fluxgate_sdk.providers._answers import plain
from fluxgate_sdk.providers._anthropic_readers import MessageReader
from fluxgate_sdk.providers._openai_readers import read_usage

_GEMINIS: Final = frozenset({"promptTokenCount", "responseTokenCount", "candidatesTokenCount"})
_ANTHROPICS: Final = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"})


def usage_of(provider_usage: object) -> Usage:
    """The counters of a usage object of OpenAI, Anthropic or Google, of whichever of their interfaces, as FluxGate
    counts them. It may be a model of their packages or the JSON object itself; {} for what says nothing of tokens.
    """
    found = _as_json(provider_usage)
    reading = Reading()
    if found.keys() & _GEMINIS:
        reading = gemini_reading.counters_of_usage(found)
    elif "total_input_tokens" in found:
        reading = gemini_reading.reading_of_interaction_usage(found)
    elif found.keys() & _ANTHROPICS:
        reader = MessageReader("", {})
        reader.whole({"usage": found})
        reading = reader.reading
    else:
        read_usage(reading, found, "", "")
    counters = {name: value for name in COUNTERS if (value := getattr(reading, name)) is not None}
    return cast(Usage, counters)


def _as_json(usage: Any) -> Mapping[str, Any]:
    """The object under the names of the wire. Google's package has names of its own for them, in Python."""
    if not isinstance(usage, Mapping):
        usage = plain(usage) if hasattr(usage, "to_dict") else _dumped(usage)
    return {_camel(name) if "_token_count" in name else name: value for name, value in (usage or {}).items()}


def _dumped(usage: Any) -> Any:
    return usage.model_dump(mode="json", exclude_none=True) if hasattr(usage, "model_dump") else None


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), name)
