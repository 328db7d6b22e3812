"""The tokens of a sign-in: a JWT that is good for minutes, and a refresh token that gets the next one.

Nothing here asks the database. What a token says is worth nothing before `sessions.py` has looked at its sign-in.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import jwt
from django.conf import settings

ACCESS_LIFE: Final = timedelta(minutes=15)
ALGORITHM: Final = "HS256"
ISSUER: Final = "fluxgate"
AUDIENCE: Final = "fluxgate-api"
REQUIRED: Final = ("iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti")
MAX_CHARACTERS: Final = 2048
"""Ours have about 400; nothing longer is looked at."""

_PURPOSE: Final = b"fluxgate.metering.api.access-token"
_LARGEST_ID: Final = 2**63 - 1


class InvalidToken(Exception):
    """A token that is not ours, not whole, or not good at this time; why is nobody's business."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Whose token it is, and of which sign-in."""

    user_id: int
    session_id: UUID


def access_token(claims: Claims, now: datetime, good_until: datetime) -> str:
    """A JWT that is good from `now` on, for ACCESS_LIFE, but not beyond `good_until`."""
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(claims.user_id),
        "sid": claims.session_id.hex,
        "iat": now,
        "nbf": now,
        "exp": min(now + ACCESS_LIFE, good_until),
        "jti": uuid4().hex,
    }
    return jwt.encode(payload, signing_key(), ALGORITHM)


def read_access_token(token: str) -> Claims:
    """What a valid access token says, by the clock of this machine. Raises InvalidToken and nothing else."""
    if len(token) > MAX_CHARACTERS or not token.isascii():
        raise InvalidToken
    try:
        payload = jwt.decode(
            token,
            signing_key(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": list(REQUIRED), "strict_aud": True},
        )
        claims = Claims(int(payload["sub"]), UUID(hex=payload["sid"]))
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise InvalidToken from None
    if not 0 < claims.user_id <= _LARGEST_ID:
        raise InvalidToken
    return claims


def signing_key() -> bytes:
    """32 bytes from the installation's secret, for access tokens alone: no other signature of its can be one."""
    return hmac.digest(settings.SECRET_KEY.encode(), _PURPOSE, "sha256")


def refresh_token(session_id: UUID) -> str:
    """A new refresh token of the sign-in: its id, so that an old token can be told, and 32 random bytes."""
    return f"{session_id.hex}.{secrets.token_urlsafe(32)}"


def session_of(token: str) -> UUID:
    """The sign-in that a refresh token names. Raises InvalidToken."""
    session_id, dot, random = token.partition(".")
    if not (dot and random and len(token) <= MAX_CHARACTERS and token.isascii() and len(session_id) == 32):
        raise InvalidToken
    try:
        return UUID(hex=session_id)
    except ValueError:
        raise InvalidToken from None


def digest(token: str) -> bytes:
    """What is stored of a refresh token."""
    return hashlib.sha256(token.encode()).digest()


def seconds_left(until: datetime, now: datetime) -> int:
    """Whole seconds from `now`, at least 0."""
    return max(0, int((until - now.astimezone(UTC)).total_seconds()))
