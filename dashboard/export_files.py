"""Events as files: CSV, written by the web process as well, and Parquet, for the process that runs jobs alone."""

import csv
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from dashboard.filters import Filters
from dashboard.models import Export, ExportFormat
from dashboard.queries import exports as queries
from dashboard.queries.exports import Row
from dashboard.queries.reading import snapshot
from events.event_columns import COLUMNS, FREE_TEXT, Kind, guarded

Write = Callable[[Sequence[Row]], None]
"""Takes the next rows of a file."""
Text = Callable[[Any], str]


def folder() -> Path:
    """Where prepared exports lie, readable by the server's user alone; made when it is missing."""
    path: Path = settings.DATA_DIR / "exports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path_of(export: Export) -> Path:
    """Where the finished file of an export lies."""
    return folder() / f"{export.pk}.{export.format}"


def part_of(export: Export) -> Path:
    """Where it is while it is being written."""
    return folder() / f"{export.pk}.part"


def opened(file_format: str, path: Path) -> AbstractContextManager[Write]:
    """A new file for the rows of `dashboard.queries.exports`; when the block ends well, all of it is on disk."""
    if file_format == ExportFormat.PARQUET:
        # Only here: the library takes 65 MB, and a web process has no use for it.
        from dashboard.parquet_files import opened_parquet

        return opened_parquet(path)
    return _opened_csv(path)


@contextmanager
def _opened_csv(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(csv_text([tuple(COLUMNS)]))
        yield lambda rows: _written(file.write(csv_of_events(rows)))
        file.flush()
        os.fsync(file.fileno())


def _written(characters: int) -> None:
    """`write` of a text file, as a statement."""


def requests_csv(organization_id: int, filters: Filters) -> Generator[str]:
    """The requests of the filters as CSV, piece by piece, all from one snapshot of the database.

    The connection is free again once the last piece is read, or the generator closed.
    """
    yield csv_text([tuple(COLUMNS)])
    with snapshot():
        for rows in queries.stream(organization_id, filters):
            yield csv_of_events(rows)


def csv_of_events(rows: Iterable[Row]) -> str:
    """The events as lines of CSV, without the head."""
    return csv_text(map(_cells, rows))


def _cells(row: Row) -> list[object]:
    cells = list(row[1:])
    for index, text in _TEXTS:
        if cells[index] is not None:
            cells[index] = text(cells[index])
    return cells


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Lines of CSV as RFC 4180 has them; None is empty."""
    lines = StringIO(newline="")
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def usd_text(amount: Decimal) -> str:
    """USD as plain digits with 12 places: no sign of the currency, no separators, no exponent."""
    return f"{amount:.12f}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _truth(value: bool) -> str:
    return "true" if value else "false"


_TEXT_OF: Final[dict[Kind, Text]] = {
    **dict.fromkeys(FREE_TEXT, guarded),
    Kind.USD: usd_text,
    Kind.TIME: _time,
    Kind.TRUTH: _truth,
}
"""Of the other kinds `csv` writes what is wanted: whole numbers, the shortest digits of a fraction, text as it is."""
_TEXTS: Final = tuple((index, _TEXT_OF[kind]) for index, kind in enumerate(COLUMNS.values()) if kind in _TEXT_OF)
