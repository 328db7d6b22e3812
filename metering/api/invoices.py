"""`/api/v1/invoices`. What may happen to an invoice, and when, `metering/invoicing.py` says: what it refuses is 409."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q
from ninja import Query, Router
from ninja.responses import Status

from events.models import Role
from metering import invoicing
from metering.api import answers
from metering.api.access import ApiRequest, Caller, signed_in
from metering.api.buckets import moment_of
from metering.api.errors import not_found
from metering.api.invoice_schemas import (
    CreditNoteIn,
    CreditNoteOut,
    InvoiceFilter,
    InvoiceIn,
    InvoiceOut,
    InvoiceRow,
    VoidIn,
)
from metering.api.paging import Page, Paging
from metering.invoicing import NoSuchInvoice
from metering.models import Invoice

router = Router(tags=["Invoices"])
administers = signed_in(Role.ADMIN)


@router.get("", auth=signed_in(), response=answers.reads(Page[InvoiceRow]))
def list_invoices(request: ApiRequest, query: Query[Paging], which: Query[InvoiceFilter]) -> Any:
    """Invoices, the newest period first."""
    rows = listed(request.auth.organization_id, which, query.start(datetime, int), query.limit + 1)
    return Page[InvoiceRow].of(rows, query.limit, lambda row: (row.period_start, row.pk), InvoiceRow.of)


@router.post("", auth=administers, response=answers.writes(InvoiceOut, status=201))
def open_invoice(request: ApiRequest, sent: InvoiceIn) -> Any:
    """Open the draft of a customer's billing month; where it is open already, that one is answered."""
    caller = request.auth
    try:
        moment = moment_of(sent.moment, caller.zone) or caller.now
        invoice = invoicing.open_draft(caller.organization_id, sent.customer_id, moment)
    except NoSuchInvoice:
        raise not_found("customer") from None
    return Status(201, _read(invoice.pk, caller))


@router.get("/{int:invoice_id}", auth=signed_in(), response=answers.reads(InvoiceOut))
def get_invoice(request: ApiRequest, invoice_id: int) -> Any:
    """One invoice with its lines, and what explains them."""
    return _read(invoice_id, request.auth)


@router.post("/{int:invoice_id}/finalize", auth=administers, response=answers.writes(InvoiceOut))
def finalize_invoice(request: ApiRequest, invoice_id: int) -> Any:
    """Give a draft its number and keep its lines for good; not before its period is over."""
    caller = request.auth
    invoicing.finalize(invoice_id, caller.organization_id, caller.now)
    return _read(invoice_id, caller)


@router.post("/{int:invoice_id}/void", auth=administers, response=answers.writes(InvoiceOut))
def void_invoice(request: ApiRequest, invoice_id: int, sent: VoidIn) -> Any:
    """Take back a finalized invoice: it keeps its number, and its period is open again."""
    caller = request.auth
    invoicing.void(invoice_id, caller.organization_id, sent.reason, caller.now)
    return _read(invoice_id, caller)


@router.post("/{int:invoice_id}/credit-notes", auth=administers, response=answers.writes(CreditNoteOut, status=201))
def credit_invoice(request: ApiRequest, invoice_id: int, sent: CreditNoteIn) -> Any:
    """Take back a part of a finalized invoice, or all that is left of it."""
    caller = request.auth
    note = invoicing.credit(invoice_id, caller.organization_id, sent.amount_usd, sent.reason, caller.now)
    return Status(201, CreditNoteOut.of(note))


def listed(
    organization_id: int, which: InvoiceFilter, after: tuple[datetime, int] | None, limit: int
) -> Sequence[Invoice]:
    """Invoices with their customers, the newest period first. One query; index invoice_newest."""
    invoices = Invoice.objects.filter(organization_id=organization_id).select_related("tracked_user")
    if which.customer_id is not None:
        invoices = invoices.filter(tracked_user_id=which.customer_id)
    if which.status is not None:
        invoices = invoices.filter(status=which.status)
    if after is not None:
        start, invoice_id = after
        invoices = invoices.filter(Q(period_start__lte=start), Q(period_start__lt=start) | Q(id__lt=invoice_id))
    return list(invoices.order_by("-period_start", "-id")[:limit])


def _read(invoice_id: int, caller: Caller) -> InvoiceOut:
    invoice = invoicing.find(invoice_id, caller.organization_id)
    return InvoiceOut.from_document(invoicing.document(invoice, caller.now))
