"""Requests and costs as files: written at once, or prepared."""

from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard import cost_files, export_files, exporting
from dashboard.access import MemberRequest, member_required
from dashboard.cost_search import CostSearch
from dashboard.downloads import csv_stream, file_download
from dashboard.exporting import Refused
from dashboard.filters import Filters
from dashboard.models import Export, ExportFormat
from dashboard.pages import exports as exports_page
from dashboard.rendering import not_modified, render_page
from dashboard.views.usage import filters_of

TEMPLATE = "dashboard/exports.html"


@require_GET
@member_required()
def requests_csv(request: MemberRequest) -> HttpResponseBase:
    """What the filters find, as CSV; the page of exports when it is too much for one answer."""
    visit, filters = request.visit, filters_of(request)
    if not exports_page.fits(visit, filters):
        return redirect(exports_page.exports_href(filters))
    pieces = export_files.requests_csv(visit.organization_id, filters)
    return csv_stream(request, pieces, exports_page.file_name(visit.organization_id, filters, "requests", "csv"))


@require_GET
@member_required()
def costs_csv(request: MemberRequest) -> HttpResponseBase:
    """The Cost Breakdown by the dimension of the address, all of its rows."""
    visit = request.visit
    search = CostSearch.from_query(request.GET.dict(), visit.now, visit.zone)
    noun = cost_files.dimension_noun(search.by)
    name = exports_page.file_name(visit.organization_id, search.filters, noun, "csv")
    return csv_stream(request, cost_files.costs_csv(visit.organization_id, search), name)


@require_http_methods(["GET", "POST"])
@member_required()
def exports(request: MemberRequest) -> HttpResponse:
    """The prepared exports and a form for another one; its POST asks for it."""
    visit, person = request.visit, _person(request)
    if request.method == "POST":
        return _asked(request)
    filters = filters_of(request)
    if request.htmx.target == "files":
        files = exports_page.files(visit, person, filters)
        if files.revision == request.GET.get("rev"):
            return not_modified()
        return render_page(request, TEMPLATE, exports_page.FilesPage(files), {"files": "files"})
    return render_page(request, TEMPLATE, exports_page.build(visit, filters, person))


@require_POST
@member_required()
def stop(request: MemberRequest, export_id: int) -> HttpResponseRedirect:
    """Write no more of an export."""
    exporting.stop(_own(request, export_id))
    return redirect(exports_page.exports_href(filters_of(request)))


@require_POST
@member_required()
def remove(request: MemberRequest, export_id: int) -> HttpResponseRedirect:
    """Delete an export with its file."""
    exporting.remove(_own(request, export_id))
    return redirect(exports_page.exports_href(filters_of(request)))


@require_GET
@member_required()
def download(request: MemberRequest, export_id: int) -> HttpResponseBase:
    """A finished file, for every member of its organization."""
    export = exports_page.find(request.visit, export_id)
    if export is None or not export.is_available(request.visit.now):
        raise Http404("There is no such file in this organization, or it has expired.")
    return file_download(request, export_files.path_of(export), export.format, exports_page.export_name(export))


def _asked(request: MemberRequest) -> HttpResponse:
    visit, person = request.visit, _person(request)
    filters = Filters.from_query(request.POST.dict(), visit.now, visit.zone)
    wanted = ExportFormat.PARQUET if request.POST.get("format") == ExportFormat.PARQUET else ExportFormat.CSV
    try:
        exporting.ask(visit.organization_id, person, wanted, filters, visit.now)
    except Refused as error:
        page = exports_page.build(visit, filters, person, str(error))
        response = render_page(request, TEMPLATE, page)
        response.status_code = 409
        return response
    return redirect(exports_page.exports_href(filters))


def _own(request: MemberRequest, export_id: int) -> Export:
    """The export, when the person may change it: theirs, or any for admins."""
    export = exports_page.find(request.visit, export_id)
    if export is None or not exports_page.may_change(export, request.visit, _person(request)):
        raise Http404("There is no such export of yours in this organization.")
    return export


def _person(request: MemberRequest) -> int:
    """The signed-in person's id."""
    assert request.user.pk is not None
    return request.user.pk
