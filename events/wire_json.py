"""JSON text that is kept as it was sent: what the database could not hold is mended or refused here. Pure."""

import json
import math
import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

MAX_DEPTH = 64
MAX_NUMBER_CHARACTERS = 1000
NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")

_encode = msgspec.json.encode
_SUSPICIOUS_NUMBER = re.compile(rb"[eE][+-]?\d{3}|\d{%d}" % MAX_NUMBER_CHARACTERS)
# An escaped NUL, but not an escaped backslash followed by the letters u0000.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class Unstorable(ValueError):
    """The value of `key` cannot be stored; the text says why."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def check_utf8(body: bytes, error: type[Exception]) -> None:
    """Raise `error` for bytes that are not UTF-8: msgspec passes over text that it only skips."""
    try:
        body.decode()
    except UnicodeDecodeError as problem:
        raise error(f"the body is not UTF-8: {problem.reason} at byte {problem.start}") from None


def usd_number(picousd: int) -> str:
    """USD as a JSON number with all its digits and no exponent: 5250000000 is 0.00525."""
    whole, fraction = divmod(picousd, 10**12)
    return f"{whole}.{fraction:012}".rstrip("0").rstrip(".")


def joined(parts: Mapping[str, Raw]) -> bytes:
    """The object of `parts`, as JSON text."""
    return b"{" + b",".join(_encode(key) + b":" + bytes(value) for key, value in parts.items()) + b"}"


def storable(parts: Mapping[str, Raw]) -> tuple[str, bool]:
    """The object of `parts` as text that jsonb takes, and whether a U+0000 in it became U+FFFD.

    Numbers and strings stay as they were sent, digit by digit. Raises Unstorable for a number that jsonb or a
    browser could not hold, and for nesting beyond 64 levels.
    """
    for key, value in parts.items():
        text = bytes(value)
        if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
            raise Unstorable(key, f"is nested deeper than {MAX_DEPTH} levels")
        if _SUSPICIOUS_NUMBER.search(text):
            _check_numbers(key, text)
    text = joined(parts)
    if b"\\u0000" not in text:
        return text.decode(), False
    cleaned = _ESCAPED_NUL.sub(rb"\1\\ufffd", text)
    return cleaned.decode(), cleaned != text


def _depth(text: bytes) -> int:
    """How deep the brackets outside of strings are nested."""
    deepest = depth = 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', text):
        if token[0] in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return deepest


def _check_numbers(key: str, text: bytes) -> None:
    def check(number: str) -> None:
        _, _, exponent = number.lower().partition("e")
        if len(number) > MAX_NUMBER_CHARACTERS or int(exponent or 0) < -400 or math.isinf(float(number)):
            raise Unstorable(key, "holds a number out of range")

    # A number may stand in a string; only a parser can tell.
    json.loads(text, parse_float=check, parse_int=check)
