"""The settings: reading is for every member, changing the organization and its members for owners and admins."""

from typing import cast

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard import settings_changes as changes
from dashboard.access import KEYS, MemberRequest, member_required
from dashboard.forms import NameForm, PasswordForm
from dashboard.pages import settings as settings_page
from dashboard.pages import settings_account as account_page
from dashboard.pages import settings_members as members_page
from dashboard.pages import settings_time_zone as zone_page
from dashboard.rendering import not_modified, render_page
from dashboard.views.preferences import YEAR_SECONDS
from events.models import Membership, Organization, Role, User


@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest) -> HttpResponseBase:
    """The organization: shown to all members, changed by owners and admins."""
    return _save_organization(request) if request.method == "POST" else _organization(request)


@member_required()
def _organization(request: MemberRequest) -> HttpResponse:
    page = settings_page.build(request.visit, _current(request))
    return render_page(request, "dashboard/settings.html", page)


@member_required(role=Role.ADMIN)
def _save_organization(request: MemberRequest) -> HttpResponse:
    form, said = changes.save_organization(_current(request), request.POST, _person(request), request.visit.now)
    if form is None:
        messages.success(request, said)
        return redirect("dashboard:settings")
    page = settings_page.build(request.visit, _current(request), form)
    return _refused(render_page(request, "dashboard/settings.html", page))


@require_GET
@member_required()
def time_zone_progress(request: MemberRequest) -> HttpResponse:
    """How far the usage has followed to a new time zone: a fragment of the pages that say so."""
    progress = zone_page.progress(request.visit, polled=True)
    if progress.revision and progress.revision == request.GET.get("rev"):
        return not_modified()
    return render_page(request, "dashboard/settings_time_zone.html", zone_page.ProgressPage(progress))


@require_http_methods(["GET", "POST"])
def members(request: HttpRequest) -> HttpResponseBase:
    """The members: shown to all of them; POST adds one."""
    return _add_member(request) if request.method == "POST" else _members(request)


@member_required()
def _members(request: MemberRequest) -> HttpResponse:
    page = members_page.build(request.visit, _person(request).pk, changes.adding(request))
    return render_page(request, "dashboard/settings_members.html", page)


@never_cache  # The answer holds a password.
@member_required(role=Role.ADMIN)
def _add_member(request: MemberRequest) -> HttpResponse:
    form, added = changes.add_member(request, _person(request))
    page = members_page.build(request.visit, _person(request).pk, form, added=added)
    response = render_page(request, "dashboard/settings_members.html", page)
    return _refused(response) if added is None else response


@require_POST
@member_required(role=Role.ADMIN)
def member_role(request: MemberRequest, membership_id: int) -> HttpResponse:
    """Give a member another role."""
    problem, said = changes.change_role(_member(request, membership_id), request.POST, _person(request))
    if not problem:
        messages.success(request, said)
        return redirect("dashboard:settings_members")
    page = members_page.build(request.visit, _person(request).pk, changes.adding(request), problem=problem)
    return _refused(render_page(request, "dashboard/settings_members.html", page))


@require_http_methods(["GET", "POST"])
@member_required(role=Role.ADMIN)
def member_remove(request: MemberRequest, membership_id: int) -> HttpResponse:
    """GET asks whether the member shall be removed; POST removes."""
    person, found = _person(request), _member(request, membership_id)
    problem, said = changes.remove(found, person) if request.method == "POST" else ("", "")
    if said:
        messages.success(request, said)
        return redirect("dashboard:settings_members")
    page = members_page.removal(request.visit, person.pk, found, problem)
    response = render_page(request, "dashboard/settings_remove_member.html", page)
    return _refused(response) if problem else response


@require_http_methods(["GET", "POST"])
@member_required()
def account(request: MemberRequest) -> HttpResponse:
    """The person's own settings; POST changes the name."""
    person, form = _person(request), NameForm(request.POST) if request.method == "POST" else None
    if form is None or not form.is_valid():
        response = render_page(
            request, "dashboard/settings_account.html", account_page.build(request.visit, person, name=form)
        )
        return response if form is None else _refused(response)
    changes.call_oneself(person, form.cleaned_data["name"])
    messages.success(request, "Your name is saved.")
    return redirect("dashboard:settings_account")


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@member_required()
def password(request: MemberRequest) -> HttpResponse:
    """Change the person's password: this session goes on, their others end. GET leads to the form."""
    if request.method == "GET":
        return redirect("dashboard:settings_account")
    form = PasswordForm(_person(request), request.POST)
    form.address = request.META.get("REMOTE_ADDR", "")
    if not form.is_valid():
        page = account_page.build(request.visit, _person(request), password=form)
        return _refused(render_page(request, "dashboard/settings_account.html", page))
    update_session_auth_hash(request, changes.change_password(form))
    messages.success(request, "Your password is changed. Wherever else you were signed in, you are signed out.")
    return redirect("dashboard:settings_account")


@require_POST
@member_required()
def keyboard(request: MemberRequest) -> HttpResponse:
    """Remember in a cookie whether keys are shortcuts, for the server to put on the page."""
    response = redirect("dashboard:settings_account")
    if (wanted := request.POST.get("keys", "")) in KEYS:
        response.set_cookie("keys", wanted, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
    return response


def _person(request: MemberRequest) -> User:
    return cast(User, request.user)


def _current(request: MemberRequest) -> Organization:
    return get_object_or_404(Organization, pk=request.visit.organization_id)


def _member(request: MemberRequest, membership_id: int) -> Membership:
    found = Membership.objects.select_related("user").filter(
        pk=membership_id, organization=request.visit.organization_id
    )
    member = found.first()
    if member is None:
        raise Http404("There is no such member in this organization.")
    return member


def _refused(response: HttpResponse) -> HttpResponse:
    response.status_code = 422
    return response
