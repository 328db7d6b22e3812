"""What open pages poll with: a word that changes when there is something new to show, and the answer when it has not.

Every open page asks every two seconds, and nearly always nothing has happened. So the word says for which session and
organization it was made, under a seal: who sends it back is told that nothing is new by one statement, without reading
the session, the person and the memberships. The seal ends with the hour; everything else is asked and answered in full,
so that who was signed out or removed learns at most, for the rest of the hour, that nothing has happened.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from dashboard.access import MemberRequest
from dashboard.rendering import not_modified
from events import rollups
from metering import records

_WORD = re.compile(r"[0-9a-f-]+\.(?P<organization>\d{1,18})\.(?P<seal>[0-9a-f]{20})", re.ASCII)
_STATE = f"SELECT concat_ws('-', {rollups.REVISION}, {records.REVISION})"


def revision(request: MemberRequest) -> str:
    """Changes with every commit that changes the organization's pages, and each hour, because periods move on.

    Read it before the page's figures: what is committed between is then shown twice rather than missed.
    """
    return _word(request.session.session_key or "", request.visit.organization_id, request.visit.now)


class IdlePollMiddleware:
    """Answers a poll without news, before anything else is read; what passes has news, or asks for no poll."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return not_modified() if _is_idle_poll(request) else self._get_response(request)


def state(organization_id: int) -> str:
    """What has happened in the organization so far, as a word: one statement, asked by every poll."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"id": organization_id})
        return str(cursor.fetchone()[0])


def _is_idle_poll(request: HttpRequest) -> bool:
    word = request.GET.get("rev", "")
    found = _WORD.fullmatch(word) if request.method == "GET" and "HX-Request" in request.headers else None
    if found is None:
        return False
    session_key, now = request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""), datetime.now(UTC)
    organization_id = int(found["organization"])
    is_own = constant_time_compare(found["seal"], _seal(session_key, organization_id, now))
    return is_own and word == _word(session_key, organization_id, now)


def _word(session_key: str, organization_id: int, now: datetime) -> str:
    return f"{state(organization_id)}-{now:%y%m%d%H}.{organization_id}.{_seal(session_key, organization_id, now)}"


def _seal(session_key: str, organization_id: int, now: datetime) -> str:
    """Proves that the session was shown the organization's pages in this hour."""
    shown = f"{session_key}.{organization_id}.{now:%y%m%d%H}"
    return salted_hmac("dashboard.live", shown, algorithm="sha256").hexdigest()[:20]
