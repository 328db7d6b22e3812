"""One function a page: authorise, parse, call one function, render."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRefresh, push_url

from dashboard import live
from dashboard.access import ORGANIZATION_KEY, THEMES, MemberRequest, member_required
from dashboard.cost_search import CostSearch
from dashboard.filters import Filters
from dashboard.pages import costs as costs_page
from dashboard.pages import feature as feature_page
from dashboard.pages import first_run
from dashboard.pages import overview as overview_page
from dashboard.pages import price as price_page
from dashboard.pages import prices as prices_page
from dashboard.pages import rejected as rejected_page
from dashboard.pages import request as request_page
from dashboard.pages import requests as requests_page
from dashboard.pages import user as user_page
from dashboard.price_search import PriceSearch
from dashboard.queries.conditions import parse_public_id
from dashboard.rendering import not_modified, render_page

YEAR_SECONDS = 365 * 24 * 3600


@require_GET
@member_required()
def overview(request: MemberRequest) -> HttpResponse:
    """The Overview; before the first event, how to send it."""
    revision = live.revision(request.visit)
    if request.GET.get("rev") == revision:
        return not_modified()
    if first_run.is_due(request.visit):
        page = first_run.build(request.visit, revision)
        return render_page(request, "dashboard/first_run.html", page, {"listening": "listening"})
    if request.htmx.target == "listening":
        return HttpResponseClientRefresh()
    found = overview_page.build(request.visit, _filters(request), revision)
    return render_page(request, "dashboard/overview.html", found, {"overview": "overview"})


@require_GET
@member_required()
def requests(request: MemberRequest) -> HttpResponse:
    """The list of requests: whole, its filtered results, its next rows, or how many are new."""
    revision = live.revision(request.visit)
    filters = _filters(request)
    if request.htmx.target == "news":
        if request.GET.get("rev") == revision:
            return not_modified()
        news = requests_page.news(request.visit, filters, revision, parse_public_id(request.GET.get("newest", "")))
        return render_page(request, "dashboard/requests.html", news, {"news": "news"})
    after = parse_public_id(request.GET.get("after", ""))
    page = requests_page.build(request.visit, filters, revision, after)
    response = render_page(request, "dashboard/requests.html", page, {"results": "results", "": "rows"})
    return push_url(response, page.href) if request.htmx.target == "results" else response


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
    revision = live.revision(request.visit)
    if request.GET.get("rev") == revision:
        return not_modified()
    search = CostSearch.from_query(request.GET.dict(), request.visit.now, request.visit.zone)
    page = costs_page.build(request.visit, search, revision)
    return render_page(request, "dashboard/costs.html", page, {"costs": "costs", "": "rows"})


@require_GET
@member_required()
def user(request: MemberRequest) -> HttpResponse:
    """What one tracked user costs and pays."""
    revision = live.revision(request.visit)
    if request.GET.get("rev") == revision:
        return not_modified()
    page = user_page.build(request.visit, _filters(request), revision)
    if page is None:
        raise Http404("There is no such user in this organization.")
    return render_page(request, "dashboard/user.html", page, {"user": "user"})


@require_GET
@member_required()
def feature(request: MemberRequest) -> HttpResponse:
    """What one feature costs."""
    revision = live.revision(request.visit)
    if request.GET.get("rev") == revision:
        return not_modified()
    page = feature_page.build(request.visit, _filters(request), revision)
    if page is None:
        raise Http404("There is no such feature in this organization.")
    return render_page(request, "dashboard/feature.html", page, {"feature": "feature"})


@require_GET
@member_required()
def prices(request: MemberRequest) -> HttpResponse:
    """The price catalog: whole, its filtered results, its next rows, or how far a re-pricing is."""
    search = PriceSearch.from_query(request.GET.dict())
    if request.htmx.target == "repricing":
        progress = prices_page.progress(request.visit, search, polled=True)
        if progress.revision and progress.revision == request.GET.get("rev"):
            return not_modified()
        return render_page(
            request, "dashboard/prices.html", prices_page.ProgressPage(progress), {"repricing": "repricing"}
        )
    page = prices_page.build(request.visit, search)
    response = render_page(request, "dashboard/prices.html", page, {"results": "results", "": "rows"})
    return push_url(response, page.href) if request.htmx.target == "results" else response


@require_GET
@member_required()
def price(request: MemberRequest, provider: str, key: str) -> HttpResponse:
    """One model of the catalog with its history."""
    search = PriceSearch.from_query(request.GET.dict())
    page = price_page.build(request.visit, provider, key, search.environment)
    if page is None:
        raise Http404("The catalog has no such model.")
    return render_page(request, "dashboard/price.html", page)


@require_GET
@member_required()
def rejected(request: MemberRequest) -> HttpResponse:
    """Calls that were refused, with the reason."""
    before = request.GET.get("after", "")
    page = rejected_page.build(request.visit, int(before) if before.isdecimal() and len(before) < 19 else None)
    return render_page(request, "dashboard/rejected.html", page, {"": "rows"})


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
def switch_organization(request: MemberRequest) -> HttpResponse:
    """Make another of the person's organizations the current one."""
    wanted = request.POST.get("organization", "")
    if wanted not in {option.value for option in request.visit.organizations}:
        raise Http404("You are not a member of this organization.")
    request.session[ORGANIZATION_KEY] = int(wanted)
    return redirect("dashboard:overview")


def _filters(request: MemberRequest) -> Filters:
    return Filters.from_query(request.GET.dict(), request.visit.now, request.visit.zone)


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    allowed = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if allowed else "/"
