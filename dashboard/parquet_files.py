"""Events as Parquet. Imported only where a file is written: pyarrow takes 65 MB."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.export_files import Write
from dashboard.queries.exports import Row
from events.event_columns import COLUMNS, Kind

GROUP_ROWS = 50_000
_TYPES: Final[dict[Kind, Any]] = {
    Kind.TEXT: pa.string(),
    Kind.LABEL: pa.dictionary(pa.int32(), pa.string()),
    Kind.WORD: pa.dictionary(pa.int32(), pa.string()),
    Kind.COUNT: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.USD: pa.decimal128(38, 12),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.TRUTH: pa.bool_(),
    Kind.JSON: pa.string(),
}
SCHEMA: Final = pa.schema([(name, _TYPES[kind]) for name, kind in COLUMNS.items()])
_ENCODED: Final = [name for name, kind in COLUMNS.items() if kind in (Kind.LABEL, Kind.WORD)]
_GIVEN: Final = (Kind.TEXT, Kind.LABEL)


@contextmanager
def opened_parquet(path: Path) -> Iterator[Write]:
    """A new file with row groups of GROUP_ROWS; when the block ends well, all of it is on disk."""
    waiting: list[Any] = []
    with path.open("wb") as file, pq.ParquetWriter(file, SCHEMA, compression="zstd", use_dictionary=_ENCODED) as writer:

        def flush() -> None:
            # Columns of Arrow take a tenth of what the same rows take in Python, so they wait for their group.
            writer.write_table(pa.Table.from_batches(waiting, SCHEMA).unify_dictionaries(), row_group_size=GROUP_ROWS)
            waiting.clear()

        def write(rows: Sequence[Row]) -> None:
            waiting.append(_batch(rows))
            if sum(batch.num_rows for batch in waiting) >= GROUP_ROWS:
                flush()

        yield write
        if waiting:
            flush()
        writer.close()
        file.flush()
        os.fsync(file.fileno())


def _batch(rows: Sequence[Row]) -> Any:
    columns = list(zip(*rows, strict=True))[1:]
    arrays = [_array(kind, values) for kind, values in zip(COLUMNS.values(), columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _array(kind: Kind, values: Sequence[Any]) -> Any:
    """One column; a text that was not given is NULL, as it is empty in CSV."""
    if kind in _GIVEN:
        values = [value or None for value in values]
    return pa.array(values, type=_TYPES[kind])
