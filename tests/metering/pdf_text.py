"""The text of a PDF that typst made, page by page, as copying it gives: enough of the format for tests, no more."""

import re
import zlib

_PART = rb"\\.|[^\\()]"
_INNER = rb"\((?:%b|\((?:%b)*\))*\)" % (_PART, _PART)
# Parentheses that match need no escape.
_TEXT = rb"\(((?:%b|%b)*)\)" % (_PART, _INNER)
_SHOWN = re.compile(
    rb"/Lang\(\w+\)|/(f\d+) [\d.]+ Tf|ActualText\s*(?:<([0-9A-F]+)>|%b)|%b|(EMC)" % (_TEXT, _TEXT), re.S
)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pages(pdf: bytes) -> list[str]:
    """What each page says; words of one line follow each other, lines do not end."""
    objects = {int(n): body for n, body in re.findall(rb"(?:^|\n)(\d+) 0 obj(.*?)endobj", pdf, re.S)}
    found = [body for body in objects.values() if re.search(rb"/Type\s*/Page\b", body)]
    return [_page(body, objects) for body in found]


def _page(body: bytes, objects: dict[int, bytes]) -> str:
    resources = _followed(body, rb"Resources", objects)
    fonts = re.findall(rb"/(f\d+) (\d+) 0 R", _followed(resources, rb"Font", objects))
    letters = {name: _letters(objects[int(number)], objects) for name, number in fonts}
    return _text(_stream(_followed(body, rb"Contents", objects)), letters)


def _followed(body: bytes, name: bytes, objects: dict[int, bytes]) -> bytes:
    match = re.search(rb"/" + name + rb"\s*(?:(\d+) 0 R|(<<.*))", body, re.S)
    assert match, name
    return objects[int(match[1])] if match[1] else match[2]


def _stream(body: bytes) -> bytes:
    start = re.search(rb"stream\r?\n", body)
    return zlib.decompressobj().decompress(body[start.end() :]) if start else b""


def _letters(font: bytes, objects: dict[int, bytes]) -> dict[bytes, str]:
    table = _stream(_followed(font, rb"ToUnicode", objects))
    return {
        bytes.fromhex(glyph.decode()): bytes.fromhex(text.decode()).decode("utf-16-be")
        for glyph, text in re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>", table)
    }


def _text(content: bytes, letters: dict[bytes, dict[bytes, str]]) -> str:
    said, font, is_replaced = [], b"", False
    for name, utf16, plain, shown, end in _SHOWN.findall(content):
        if name:
            font = name
        elif utf16 or plain:
            said.append(bytes.fromhex(utf16.decode()).decode("utf-16") if utf16 else plain.decode())
            is_replaced = True
        elif end:
            is_replaced = False
        elif shown and not is_replaced:
            glyphs = re.sub(rb"\\([0-7]{3}|.)", _unescaped, shown, flags=re.S)
            pairs = [glyphs[at : at + 2] for at in range(0, len(glyphs), 2)]
            said.append("".join(letters[font].get(pair, "\N{REPLACEMENT CHARACTER}") for pair in pairs))
    return "".join(said)


def _unescaped(match: "re.Match[bytes]") -> bytes:
    escape = match[1]
    return bytes([int(escape, 8)]) if len(escape) == 3 else _ESCAPES.get(escape, escape)
