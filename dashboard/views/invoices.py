"""Invoices: reading is for every member, changing them for owners and admins."""

from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods

from dashboard import invoice_changes as changes
from dashboard.access import MemberRequest, member_required
from dashboard.downloads import attachment
from dashboard.invoice_changes import Done
from dashboard.invoice_files import csv_file, file_name, pdf_file
from dashboard.invoice_forms import CreditForm, FinalizeForm, VoidForm
from dashboard.invoice_search import InvoiceSearch
from dashboard.pages import invoice as invoice_page
from dashboard.pages import invoices as invoices_page
from dashboard.rendering import render_page
from events import form_tokens
from events.models import Role
from metering import invoicing
from metering.models import Invoice

LIST = "dashboard/invoices.html"


@require_http_methods(["GET", "POST"])
def invoices(request: HttpRequest) -> HttpResponseBase:
    """The list, or its next rows; POST opens a draft."""
    return _open_draft(request) if request.method == "POST" else _list(request)


@member_required()
def _list(request: MemberRequest) -> HttpResponse:
    search = InvoiceSearch.from_query(request.GET.dict())
    page = invoices_page.build(request.visit, search, changes.drafting_form(request.visit, search.user))
    return render_page(request, LIST, page, {"": "rows"})


@member_required(role=Role.ADMIN)
def _open_draft(request: MemberRequest) -> HttpResponse:
    form, draft = changes.open_draft(request.visit, request.POST.dict())
    if draft is not None:
        return redirect("dashboard:invoice", draft.pk)
    page = invoices_page.build(request.visit, InvoiceSearch(), form)
    return _refused(render_page(request, LIST, page))


@require_GET
@member_required()
def invoice(request: MemberRequest, invoice_id: int) -> HttpResponse:
    """One invoice."""
    page = invoice_page.build(request.visit, _found(request, invoice_id))
    return render_page(request, "dashboard/invoice.html", page)


@require_GET
@member_required()
def pdf(request: MemberRequest, invoice_id: int) -> HttpResponseBase:
    """The invoice as the customer gets it."""
    document = invoicing.document(_found(request, invoice_id), request.visit.now)
    return attachment(pdf_file(document), "application/pdf", file_name(document, "pdf"))


@require_GET
@member_required()
def csv(request: MemberRequest, invoice_id: int) -> HttpResponseBase:
    """Its lines and what explains them."""
    document = invoicing.document(_found(request, invoice_id), request.visit.now)
    return attachment(csv_file(document), "text/csv; charset=utf-8", file_name(document, "csv"))


@require_http_methods(["GET", "POST"])
@member_required(role=Role.ADMIN)
def finalize(request: MemberRequest, invoice_id: int) -> HttpResponse:
    """Asks, shows what will be fixed, and does it."""
    return _asked(request, invoice_id, "finalize", changes.finalize, FinalizeForm)


@require_http_methods(["GET", "POST"])
@member_required(role=Role.ADMIN)
def void(request: MemberRequest, invoice_id: int) -> HttpResponse:
    """Asks for the reason, and takes the invoice back."""
    return _asked(request, invoice_id, "void", changes.void, VoidForm)


@require_http_methods(["GET", "POST"])
@member_required(role=Role.ADMIN)
def credit(request: MemberRequest, invoice_id: int) -> HttpResponse:
    """Asks for amount and reason, and makes a credit note."""
    return _asked(
        request, invoice_id, "credit", changes.credit, lambda: CreditForm(None, form_tokens.new_token(request))
    )


def _asked(
    request: MemberRequest,
    invoice_id: int,
    action: str,
    change: Callable[[MemberRequest, int], Done],
    empty: Callable[[], forms.Form],
) -> HttpResponse:
    found = _found(request, invoice_id)
    form, said = change(request, invoice_id) if request.method == "POST" else (empty(), "")
    if form is None:
        messages.success(request, said)
        return redirect("dashboard:invoice", invoice_id)
    page = invoice_page.asked(request.visit, found, action, form)
    response = render_page(request, "dashboard/invoice_action.html", page)
    return _refused(response) if form.is_bound else response


def _found(request: MemberRequest, invoice_id: int) -> Invoice:
    try:
        return invoicing.find(invoice_id, request.visit.organization_id)
    except invoicing.NoSuchInvoice as error:
        raise Http404("There is no such invoice in this organization.") from error


def _refused(response: HttpResponse) -> HttpResponse:
    response.status_code = 422
    return response
