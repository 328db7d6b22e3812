"""Answers that are files: written while they are sent, or lying ready."""

from collections.abc import Generator, Iterator
from pathlib import Path
from threading import BoundedSemaphore
from urllib.parse import quote

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from dashboard.models import ExportFormat

CONTENT_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}
AT_ONCE = 2
"""How many answers one process may write at a time: each holds one of its few threads and a database connection."""
RETRY_SECONDS = 10
FILE_HEADER = "X-FluxGate-File"
"""Names the file that the server is to send by itself; see fluxgate_site/page_answers.py."""
_places = BoundedSemaphore(AT_ONCE)


def csv_stream(request: HttpRequest, pieces: Generator[str], name: str) -> HttpResponseBase:
    """An answer that is written while it is sent; 503 when as many as there may be are being written."""
    if not _places.acquire(blocking=False):
        response = render(request, "dashboard/busy.html", status=503)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
    return _as_file(StreamingHttpResponse(_Placed(pieces), content_type=CONTENT_TYPES[ExportFormat.CSV]), name)


def file_download(request: HttpRequest, path: Path, file_format: str, name: str) -> HttpResponseBase:
    """A file of ours as an attachment; where the server can, it sends it without one of the threads for pages.

    Raises Http404 when it is not there.
    """
    if not path.exists():
        raise Http404("The file is not there any more.")
    content_type = CONTENT_TYPES[ExportFormat(file_format)]
    if "http.response.pathsend" not in request.META.get("asgi.scope", {}).get("extensions", {}):
        return _as_file(FileResponse(path.open("rb"), content_type=content_type), name)
    response = HttpResponse(content_type=content_type)
    response["Content-Length"] = str(path.stat().st_size)
    response[FILE_HEADER] = quote(str(path))
    return _as_file(response, name)


def attachment(content: bytes | str, content_type: str, name: str) -> HttpResponse:
    """A small file that was made for this answer; `name` holds nothing that a header would have to escape."""
    response = HttpResponse(content, content_type=content_type)
    _as_file(response, name)
    return response


def _as_file(response: HttpResponseBase, name: str) -> HttpResponseBase:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


class _Placed:
    """The pieces of an answer that has one of the places; it is free again once they are closed, read or not.

    A generator could not do it: one that was never begun runs none of its code when it is closed.
    """

    def __init__(self, pieces: Generator[str]) -> None:
        self._pieces = pieces
        self._has_place = True

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __del__(self) -> None:
        # An answer that something on its way out has dropped is never closed.
        self.close()

    def close(self) -> None:
        self._pieces.close()
        if self._has_place:
            self._has_place = False
            _places.release()
