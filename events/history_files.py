"""Files of past events: JSON lines in the wire's shape, CSV and Parquet in the columns of exports. Read line by line.

A table's row becomes the wire's JSON and is judged like any event; what is wrong is named by its column.
"""

import codecs
import csv
import gzip
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from msgspec import Raw

from events import wire_json
from events.event_columns import COLUMNS, FREE_TEXT, unguarded

NEEDED: Final = ("occurred_at", "input_tokens", "output_tokens")
BATCH_ROWS: Final = 5_000
WIRE_NAMES: Final = {
    "input_tokens": "usage.inputTokens",
    "output_tokens": "usage.outputTokens",
    "cached_tokens": "usage.cachedTokens",
    "cache_write_tokens": "usage.cacheWriteTokens",
    "cache_write_1h_tokens": "usage.cacheWrite1hTokens",
    "reasoning_tokens": "usage.reasoningTokens",
    "latency_ms": "usage.latencyInMs",
    "streaming_duration_ms": "usage.streamingDurationInMs",
    "is_streamed": "usage.isStreamed",
    "provider": "usage.provider",
    "model": "usage.model",
    "service_tier": "usage.serviceTier",
    "status": "status.status",
    "error_message": "status.errorMessage",
    "feature": "metadata.feature",
    "step": "metadata.step",
    "session_id": "metadata.sessionId",
    "conversation_id": "metadata.conversationId",
    "occurred_at": "metadata.timestamp",
    "user_id": "metadata.user.id",
    "user_name": "metadata.user.name",
}
"""Where each column stands in the wire's shape."""
_COLUMN_OF: Final = {name: column for column, name in WIRE_NAMES.items()}
_NUMBERS: Final = frozenset(column for column in WIRE_NAMES if column.endswith(("_tokens", "_ms")))


class Unreadable(Exception):
    """The file as a whole cannot be read; the text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a file. `number` is its line, or in Parquet its row, from 1 on; `text` is what stands there."""

    number: int
    text: str
    body: bytes = b""
    """The event in the wire's shape."""
    row: Mapping[str, str] | None = None
    """The columns of a table; None for JSON lines."""


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """An open file: its lines in order, and how much of it is read, in the unit of `size`."""

    lines: Iterator[Line]
    size: int
    position: Callable[[], int]


@contextmanager
def opened(path: Path) -> Iterator[HistoryFile]:
    """The file by its suffix: .jsonl or .ndjson, .csv, .parquet; the first ones also with .gz behind it.

    Raises Unreadable for another suffix, or for what is no such file.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix == ".parquet":
        yield _parquet(path)
        return
    reader = {".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv_lines}.get(suffix)
    if reader is None:
        raise Unreadable("FILE: must end in .jsonl, .csv or .parquet.")
    with path.open("rb") as raw, _unpacked(path, raw) as content:
        size = path.stat().st_size
        yield HistoryFile(reader(content), size, lambda: size if raw.closed else raw.tell())


def field_name(field: str, line: Line) -> str:
    """What a field of the wire is called in the line's file."""
    return field if line.row is None else _COLUMN_OF.get(field, field)


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    return gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw  # type: ignore[return-value]


def _json_lines(content: IO[bytes]) -> Iterator[Line]:
    for number, found in enumerate(content, 1):
        line = found.removeprefix(codecs.BOM_UTF8) if number == 1 else found
        if line.strip():
            yield Line(number, line.decode(errors="replace").rstrip("\r\n"), line.strip())


def _csv_lines(content: IO[bytes]) -> Iterator[Line]:
    csv.field_size_limit(2**24)
    reader = csv.reader(io.TextIOWrapper(content, encoding="utf-8-sig", errors="strict", newline=""), strict=True)
    try:
        names = next(reader, [])
        _check_columns(names)
        texts = [COLUMNS.get(name) in FREE_TEXT for name in names]
        number = reader.line_num + 1
        for cells in reader:
            if cells:
                read = (unguarded(cell) if text else cell for cell, text in zip(cells, texts, strict=False))
                row = dict(zip(names, read, strict=False))
                yield Line(number, _record(cells), _wire_event(row), row)
            number = reader.line_num + 1
    except UnicodeDecodeError:
        raise Unreadable("FILE: is not UTF-8.") from None
    except csv.Error as error:
        raise Unreadable(f"FILE: line {reader.line_num} is no CSV: {error}.") from None


def _record(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _parquet(path: Path) -> HistoryFile:
    # Only here: the library takes 65 MB, and nothing else of this app has a use for it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid:
        raise Unreadable("FILE: is no Parquet file.") from None
    _check_columns(file.schema_arrow.names)
    read = 0

    def lines() -> Iterator[Line]:
        nonlocal read
        for batch in file.iter_batches(BATCH_ROWS, columns=[one for one in file.schema_arrow.names if one in COLUMNS]):
            for values in batch.to_pylist():
                read += 1
                row = {name: _text(value) for name, value in values.items()}
                yield Line(read, msgspec.json.encode(row).decode(), _wire_event(row), row)

    return HistoryFile(lines(), file.metadata.num_rows, lambda: read)


def _check_columns(names: list[str]) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise Unreadable(f"FILE: has no column {', '.join(missing)}; docs/operations.md names the columns.")


def _text(value: Any) -> str:
    """A value of Parquet as CSV would have it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


def _wire_event(row: Mapping[str, str]) -> bytes:
    """The row in the wire's shape. What has no place there is left to whoever reads the line."""
    parts: dict[str, dict[str, Any]] = {"usage": {}, "status": {"status": "SUCCESS"}, "metadata": _metadata(row)}
    for column, name in WIRE_NAMES.items():
        part, _, word = name.partition(".")
        if (text := row.get(column, "")) and not word.startswith("user."):
            parts[part][word] = _value(column, text)
    if user := row.get("user_id", ""):
        parts["metadata"]["user"] = {"id": user, **({"name": row["user_name"]} if row.get("user_name") else {})}
    return msgspec.json.encode(parts)


def _metadata(row: Mapping[str, str]) -> dict[str, Any]:
    """The keys of the metadata, their values as they stand in the file; of what is no object, none."""
    if not (text := row.get("metadata", "")):
        return {}
    try:
        return dict(msgspec.json.decode(text, type=dict[str, Raw]))
    except msgspec.DecodeError:
        return {}


def is_json_object(text: str) -> bool:
    """Whether the text is a JSON object."""
    try:
        msgspec.json.decode(text, type=dict[str, Raw])
    except msgspec.DecodeError:
        return False
    return True


def _value(column: str, text: str) -> Any:
    """The text of a column as JSON; what should be a number and is none stays a text, to be refused as one."""
    if column in _NUMBERS and wire_json.NUMBER.fullmatch(text.encode()):
        return Raw(text.encode())
    if column == "is_streamed" and text in ("true", "false"):
        return text == "true"
    return text
