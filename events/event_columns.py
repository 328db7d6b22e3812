"""The columns in which events leave as files (dashboard/export_files.py) and come back (events/event_import.py). Pure.

Spreadsheets take a text that begins like a formula for one. In CSV such a text is written with an apostrophe before it,
and `unguarded` takes it off again, so that what was exported comes back as it was.
"""

import re
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a column holds; in CSV all of it is text, and what is unknown or was not given is empty."""

    TEXT = "text"
    """Whatever the sender wrote."""
    LABEL = "label"
    """Whatever the sender wrote, of which many rows have the same."""
    WORD = "word"
    """One of our own words."""
    COUNT = "count"
    NUMBER = "number"
    USD = "usd"
    """An exact decimal with 12 places."""
    TIME = "time"
    """UTC, to the microsecond."""
    TRUTH = "truth"
    JSON = "json"


COLUMNS: Final[dict[str, Kind]] = {
    "id": Kind.TEXT,
    "occurred_at": Kind.TIME,
    "received_at": Kind.TIME,
    "environment": Kind.WORD,
    "status": Kind.WORD,
    "error_message": Kind.TEXT,
    "feature": Kind.LABEL,
    "step": Kind.LABEL,
    "user_id": Kind.TEXT,
    "user_name": Kind.TEXT,
    "session_id": Kind.TEXT,
    "conversation_id": Kind.TEXT,
    "provider": Kind.LABEL,
    "model": Kind.LABEL,
    "service_tier": Kind.WORD,
    "region": Kind.LABEL,
    "input_tokens": Kind.COUNT,
    "output_tokens": Kind.COUNT,
    "cached_tokens": Kind.COUNT,
    "cache_write_tokens": Kind.COUNT,
    "cache_write_1h_tokens": Kind.COUNT,
    "reasoning_tokens": Kind.COUNT,
    "latency_ms": Kind.NUMBER,
    "streaming_duration_ms": Kind.NUMBER,
    "is_streamed": Kind.TRUTH,
    "cost_usd": Kind.USD,
    "price_status": Kind.WORD,
    "pricing_revision": Kind.COUNT,
    "api_key_name": Kind.LABEL,
    "api_key_prefix": Kind.LABEL,
    "flags": Kind.WORD,
    "api_flavor": Kind.LABEL,
    "provider_usage": Kind.JSON,
    "metadata": Kind.JSON,
}
"""`flags` are words with a space between them; `metadata` and `provider_usage` are JSON objects."""

FREE_TEXT: Final = frozenset({Kind.TEXT, Kind.LABEL})
"""The kinds whose text is guarded in CSV: all others cannot begin like a formula, or are numbers."""

# What begins a formula in spreadsheets, also in full width; the apostrophes before it are ours, or read like ours.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_FIRST = frozenset("'=+-@\t\r\n＝＋－＠")


def guarded(text: str) -> str:
    """The text as no spreadsheet takes it for a formula: with an apostrophe before it where it begins like one."""
    # Most begin with a letter, and are told from the rest in a fifth of the time.
    return f"'{text}" if text[:1] in _FIRST and _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
