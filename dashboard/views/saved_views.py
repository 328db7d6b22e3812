"""Views that people keep under a name."""

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import saved_views
from dashboard.access import MemberRequest, member_required
from dashboard.pages import saved_views as saved_views_page
from dashboard.rendering import render_page
from events.models import Role, User

TEMPLATE = "dashboard/saved_views.html"


@require_http_methods(["GET", "POST"])
@member_required()
def views(request: MemberRequest) -> HttpResponse:
    """The views, as a page or in the drawer; a POST keeps one and goes to it."""
    person, visit = cast(User, request.user), request.visit
    if request.method == "GET":
        page = saved_views_page.build(visit, person, request.GET.get("page", ""), request.GET.get("query", ""))
        return render_page(request, TEMPLATE, page, {"drawer-body": "views"})
    name, page_name, query = (request.POST.get(word, "") for word in ("name", "page", "query"))
    shared = "shared" in request.POST and saved_views_page.can_share(visit)
    try:
        kept = saved_views.save(visit.organization_id, person, page_name, name, query, visit.now, is_shared=shared)
    except saved_views.Refused as refused:
        page = saved_views_page.build(visit, person, page_name, query, name=name, is_shared=shared, error=str(refused))
        return render(request, TEMPLATE, {"page": page}, status=422)
    messages.success(request, f"Saved as “{kept.name}”. Views leads back to it.")
    return redirect(saved_views_page.href_of(kept))


@require_POST
@member_required()
def remove(request: MemberRequest, view_id: int) -> HttpResponse:
    """Forget a view."""
    person, visit = cast(User, request.user), request.visit
    if not saved_views.remove(visit.organization_id, view_id, person, administers=visit.has_role(Role.ADMIN)):
        raise Http404("There is no such view among yours.")
    return redirect("dashboard:saved_views")
