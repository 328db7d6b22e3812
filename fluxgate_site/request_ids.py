"""A name for every request: error pages show it, and so does each line of the log that the request causes."""

import logging
from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse

from events.http import current_request

HEADER = "X-Request-Id"


class RequestIdMiddleware:
    """Sets `request.request_id`; an answer that is an error has it as a header too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = uuid4().hex  # type: ignore[attr-defined]
        token = current_request.set(request.request_id)  # type: ignore[attr-defined]
        try:
            response = self._get_response(request)
        finally:
            current_request.reset(token)
        if response.status_code >= 400:
            response.headers.setdefault(HEADER, request.request_id)  # type: ignore[attr-defined]
        return response


class NamesRequest(logging.Filter):
    """Gives the formatter `%(request_name)s`: which request a line belongs to, '' outside of any."""

    def filter(self, record: logging.LogRecord) -> bool:
        current = current_request.get()
        record.request_name = f" [request {current}]" if current else ""
        return True
