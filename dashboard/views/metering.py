"""The pages of metered usage and of what it earns."""

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from dashboard import live
from dashboard.access import MemberRequest, member_required
from dashboard.cost_search import CostSearch
from dashboard.pages import customers as customers_page
from dashboard.pages import usage as usage_page
from dashboard.rendering import render_page
from dashboard.usage_search import UsageSearch


@require_GET
@member_required()
def usage(request: MemberRequest) -> HttpResponse:
    """Meters, or one of them: whole, its live part, or the next rows of a list."""
    visit = request.visit
    revision = live.revision(request)
    page = usage_page.build(visit, UsageSearch.from_query(request.GET.dict(), visit.now, visit.zone), revision)
    if page is None:
        raise Http404("There is no such meter in this organization.")
    return render_page(request, "dashboard/usage.html", page, {"usage": "usage", "": page.rows})


@require_GET
@member_required()
def customers(request: MemberRequest) -> HttpResponse:
    """What each customer used, cost and paid: whole, its live part, or its next rows."""
    revision = live.revision(request)
    search = CostSearch.from_query(request.GET.dict() | {"by": "user"}, request.visit.now, request.visit.zone)
    page = customers_page.build(request.visit, search, revision)
    return render_page(request, "dashboard/customers.html", page, {"customers": "customers", "": "rows"})
