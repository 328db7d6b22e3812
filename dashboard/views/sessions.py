"""The pages of sessions and conversations."""

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET
from django_htmx.http import push_url

from dashboard import live
from dashboard.access import MemberRequest, member_required
from dashboard.filters import Filters
from dashboard.pages import session as session_page
from dashboard.pages import sessions as sessions_page
from dashboard.queries.conditions import parse_public_id
from dashboard.queries.sessions import By
from dashboard.rendering import render_page
from dashboard.views.usage import filters_of


@require_GET
@member_required()
def sessions(request: MemberRequest) -> HttpResponse:
    """The list: whole, its filtered results, its next rows, or how many sessions have new calls."""
    revision = live.revision(request)
    filters, by = filters_of(request), sessions_page.grouping(request.GET.get("by", ""))
    if request.htmx.target == "news":
        news = sessions_page.news(request.visit, filters, by, revision, parse_public_id(request.GET.get("newest", "")))
        return render_page(request, "dashboard/sessions.html", news, {"news": "news"})
    page = sessions_page.build(request.visit, filters, by, revision, parse_public_id(request.GET.get("after", "")))
    response = render_page(request, "dashboard/sessions.html", page, {"results": "results", "": "rows"})
    return push_url(response, page.href) if request.htmx.target == "results" else response


@require_GET
@member_required()
def session(request: MemberRequest) -> HttpResponse:
    """One session with its calls."""
    return _one(request, "session")


@require_GET
@member_required()
def conversation(request: MemberRequest) -> HttpResponse:
    """One conversation with its calls."""
    return _one(request, "conversation")


def _one(request: MemberRequest, by: By) -> HttpResponse:
    """The page, its next rows, or how many calls are new."""
    revision, name = live.revision(request), request.GET.get(by, "")
    if request.htmx.target == "news":
        newest = parse_public_id(request.GET.get("newest", ""))
        news = session_page.news(request.visit, _environment(request), by, name, revision, newest)
        return render_page(request, "dashboard/session.html", news, {"news": "news"})
    after = parse_public_id(request.GET.get("after", ""))
    page = session_page.build(request.visit, _environment(request), by, name, revision, after)
    if page is None:
        raise Http404(f"There is no such {by} in this organization.")
    return render_page(request, "dashboard/session.html", page, {"": "rows"})


def _environment(request: MemberRequest) -> Filters:
    """Of the filters the environment alone: the page shows a session whole."""
    words = {"environment": request.GET.get("environment", "")}
    return Filters.from_query(words, request.visit.now, request.visit.zone)
