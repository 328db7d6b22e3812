"""The pages of the price catalog."""

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET
from django_htmx.http import push_url

from dashboard.access import MemberRequest, member_required
from dashboard.pages import price as price_page
from dashboard.pages import prices as prices_page
from dashboard.price_search import PriceSearch
from dashboard.rendering import not_modified, render_page


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
