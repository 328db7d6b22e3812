"""Who may see a page. `member_required` turns a request into a `MemberRequest`, or answers it itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from dashboard.pages.parts import Option
from dashboard.visit import Visit
from events.models import Membership, Role, User

ORGANIZATION_KEY = "organization_id"
THEMES = ("auto", "light", "dark")
KEYS = ("on", "off")


class MemberRequest(HttpRequest):
    """A request of a signed-in member, with the visit that it is."""

    htmx: HtmxDetails
    visit: Visit


type MemberView[**P] = Callable[Concatenate[MemberRequest, P], HttpResponseBase]
type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def member_required[**P](*, role: Role = Role.VIEWER) -> Callable[[MemberView[P]], View[P]]:
    """Let in who is signed in and has at least `role` in the current organization.

    Membership is read on every request, so who was removed is refused at once. Nobody signed in: to the sign-in page.
    No organization: a page that says so, 403. A lower role: 403.
    """

    def decorate(view: MemberView[P]) -> View[P]:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            memberships = list(
                request.user.memberships.select_related("organization").order_by("organization__name", "pk")
            )
            if not memberships:
                return _no_organization(request)
            visit = _visit(request, request.user, memberships)
            if not visit.has_role(role):
                return render(request, "403.html", status=403)
            member_request = cast(MemberRequest, request)
            member_request.visit = visit
            return view(member_request, *args, **kwargs)

        return cast(View[P], wrapped)

    return decorate


def current(memberships: list[Membership], organization_id: object) -> Membership:
    """The membership that the session names, else the first one."""
    return next((one for one in memberships if one.organization_id == organization_id), memberships[0])


def theme_of(request: HttpRequest) -> str:
    """The theme that the cookie names: auto, light or dark."""
    theme = request.COOKIES.get("theme", "auto")
    return theme if theme in THEMES else "auto"


def keys_of(request: HttpRequest) -> str:
    """Whether the cookie leaves keyboard shortcuts on: on or off."""
    return "off" if request.COOKIES.get("keys") == "off" else "on"


def _visit(request: HttpRequest, user: User, memberships: list[Membership]) -> Visit:
    membership = current(memberships, request.session.get(ORGANIZATION_KEY))
    return Visit(
        organization_id=membership.organization_id,
        organization=membership.organization.name,
        zone=membership.organization.zone,
        role=Role(membership.role),
        person=user.name or user.email,
        is_superuser=user.is_superuser,
        organizations=[
            Option(one.organization.name, str(one.organization_id), selected=one is membership) for one in memberships
        ],
        theme=theme_of(request),
        base_url=request.build_absolute_uri("/").rstrip("/"),
        now=datetime.now(UTC),
        keys=keys_of(request),
        first_look=_is_first_look(request),
    )


def _is_first_look(request: HttpRequest) -> bool:
    """Whether scripts are on, as a cookie of theirs says, and nobody asks for the whole page or for its live part."""
    is_plain = request.COOKIES.get("script") == "on" and "whole" not in request.GET
    return is_plain and not cast(MemberRequest, request).htmx


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    response: HttpResponseRedirect = redirect_to_login(request.get_full_path())
    if not cast(MemberRequest, request).htmx:
        return response
    # A redirect would put the sign-in page into a fragment of this one; `next` is the page, not the fragment.
    page = cast(MemberRequest, request).htmx.current_url_abs_path or request.get_full_path()
    return HttpResponseClientRedirect(redirect_to_login(page).url)


def _no_organization(request: HttpRequest) -> HttpResponse:
    response = render(request, "dashboard/no_organization.html", status=403)
    patch_cache_control(response, private=True, no_cache=True)
    return response
