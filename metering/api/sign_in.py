"""`/api/v1/auth`: a password for two cookies, a refresh token for the next two, and the end of both."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import authenticate
from django.http import HttpRequest, HttpResponse
from ninja import Router

from events import sign_in_throttle
from events.http import HttpError
from events.models import User
from metering.api import answers, credentials, sessions, tokens
from metering.api.access import from_own_pages, unauthorized
from metering.api.credentials import ACCESS_COOKIE, REFRESH_COOKIE
from metering.api.fields import Incoming, Outgoing, Secret
from metering.api.sessions import Opened
from metering.api.tokens import InvalidToken

router = Router(tags=["Sign-in"])
ACCESS_PATH: Final = "/api/v1"
REFRESH_PATH: Final = "/api/v1/auth"
WRONG: Final = "the e-mail address or the password is wrong"


class Password(Incoming):
    """Who signs in."""

    email: Secret
    password: Secret


class Person(Outgoing):
    """Who is signed in."""

    id: int
    email: str
    name: str


class OrganizationOfPerson(Outgoing):
    """Where the person is a member; `slug` goes into the header X-Organization."""

    name: str
    slug: str
    role: str


class SignedIn(Outgoing):
    """`access_token` is for those who send it as Bearer; browsers have it in the cookie."""

    access_token: str
    expires_in: int
    user: Person
    organizations: list[OrganizationOfPerson]


class SignedOut(Outgoing):
    """Nobody is signed in any more."""

    status: str = "SIGNED_OUT"


@router.post("/login", auth=from_own_pages, response=answers.signs(SignedIn, 401, 429))
def login(request: HttpRequest, response: HttpResponse, sent: Password) -> Any:
    """Sign in with e-mail address and password.

    Sets the cookies `access_token` (15 minutes) and `refresh_token` (30 days at most, for this path alone).
    """
    now = datetime.now(UTC)
    user = _user(request, sent.email.strip(), sent.password, now)
    return _signed_in(response, sessions.open_session(user, now), now)


@router.post("/refresh", auth=from_own_pages, response=answers.signs(SignedIn, 401))
def refresh(request: HttpRequest, response: HttpResponse) -> Any:
    """Both cookies anew for the cookie `refresh_token`, which is good once: shown again, it ends the sign-in."""
    now = datetime.now(UTC)
    try:
        opened = sessions.refresh(_refresh_cookie(request), now)
    except InvalidToken:
        raise unauthorized("the refresh token is not valid, or not any more; sign in") from None
    return _signed_in(response, opened, now)


@router.post("/logout", auth=from_own_pages, response=answers.signs(SignedOut))
def logout(request: HttpRequest, response: HttpResponse) -> Any:
    """End the sign-in, for access tokens that were given out too. Fine also when nobody is signed in."""
    now = datetime.now(UTC)
    for session_id in _named_sessions(request):
        sessions.end(session_id, now)
    response.delete_cookie(ACCESS_COOKIE, path=ACCESS_PATH, samesite="Lax")
    response.delete_cookie(REFRESH_COOKIE, path=REFRESH_PATH, samesite="Lax")
    return SignedOut()


def _user(request: HttpRequest, email: str, password: str, now: datetime) -> User:
    """Who has this password. Wrong passwords, unknown and inactive people take the same time and get the same words."""
    folder, address = Path(settings.DATA_DIR) / "sign_in", request.META.get("REMOTE_ADDR", "")
    if sign_in_throttle.is_refused(folder, email, address, now):
        wait = str(int(sign_in_throttle.WINDOW.total_seconds())).encode()
        message = "too many failed tries: wait 15 minutes, then try again"
        raise HttpError(429, "too_many_tries", message, headers=[(b"retry-after", wait)])
    user = authenticate(request, username=email, password=password)
    sign_in_throttle.record(folder, email, address, now, succeeded=user is not None)
    if not isinstance(user, User):
        raise unauthorized(WRONG)
    return user


def _signed_in(response: HttpResponse, opened: Opened, now: datetime) -> SignedIn:
    access_seconds = min(int(tokens.ACCESS_LIFE.total_seconds()), tokens.seconds_left(opened.expires_at, now))
    _set_cookie(response, ACCESS_COOKIE, opened.access_token, access_seconds, ACCESS_PATH)
    refresh_seconds = tokens.seconds_left(opened.expires_at, now)
    _set_cookie(response, REFRESH_COOKIE, opened.refresh_token, refresh_seconds, REFRESH_PATH)
    return SignedIn(
        access_token=opened.access_token,
        expires_in=access_seconds,
        user=Person.model_validate(opened.user),
        organizations=[
            OrganizationOfPerson(name=one.organization.name, slug=one.organization.slug, role=one.role)
            for one in sessions.memberships(opened.user)
        ],
    )


def _set_cookie(response: HttpResponse, name: str, value: str, seconds: int, path: str) -> None:
    secure = settings.PUBLIC_URL.startswith("https:")
    response.set_cookie(name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite="Lax")


def _refresh_cookie(request: HttpRequest) -> str:
    if credentials.sent_twice(request.headers.get("Cookie", ""), REFRESH_COOKIE):
        raise InvalidToken
    return request.COOKIES.get(REFRESH_COOKIE, "")


def _named_sessions(request: HttpRequest) -> set[Any]:
    """The sign-ins that the request's tokens name: a person's own, whichever of the two tokens is still there."""
    found = set()
    with contextlib.suppress(credentials.Unusable, InvalidToken):
        found.add(tokens.read_access_token(credentials.read(request.headers, request.COOKIES).text).session_id)
    with contextlib.suppress(InvalidToken):
        found.add(tokens.session_of(_refresh_cookie(request)))
    return found
