"""The page of customers."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from dashboard import live
from dashboard.access import MemberRequest, member_required
from dashboard.cost_search import CostSearch
from dashboard.pages import customers as customers_page
from dashboard.rendering import not_modified, render_page


@require_GET
@member_required()
def customers(request: MemberRequest) -> HttpResponse:
    """What each customer used, cost and paid: whole, its live part, or its next rows."""
    revision = live.revision(request.visit)
    if request.GET.get("rev") == revision:
        return not_modified()
    search = CostSearch.from_query(request.GET.dict() | {"by": "user"}, request.visit.now, request.visit.zone)
    page = customers_page.build(request.visit, search, revision)
    return render_page(request, "dashboard/customers.html", page, {"customers": "customers", "": "rows"})
