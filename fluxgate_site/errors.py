"""What Django answers outside of views: a page to people, the wire contract's error body below `/api/`."""

import sys

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from dashboard.views import errors as pages
from metering.api import errors as api


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, for example of a host that is not ours."""
    if _is_api(request):
        return api.answer(api.of_exception(exception))
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away; a fault of ours is 500 on a page."""
    error = sys.exception()
    if _is_api(request) and isinstance(error, Exception):
        return api.answer(api.of_exception(error))
    return pages.server_error(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
