"""The page of metered usage."""

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from dashboard.access import MemberRequest, member_required
from dashboard.pages import usage as usage_page
from dashboard.rendering import not_modified, render_page
from dashboard.usage_search import UsageSearch
from metering import records


@require_GET
@member_required()
def usage(request: MemberRequest) -> HttpResponse:
    """Meters, or one of them: whole, its live part, or the next rows of a list."""
    visit = request.visit
    revision = f"{records.revision(visit.organization_id)}-{visit.now:%y%m%d%H}"
    if request.GET.get("rev") == revision:
        return not_modified()
    page = usage_page.build(visit, UsageSearch.from_query(request.GET.dict(), visit.now, visit.zone), revision)
    if page is None:
        raise Http404("There is no such meter in this organization.")
    return render_page(request, "dashboard/usage.html", page, {"usage": "usage", "": page.rows})
