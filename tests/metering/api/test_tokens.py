"""Access tokens: what is not exactly one of ours, at this time, of a person who is still signed in, is 401."""

import base64
import json
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from django.conf import settings

from events.models import User
from metering.api import tokens
from metering.api.tokens import Claims, InvalidToken
from metering.models import ApiSession
from tests.metering.api.conftest import Api

NOW = datetime.now(UTC)
CLAIMS = Claims(7, UUID(int=7))


def made(claims: Claims = CLAIMS, **changes: Any) -> str:
    """A token like ours; a claim that is None is left out."""
    payload: dict[str, Any] = {
        "iss": "fluxgate",
        "aud": "fluxgate-api",
        "sub": str(claims.user_id),
        "sid": claims.session_id.hex,
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + timedelta(days=1),  # a whole run may lie between this and its test
        "jti": "1",
    }
    payload |= changes
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, tokens.signing_key(), "HS256")


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def with_header(header: Any) -> str:
    """A token of ours below another header."""
    return f"{part(header)}.{made().partition('.')[2]}"


def signed_with(algorithm: str) -> str:
    with warnings.catch_warnings(action="ignore"):  # the key is short for these
        return jwt.encode(ALL, tokens.signing_key(), algorithm)


ALL = {"sub": "7", "sid": UUID(int=7).hex, "iss": "fluxgate", "aud": "fluxgate-api", "jti": "1"} | {
    name: int((NOW + timedelta(days=1 if name == "exp" else 0)).timestamp()) for name in ("iat", "nbf", "exp")
}
BAD: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "a word": lambda: "token",
    "dots": lambda: "...",
    "alg none": lambda: f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(ALL)}.",
    "alg none with our signature": lambda: with_header({"alg": "none", "typ": "JWT"}),
    "alg NONE": lambda: f"{part({'alg': 'NONE'})}.{part(ALL)}.",
    "no alg": lambda: with_header({"typ": "JWT"}),
    "a list of algs": lambda: with_header({"alg": ["HS256"]}),
    "HS512 with our key": lambda: signed_with("HS512"),
    "HS384 with our key": lambda: signed_with("HS384"),
    "another key": lambda: jwt.encode(ALL, "x" * 32, "HS256"),
    "the secret itself as key": lambda: jwt.encode(ALL, settings.SECRET_KEY, "HS256"),
    "RS256": lambda: with_header({"alg": "RS256"}),
    "kid": lambda: with_header({"alg": "HS256", "kid": 5}),
    "crit": lambda: with_header({"alg": "HS256", "crit": ["x"]}),
    "expired": lambda: made(exp=NOW - timedelta(seconds=1)),
    "not yet": lambda: made(nbf=NOW + timedelta(days=1)),
    "of the future": lambda: made(iat=NOW + timedelta(days=1), exp=NOW + timedelta(days=2)),
    "another audience": lambda: made(aud="fluxgate"),
    "several audiences": lambda: made(aud=["fluxgate-api", "other"]),
    "another issuer": lambda: made(iss="fluxgate-api"),
    **{f"without {claim}": partial(made, CLAIMS, **{claim: None}) for claim in tokens.REQUIRED},
    "sub is no number": lambda: made(sub="admin"),
    "sub beyond bigint": lambda: made(sub="9" * 30),
    "sub below one": lambda: made(sub="-1"),
    "sub of ten thousand digits": lambda: made(sub="9" * 10_000),
    "sid is no id": lambda: made(sid="x"),
    "sid is a number": lambda: made(sid=5),
    "truncated": lambda: made()[:-3],
    "without signature": lambda: made().rpartition(".")[0] + ".",
    "changed": lambda: f"{made().split('.')[0]}.{part(ALL | {'sub': '8'})}.{made().split('.')[2]}",
    "a megabyte": lambda: "a." * 500_000,
    "not ASCII": lambda: made() + "é",
    "NUL": lambda: made() + "\0",
    "a refresh token": lambda: tokens.refresh_token(uuid4()),
}


def test_a_token_says_who_and_which_sign_in() -> None:
    assert tokens.read_access_token(tokens.access_token(CLAIMS, datetime.now(UTC), NOW + timedelta(days=1))) == CLAIMS
    assert tokens.read_access_token(made()) == CLAIMS


def test_a_token_does_not_outlive_its_sign_in() -> None:
    until = NOW + timedelta(minutes=1)
    payload = jwt.decode(tokens.access_token(CLAIMS, NOW, until), options={"verify_signature": False})
    assert payload["exp"] == int(until.timestamp())


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_ours_is_refused(name: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.read_access_token(BAD[name]())


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("NUL",)])
def test_what_is_not_ours_is_401(name: str, db: None) -> None:
    response = Api(Authorization=f"Bearer {BAD[name]()}").get("meters")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert response.json()["error"]["type"] == "unauthorized"


def _sign_out(user: User) -> None:
    ApiSession.objects.update(ended_at=datetime.now(UTC))


def _expire(user: User) -> None:
    ApiSession.objects.update(expires_at=datetime.now(UTC))


def _change_password(user: User) -> None:
    user.set_password("another")
    user.save()


def _deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def _delete(user: User) -> None:
    user.delete()


@pytest.mark.parametrize("change", [_sign_out, _expire, _change_password, _deactivate, _delete])
def test_a_sign_in_that_is_over_opens_nothing(admin: Api, change: Callable[[User], None]) -> None:
    assert admin.get("meters").status_code == 200
    change(admin.user)
    assert admin.get("meters").status_code == 401


def test_a_token_of_somebody_elses_sign_in_is_refused(admin: Api) -> None:
    session = ApiSession.objects.get()
    assert Api(Authorization=f"Bearer {made(Claims(session.user_id, session.pk))}").get("meters").status_code == 200
    assert Api(Authorization=f"Bearer {made(Claims(session.user_id + 1, session.pk))}").get("meters").status_code == 401


@pytest.mark.parametrize(
    "token", ["", ".", "x.y", f"{'0' * 32}.", f"{'g' * 32}.x", f"{'0' * 32}.é", "a" * 5_000, f"{'0' * 31}.x"]
)
def test_a_refresh_token_names_its_sign_in_or_is_none(token: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.session_of(token)


def test_refresh_tokens_are_never_the_same() -> None:
    session_id = uuid4()
    assert tokens.session_of(tokens.refresh_token(session_id)) == session_id
    assert tokens.refresh_token(session_id) != tokens.refresh_token(session_id)
