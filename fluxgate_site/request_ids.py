"""A name for every request: error pages show it, and so does each line of the log that the request causes."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-Id"
_current: ContextVar[str] = ContextVar("request_id", default="")


class RequestIdMiddleware:
    """Sets `request.request_id`; an answer that is an error has it as a header too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = uuid4().hex  # type: ignore[attr-defined]
        current = _current.set(request.request_id)  # type: ignore[attr-defined]
        try:
            response = self._get_response(request)
        finally:
            _current.reset(current)
        if response.status_code >= 400:
            response.headers.setdefault(HEADER, request.request_id)  # type: ignore[attr-defined]
        return response


class NamesRequest(logging.Filter):
    """Gives the formatter `%(request_name)s`: which request a line belongs to, '' outside of any."""

    def filter(self, record: logging.LogRecord) -> bool:
        current = _current.get()
        record.request_name = f" [request {current}]" if current else ""
        return True
