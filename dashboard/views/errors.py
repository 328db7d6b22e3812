"""What a page answers that could not be made."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from psycopg.errors import QueryCanceled

_AWAY = ("08", "53", "57P")
"""How the codes of PostgreSQL begin that say that it is going, gone, or full. A lost connection has no code at all."""


def server_error(request: HttpRequest) -> HttpResponse:
    """503 while the database is away, which passes, and where adding up took too long; 500 for everything else.

    Needs neither database nor session.
    """
    error = sys.exception()
    if isinstance(error, OperationalError) and isinstance(error.__cause__, QueryCanceled):
        return render(request, "slow.html", status=503)
    if not _is_database_away(error):
        return render(request, "500.html", status=500)
    response = render(request, "503.html", status=503)
    response["Retry-After"] = "5"
    return response


def _is_database_away(error: BaseException | None) -> bool:
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    code = getattr(error.__cause__, "sqlstate", None)
    return code is None or code.startswith(_AWAY)
