"""Writing the files that people asked for, one after the other: the work behind dashboard/jobs.py.

A file is written under another name, batch by batch, and renamed when it is whole, so that nobody can download half of
one. A worker that dies leaves a part; the next one begins that file anew. After every batch the row says how far it is,
in a statement that finds no row once somebody has stopped the export.
"""

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from django.db.models import F, Sum

from dashboard import export_files
from dashboard.filters import Filters
from dashboard.formats import file_size
from dashboard.models import UNFINISHED, Export, ExportState
from dashboard.queries import exports as queries

logger = logging.getLogger("fluxgate.exports")

KEPT = timedelta(days=7)
MOST_BYTES = 5 * 10**9
"""Of all files of one organization."""
FREE_BYTES = 10**9
"""What must stay free on the disk, which may be the database's as well."""
MOST_ATTEMPTS = 3

ShouldStop = Callable[[], bool]
Clock = Callable[[], datetime]


class _Interrupted(Exception):
    """The worker is told to stop: another one begins anew."""


class _Unwanted(Exception):
    """Somebody stopped or removed the export."""


class _Impossible(Exception):
    """The file cannot be written; the text is a sentence for people."""


def run_pending(should_stop: ShouldStop, clock: Clock) -> None:
    """Write the exports that are not finished, oldest first. Returns at once when another process is at it."""
    while not should_stop():
        with queries.alone() as alone:
            while alone and (export := _next()) and not should_stop():
                _run(export, should_stop, clock)
        # Looked for once more without the lock: whoever asked for one just now has met it and gone.
        if not alone or _next() is None:
            return


def remove_old(now: datetime) -> None:
    """Delete exports that have expired, and files whose export is gone."""
    files = list(export_files.folder().iterdir())
    Export.objects.filter(expires_at__lte=now).exclude(state__in=UNFINISHED).delete()
    known = {str(pk) for pk in Export.objects.values_list("pk", flat=True)}
    for file in files:
        if file.stem not in known:
            file.unlink(missing_ok=True)


def filters_of(export: Export) -> Filters:
    """The filters as they were when the export was asked for, whatever their words would mean now."""
    filters = Filters.from_query(dict(parse_qsl(export.query)), export.created_at, export.organization.zone)
    return replace(filters, start=export.start_at, end=export.end_at)


def _next() -> Export | None:
    """Whoever holds the lock is alone, so what is said to be running is the rest of a worker that died."""
    return Export.objects.filter(state__in=UNFINISHED).select_related("organization").order_by("pk").first()


def _run(export: Export, should_stop: ShouldStop, clock: Clock) -> None:
    if export.attempts >= MOST_ATTEMPTS:
        said = f"It was cut short {MOST_ATTEMPTS} times. Try one with fewer requests."
        _change(export, UNFINISHED, state=ExportState.FAILED, problem=said, size_bytes=0)
        return
    started = {"state": ExportState.RUNNING, "attempts": F("attempts") + 1, "rows_done": 0, "rows_total": None}
    if not _change(export, UNFINISHED, **started):
        return
    part = export_files.part_of(export)
    try:
        rows = _write(export, should_stop)
        _publish(export, rows, clock())
    except _Interrupted:
        # A stop of the server is nobody's fault: it does not count as an attempt.
        _change(export, (ExportState.RUNNING,), state=ExportState.WAITING, attempts=export.attempts)
    except _Unwanted:
        logger.info("export %s is no longer wanted", export.pk)
    except (_Impossible, OSError) as error:
        said = str(error) if isinstance(error, _Impossible) else f"The file cannot be written: {error.strerror}."
        _change(export, (ExportState.RUNNING,), state=ExportState.FAILED, problem=said, size_bytes=0)
        logger.warning("export %s failed: %s", export.pk, said)
    finally:
        part.unlink(missing_ok=True)


def _write(export: Export, should_stop: ShouldStop) -> int:
    """Write the part, and say after every batch how far it is; returns how many rows it has."""
    filters, organization = filters_of(export), export.organization_id
    _progress(export, rows_total=queries.total(organization, filters, export.created_at))
    free = MOST_BYTES - _size_of_others(export)
    part = export_files.part_of(export)
    rows, after = 0, None
    with export_files.opened(export.format, part) as write:
        while batch := queries.batch(organization, filters, export.created_at, after):
            if should_stop():
                raise _Interrupted
            write(batch)
            rows, after = rows + len(batch), _id(batch[-1])
            size = part.stat().st_size
            _progress(export, rows_done=rows, size_bytes=size)
            _check_room(size, free)
    _check_room(part.stat().st_size, free)
    return rows


def _publish(export: Export, rows: int, now: datetime) -> None:
    part, path = export_files.part_of(export), export_files.path_of(export)
    size = part.stat().st_size
    os.replace(part, path)
    done = {"rows_done": rows, "rows_total": rows, "size_bytes": size, "finished_at": now, "expires_at": now + KEPT}
    if not _change(export, (ExportState.RUNNING,), state=ExportState.READY, **done):
        path.unlink(missing_ok=True)


def _check_room(size: int, free: int) -> None:
    if size > free:
        raise _Impossible(f"The files of your organization would take more than {file_size(MOST_BYTES)}.")
    if shutil.disk_usage(export_files.folder()).free < FREE_BYTES:
        raise _Impossible("The server's disk is nearly full.")


def _size_of_others(export: Export) -> int:
    others = Export.objects.filter(organization_id=export.organization_id).exclude(pk=export.pk)
    return int(others.aggregate(size=Sum("size_bytes"))["size"] or 0)


def _progress(export: Export, **fields: Any) -> None:
    if not _change(export, (ExportState.RUNNING,), **fields):
        raise _Unwanted


def _change(export: Export, states: tuple[ExportState, ...], **fields: Any) -> bool:
    """Write the fields while the export is in one of the states; False when it is not, or is gone."""
    return Export.objects.filter(pk=export.pk, state__in=states).update(**fields) == 1


def _id(row: queries.Row) -> UUID:
    found: UUID = row[0]
    return found
