"""What a person chooses for themselves: the theme, how lists look, and which organization they look at."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import ORGANIZATION_KEY, THEMES, MemberRequest, member_required
from dashboard.pages.parts import FramedPage
from dashboard.pages.request_columns import Look, ordered
from dashboard.rendering import render_page

YEAR_SECONDS = 365 * 24 * 3600


@require_GET
@member_required()
def shortcuts(request: MemberRequest) -> HttpResponse:
    """The keyboard shortcuts and the switch that turns them off, as a page or in the drawer."""
    page = FramedPage(request.visit.frame("Keyboard shortcuts", "shortcuts"))
    return render_page(request, "dashboard/shortcuts.html", page, {"drawer-body": "keys"})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the theme in a cookie, for the server to read, and go back."""
    response = redirect(_next(request))
    wanted = request.POST.get("theme", "")
    if wanted in THEMES:
        response.set_cookie("theme", wanted, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
    return response


@require_POST
@member_required()
def request_columns(request: MemberRequest) -> HttpResponse:
    """Remember in two cookies which columns the list of requests has and how high its rows are, and go back to it."""
    chosen = Look(ordered(request.POST.getlist("column")), request.POST.get("density") == "compact")
    look = Look() if "reset" in request.POST else chosen
    response = redirect(request.htmx.current_url_abs_path or _next(request))
    for name, value in (("columns", look.cookie()), ("density", "compact" if look.compact else "")):
        if value:
            response.set_cookie(name, value, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
        else:
            response.delete_cookie(name, samesite="Lax")
    return response


def look_of(request: HttpRequest) -> Look:
    """How the person's cookies say that the list of requests looks."""
    return Look.read(request.COOKIES.get("columns", ""), request.COOKIES.get("density", ""))


@require_POST
@member_required()
def switch_organization(request: MemberRequest) -> HttpResponse:
    """Make another of the person's organizations the current one."""
    wanted = request.POST.get("organization", "")
    if wanted not in {option.value for option in request.visit.organizations}:
        raise Http404("You are not a member of this organization.")
    request.session[ORGANIZATION_KEY] = int(wanted)
    return redirect("dashboard:overview")


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    allowed = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if allowed else "/"
