"""Names of providers and models as callers send them, and the forms under which the catalog may know them. Pure."""

import re
from collections.abc import Iterator
from datetime import date

_MODEL_PATHS = re.compile(r"^(?:.*/)?publishers/[^/]+/models/|^models/")
_COMPACT_DATE = re.compile(r"-(20\d{2})(\d{2})(\d{2})(?=-|:|$)")
_SEPARATORS = re.compile(r"[\s_]+")
# Providers that only pass calls on: the model's own prefix says who serves it.
PASS_THROUGH = frozenset({"", "litellm", "gateway", "vercel", "ai-gateway", "portkey", "helicone"})


def provider_forms(provider: str) -> Iterator[str]:
    """Spellings under which to look a provider up: as sent, with dashes, without an SDK's suffix (`openai.chat`)."""
    name = provider.strip().lower()
    yield name
    dashed = _SEPARATORS.sub("-", name)
    if dashed != name:
        yield dashed
    head = dashed.partition(".")[0]
    if head != dashed:
        yield head


def model_forms(model: str) -> Iterator[str]:
    """Spellings under which to look a model up: trimmed, without Google's resource paths, with a dashed date."""
    name = model.strip().lower()
    yield name
    bare = _MODEL_PATHS.sub("", name)
    if bare != name:
        yield bare
    # Gateways write gpt-5.2-20251211 where the vendor writes gpt-5.2-2025-12-11.
    dashed = _COMPACT_DATE.sub(_dashed_date, bare)
    if dashed != bare:
        yield dashed


def _dashed_date(match: re.Match[str]) -> str:
    year, month, day = (int(match.group(index)) for index in (1, 2, 3))
    try:
        return f"-{date(year, month, day).isoformat()}"
    except ValueError:
        return match.group(0)
