"""The pages of usage. One function a page: authorise, parse, call one function, render."""

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET
from django_htmx.http import HttpResponseClientRefresh, push_url

from dashboard import live
from dashboard.access import MemberRequest, member_required
from dashboard.cost_search import CostSearch
from dashboard.filters import Filters
from dashboard.pages import costs as costs_page
from dashboard.pages import feature as feature_page
from dashboard.pages import first_run
from dashboard.pages import overview as overview_page
from dashboard.pages import rejected as rejected_page
from dashboard.pages import request as request_page
from dashboard.pages import requests as requests_page
from dashboard.pages import user as user_page
from dashboard.queries.conditions import parse_public_id
from dashboard.rendering import render_page
from dashboard.request_search import RequestSearch
from dashboard.views.preferences import look_of


@require_GET
@member_required()
def overview(request: MemberRequest) -> HttpResponse:
    """The Overview; before the first event, how to send it."""
    revision = live.revision(request)
    if first_run.is_due(request.visit):
        page = first_run.build(request.visit, revision)
        return render_page(request, "dashboard/first_run.html", page, {"listening": "listening"})
    if request.htmx.target == "listening":
        return HttpResponseClientRefresh()
    found = overview_page.build(request.visit, filters_of(request), revision)
    return render_page(request, "dashboard/overview.html", found, {"overview": "overview"})


@require_GET
@member_required()
def requests(request: MemberRequest) -> HttpResponse:
    """The list of requests: whole, its filtered results, its next rows, or how many are new."""
    revision = live.revision(request)
    search = RequestSearch.from_query(request.GET.dict(), request.visit.now, request.visit.zone)
    if request.htmx.target == "news":
        news = requests_page.news(request.visit, search, revision, parse_public_id(request.GET.get("newest", "")))
        return render_page(request, "dashboard/requests.html", news, {"news": "news"})
    page = requests_page.build(request.visit, search, look_of(request), revision)
    response = render_page(request, "dashboard/requests.html", page, {"results": "results", "": "rows"})
    is_new = request.htmx.target == "results" and request.htmx.current_url_abs_path != page.href
    return push_url(response, page.href) if is_new else response


@require_GET
@member_required()
def request_detail(request: MemberRequest, event_id: str) -> HttpResponse:
    """One request with its receipt: a page, or the inside of the drawer."""
    found = parse_public_id(event_id)
    page = request_page.build(request.visit, found) if found else None
    if page is None:
        raise Http404("There is no such request in this organization.")
    return render_page(request, "dashboard/request.html", page, {"drawer-body": "detail"})


@require_GET
@member_required()
def costs(request: MemberRequest) -> HttpResponse:
    """The Cost Breakdown: whole, its live part, or its next rows."""
    revision = live.revision(request)
    search = CostSearch.from_query(request.GET.dict(), request.visit.now, request.visit.zone)
    page = costs_page.build(request.visit, search, revision)
    return render_page(request, "dashboard/costs.html", page, {"costs": "costs", "": "rows"})


@require_GET
@member_required()
def user(request: MemberRequest) -> HttpResponse:
    """What one tracked user costs and pays."""
    revision = live.revision(request)
    page = user_page.build(request.visit, filters_of(request), revision)
    if page is None:
        raise Http404("There is no such user in this organization.")
    return render_page(request, "dashboard/value.html", page, {"value": "value"})


@require_GET
@member_required()
def feature(request: MemberRequest) -> HttpResponse:
    """What one feature costs."""
    revision = live.revision(request)
    page = feature_page.build(request.visit, filters_of(request), revision)
    if page is None:
        raise Http404("There is no such feature in this organization.")
    return render_page(request, "dashboard/value.html", page, {"value": "value"})


@require_GET
@member_required()
def rejected(request: MemberRequest) -> HttpResponse:
    """Calls that were refused, with the reason."""
    before = request.GET.get("after", "")
    page = rejected_page.build(request.visit, int(before) if before.isdecimal() and len(before) < 19 else None)
    return render_page(request, "dashboard/rejected.html", page, {"": "rows"})


def filters_of(request: MemberRequest) -> Filters:
    """The filters that the request's address says, at the visit's moment."""
    return Filters.from_query(request.GET.dict(), request.visit.now, request.visit.zone)
