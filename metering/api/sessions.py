"""Sign-ins in the database: opened with a password, refreshed by a token that changes each time, ended for good."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q
from django.utils.crypto import constant_time_compare

from events.models import Membership, User
from metering.api import tokens
from metering.api.tokens import Claims, InvalidToken
from metering.models import ApiSession

LIFE: Final = timedelta(days=30)
"""However often it is refreshed, a sign-in ends that long after the password was typed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A sign-in with the two tokens that are good for it; the refresh token cannot be had a second time."""

    user: User
    access_token: str
    refresh_token: str
    expires_at: datetime


def open_session(user: User, now: datetime) -> Opened:
    """Sign in who has shown the password; forgets the person's sign-ins that are over."""
    over = Q(expires_at__lte=now) | Q(ended_at__isnull=False)
    ApiSession.objects.filter(over, user=user).delete()
    session_id = uuid4()
    token = tokens.refresh_token(session_id)
    session = ApiSession.objects.create(
        id=session_id,
        user=user,
        refresh_sha256=tokens.digest(token),
        password_hash=user.get_session_auth_hash(),
        created_at=now,
        expires_at=now + LIFE,
    )
    return _opened(session, token, now)


def refresh(token: str, now: datetime) -> Opened:
    """New tokens for old. Raises InvalidToken.

    A token of the sign-in that is not its newest was used before, or never given out: somebody else has a copy, and
    nobody can tell who is who, so the sign-in ends.
    """
    with transaction.atomic():
        session = _live(tokens.session_of(token), now, lock=True)
        if session is not None and not _is_newest(session, token):
            _end(session, now)
            session = None
        elif session is not None:
            token = tokens.refresh_token(session.pk)
            session.refresh_sha256 = tokens.digest(token)
            session.save(update_fields=["refresh_sha256"])
    if session is None:  # raised outside, so that its end is committed
        raise InvalidToken
    return _opened(session, token, now)


def user_of(claims: Claims, now: datetime) -> User:
    """The person of an access token, while the sign-in lasts. One query. Raises InvalidToken."""
    session = _live(claims.session_id, now)
    if session is None or session.user_id != claims.user_id:
        raise InvalidToken
    return session.user


def end(session_id: UUID, now: datetime) -> None:
    """End a sign-in; one that is over or unknown stays so."""
    ApiSession.objects.filter(pk=session_id, ended_at=None).update(ended_at=now)


def memberships(user: User) -> list[Membership]:
    """Where the person is a member, in the order in which the dashboard shows organizations."""
    return list(
        Membership.objects.filter(user=user).select_related("organization").order_by("organization__name", "pk")
    )


def _live(session_id: UUID, now: datetime, *, lock: bool = False) -> ApiSession | None:
    """The sign-in, unless it is over, or its person was deactivated or has another password by now."""
    sessions = ApiSession.objects.select_for_update(of=("self",)) if lock else ApiSession.objects.all()
    session = (
        sessions.select_related("user")
        .filter(pk=session_id, ended_at=None, expires_at__gt=now, user__is_active=True)
        .first()
    )
    if session is None or not constant_time_compare(session.password_hash, session.user.get_session_auth_hash()):
        return None
    return session


def _is_newest(session: ApiSession, token: str) -> bool:
    return constant_time_compare(bytes(session.refresh_sha256), tokens.digest(token))


def _end(session: ApiSession, now: datetime) -> None:
    session.ended_at = now
    session.save(update_fields=["ended_at"])


def _opened(session: ApiSession, token: str, now: datetime) -> Opened:
    access = tokens.access_token(Claims(session.user_id, session.pk), now, session.expires_at)
    return Opened(session.user, access, token, session.expires_at)
