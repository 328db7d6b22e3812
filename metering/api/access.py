"""Who calls, for which organization, and whether the role allows it. What `signed_in` returns are ninja's `auth`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from events import keys
from events.http import HttpError
from events.keys import KeyRecord
from events.models import ApiKey, Environment, Membership, Role, Scope
from metering.api import credentials, sessions, tokens
from metering.api.credentials import Credential, Kind

ORGANIZATION_HEADER: Final = "X-Organization"
READING: Final = ("GET", "HEAD", "OPTIONS")
RANK: Final = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}
KEY_NOTED_EVERY: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Caller:
    """A person or a program in one organization at one moment; an API key reads, whatever it may do elsewhere."""

    organization_id: int
    zone: ZoneInfo
    role: Role
    environment: Environment
    now: datetime
    person_id: int | None = None
    api_key_id: int | None = None


class ApiRequest(HttpRequest):
    """A request that `signed_in` has let in."""

    auth: Caller


def signed_in(role: Role = Role.VIEWER) -> Callable[[HttpRequest], Caller]:
    """Lets in who has at least `role` in the organization; raises HttpError 401, 403, 404 or 415.

    Membership and sign-in are read on every request, so who was removed or signed out is refused at once.
    """

    def authenticate(request: HttpRequest) -> Caller:
        now = datetime.now(UTC)
        credential = _credential(request)
        if credential.kind is Kind.API_KEY:
            return _program(request, credential.text, now)
        caller = _person(request, credential, now)
        if RANK[caller.role] < RANK[role]:
            raise HttpError(403, "missing_role", f"this needs the role {role.value}, you are {caller.role.value}")
        return caller

    return authenticate


def from_own_pages(request: HttpRequest) -> bool:
    """For what needs nobody signed in, but sets or takes cookies. Raises HttpError 403 or 415."""
    _check_origin(request)
    check_json(request)
    return True


def check_json(request: HttpRequest) -> None:
    """Raises HttpError 415 unless the body is declared as JSON, which no form of another site can do."""
    if request.content_type != "application/json":
        raise HttpError(415, "unsupported_media_type", "Content-Type must be application/json")


def _credential(request: HttpRequest) -> Credential:
    try:
        return credentials.read(request.headers, request.COOKIES)
    except credentials.Unusable as error:
        raise unauthorized(str(error)) from None


def unauthorized(message: str) -> HttpError:
    """401, with the header that belongs to it."""
    return HttpError(401, "unauthorized", message, headers=[(b"www-authenticate", b"Bearer")])


def _person(request: HttpRequest, credential: Credential, now: datetime) -> Caller:
    try:
        user = sessions.user_of(tokens.read_access_token(credential.text), now)
    except tokens.InvalidToken:
        raise unauthorized("the access token is not valid, or not any more; refresh it or sign in") from None
    if request.method not in READING:
        if credential.kind is Kind.COOKIE:
            _check_origin(request)
        if credential.kind is Kind.COOKIE or request.body:
            check_json(request)
    membership = _chosen(sessions.memberships(user), request.headers.get(ORGANIZATION_HEADER))
    return Caller(
        organization_id=membership.organization_id,
        zone=membership.organization.zone,
        role=Role(membership.role),
        environment=Environment.LIVE,
        now=now,
        person_id=user.pk,
    )


def _chosen(memberships: list[Membership], slug: str | None) -> Membership:
    if not memberships:
        raise HttpError(403, "no_organization", "you belong to no organization yet")
    if slug is None:
        return memberships[0]
    for membership in memberships:
        if membership.organization.slug == slug:
            return membership
    raise _no_such_organization(slug)


def _no_such_organization(slug: str) -> HttpError:
    message = f"{ORGANIZATION_HEADER}: you belong to no organization with the slug {slug[:50]!r}"
    return HttpError(404, "unknown_organization", message)


def _program(request: HttpRequest, text: str, now: datetime) -> Caller:
    key, organization_slug = _key(text, now)
    if request.method not in READING:
        message = "API keys only read here; usage of programs goes to POST /api/v1/sdk/track, for the rest sign in"
        raise HttpError(403, "missing_scope", message)
    if Scope.READ not in key.scopes:
        raise HttpError(403, "missing_scope", "this API key lacks the scope read")
    slug = request.headers.get(ORGANIZATION_HEADER)
    if slug is not None and slug != organization_slug:
        raise _no_such_organization(slug)
    return Caller(
        organization_id=key.organization_id,
        zone=key.zone,
        role=Role.VIEWER,
        environment=Environment(key.environment),
        now=now,
        api_key_id=key.id,
    )


def _key(text: str, now: datetime) -> tuple[KeyRecord, str]:
    """The key, and the slug of its organization. Raises HttpError 401."""
    if not keys.is_well_formed(text):
        raise unauthorized("this is not an API key of FluxGate: its form or its checksum is wrong")
    found = ApiKey.objects.select_related("organization").filter(sha256=keys.digest(text)).first()
    if found is None:
        raise unauthorized("there is no such API key")
    record = KeyRecord(
        id=found.pk,
        organization_id=found.organization_id,
        environment=found.environment,
        scopes=frozenset(found.scopes),
        zone=found.organization.zone,
        prefix=found.prefix,
        expires_at=found.expires_at,
        revoked_at=found.revoked_at,
    )
    if refusal := record.refusal(now):
        raise unauthorized(refusal)
    if found.last_used_at is None or found.last_used_at < now - KEY_NOTED_EVERY:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=now - KEY_NOTED_EVERY)
        ApiKey.objects.filter(unnoted, pk=found.pk).update(last_used_at=now)
    return record, found.organization.slug


def _check_origin(request: HttpRequest) -> None:
    own = (settings.PUBLIC_URL, f"{request.scheme}://{request.get_host()}")
    if not credentials.is_own_origin(request.headers, own):
        raise HttpError(403, "cross_origin", "a page of another site sent this; with a cookie only our own may")
