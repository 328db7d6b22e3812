"""One invoice: the document as the customer reads it, and beside it what only members see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django import forms
from django.urls import reverse

from dashboard.formats import ago, day, moment, usd, usd_exact
from dashboard.invoice_changes import may_change
from dashboard.pages.invoice_lines import LineRow, line_rows, period_text
from dashboard.pages.invoices import TONES
from dashboard.pages.links import admin_href
from dashboard.pages.margin import Margin, behind_href, margin
from dashboard.pages.parts import Banner, Frame
from dashboard.pages.settings_form import PostForm, post_form
from dashboard.queries import invoices
from dashboard.queries.invoices import Delivery, Served
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit
from metering import invoicing
from metering.invoice_document import InvoiceDocument
from metering.models import Invoice, InvoiceStatus, LineKind
from metering.record_store import CLOSED_AFTER

MOST_DELIVERIES = 20


@dataclass(frozen=True)
class DeliveryRow:
    """A webhook message and what became of it."""

    event_type: str
    url: str
    tone: str
    status: str
    title: str
    tries: int


@dataclass(frozen=True)
class NoteRow:
    """A credit note."""

    number: str
    day: str
    amount: str
    reason: str


@dataclass(frozen=True)
class Action:
    """Something that may be done to the invoice; `why_not` says why it cannot be, '' where it can."""

    label: str
    href: str
    why_not: str = ""


@dataclass(frozen=True)
class InvoicePage:
    """All that `invoice.html` prints."""

    frame: Frame
    back_href: str
    heading: str
    status: str
    tone: str
    banner: Banner | None
    issuer: str
    customer: Sequence[str]
    """Name, id and e-mail address, as far as they are known."""
    customer_href: str
    facts: Sequence[tuple[str, str]]
    lines: Sequence[LineRow]
    credits: Sequence[LineRow]
    subtotal: str
    total: str
    rounding: str
    notes: Sequence[NoteRow]
    due: str
    note: str
    margin: Margin
    requests_href: str
    unpriced_href: str
    serving_text: str
    deliveries: Sequence[DeliveryRow]
    actions: Sequence[Action]
    pdf_href: str
    csv_href: str


@dataclass(frozen=True)
class InvoiceAction:
    """All that `invoice_action.html` prints: a question with the form that answers it."""

    frame: Frame
    heading: str
    back_href: str
    text: str
    lines: Sequence[LineRow]
    total: str
    form: PostForm
    why_not: str


def build(visit: Visit, invoice: Invoice) -> InvoicePage:
    """Read everything in one snapshot."""
    with snapshot():
        document = invoicing.document(invoice, visit.now)
        served = Served(invoice.pk, invoice.tracked_user_id, invoice.period_start, invoice.period_end)
        cost = invoices.serving_costs(visit.organization_id, visit.zone, [served])[invoice.pk]
        sent = invoices.deliveries(visit.organization_id, invoice.pk, MOST_DELIVERIES)
    period = (document.customer, document.period_start, document.period_end, visit.zone)
    credits_used = [line for line in document.lines if line.kind == LineKind.CREDIT]
    charges = [line for line in document.lines if line.kind != LineKind.CREDIT]
    return InvoicePage(
        frame=visit.frame(heading_of(document), "invoices"),
        back_href=reverse("dashboard:invoices"),
        heading=heading_of(document),
        status=InvoiceStatus(document.status).label,
        tone=TONES[document.status],
        banner=_banner(document, charges_lack_rate=any(line.meter_id and line.rate_id is None for line in charges)),
        issuer=document.issuer,
        customer=_customer(document),
        customer_href=behind_href("user", *period),
        facts=tuple(_facts(document)),
        lines=line_rows(document, charges, visit.zone),
        credits=line_rows(document, credits_used, visit.zone),
        subtotal=usd(document.subtotal_usd),
        total=usd(document.total_usd),
        rounding=_rounding(document),
        notes=[
            NoteRow(note.number, day(note.created_at.astimezone(document.zone)), usd(note.amount_usd), note.reason)
            for note in document.credit_notes
        ],
        due=usd(document.due_usd),
        note=document.note,
        margin=margin(cost, document.subtotal_usd - document.credited_usd, is_void=document.status == "void"),
        requests_href=behind_href("requests", *period),
        unpriced_href=behind_href("requests", *period, priced="no"),
        serving_text=_serving(document, visit),
        deliveries=[_delivery(one, visit) for one in sent],
        actions=_actions(visit, document) if may_change(visit) else (),
        pdf_href=reverse("dashboard:invoice_pdf", args=[invoice.pk]),
        csv_href=reverse("dashboard:invoice_csv", args=[invoice.pk]),
    )


def asked(visit: Visit, invoice: Invoice, action: str, form: forms.Form) -> InvoiceAction:
    """The page that asks before something is done."""
    document = invoicing.document(invoice, visit.now)
    path = reverse(f"dashboard:invoice_{action}", args=[invoice.pk])
    done = next(one for one in _ACTIONS if one == action)
    label, text = _ACTIONS[done]
    why_not = next((one.why_not for one in _actions(visit, document) if one.href == path), _NOT_NOW)
    return InvoiceAction(
        frame=visit.frame(f"{'Error: ' if form.is_bound else ''}{label}", "invoices"),
        heading=f"{label}: {document.title}, {_customer(document)[0]}",
        back_href=reverse("dashboard:invoice", args=[invoice.pk]),
        text=text,
        lines=line_rows(document, document.lines, visit.zone) if action == "finalize" else (),
        total=usd(document.total_usd),
        form=post_form(form, path, label),
        why_not="" if form.is_bound else why_not,
    )


_NOT_NOW = "The invoice is not in a state for this."
_ACTIONS = {
    "finalize": (
        "Finalize",
        "The invoice gets its number, and its lines, its customer and its issuer are fixed for good. Usage that comes"
        " later is billed as an adjustment.",
    ),
    "void": (
        "Void",
        "The invoice keeps its number and nothing is owed for it. Its billing month is open again, for another draft.",
    ),
    "credit": (
        "Credit note",
        "A credit note takes back a part of the invoice, or all of it. It has its own number and cannot be undone.",
    ),
}


def heading_of(document: InvoiceDocument) -> str:
    """What the document is called."""
    return f"Invoice {document.number}" if document.number else "Draft invoice"


def _actions(visit: Visit, document: InvoiceDocument) -> tuple[Action, ...]:
    def action(name: str, why_not: str = "") -> Action:
        return Action(_ACTIONS[name][0], reverse(f"dashboard:invoice_{name}", args=[document.id]), why_not)

    if document.status == InvoiceStatus.DRAFT:
        opens = document.period_end + CLOSED_AFTER
        lasts = f"The period lasts until {moment(document.period_end, document.zone)}; usage may still come in."
        return (action("finalize", lasts if opens > visit.now else ""),)
    if document.status == InvoiceStatus.VOID:
        return ()
    left = document.total_usd - document.credited_usd
    credited = "There are credit notes; credit the rest instead." if document.credit_notes else ""
    return action("credit", "" if left > 0 else "Nothing is left to credit."), action("void", credited)


def _banner(document: InvoiceDocument, *, charges_lack_rate: bool) -> Banner | None:
    if document.status == InvoiceStatus.VOID:
        return Banner(f"Void: {document.void_reason}", "bad")
    if document.status != InvoiceStatus.DRAFT:
        return None
    if charges_lack_rate:
        text = "Draft: some usage has no rate in this period, so it cannot be finalized."
        return Banner(text, "warn", admin_href("metering_meter_changelist").rstrip("?"), "Meters")
    return Banner("Draft: follows the usage until it is finalized.", "info")


def _customer(document: InvoiceDocument) -> list[str]:
    found = (document.customer_name, document.customer, document.customer_email)
    return [text for text in dict.fromkeys(found) if text]


def _facts(document: InvoiceDocument) -> list[tuple[str, str]]:
    def on(at: datetime) -> str:
        return day(at.astimezone(document.zone))

    found = [("Billing period", period_text(document.period_start, document.period_end, document.zone))]
    found.append(("Time zone", document.zone.key))
    found.append(
        ("Issued", on(document.finalized_at)) if document.finalized_at else ("Opened", on(document.created_at))
    )
    if document.voided_at:
        found.append(("Voided", on(document.voided_at)))
    return found


def _rounding(document: InvoiceDocument) -> str:
    text = "All amounts are in US dollars. Each line is rounded to cents, half a cent away from zero; nothing else is."
    if not document.rounding_usd:
        return text
    exact, by = document.total_usd - document.rounding_usd, document.rounding_usd
    words = f"adds {usd_exact(by)}" if by > 0 else f"takes {usd_exact(-by)} off"
    return f"{text} The exact sum of the lines is {usd_exact(exact)}: rounding {words}."


def _serving(document: InvoiceDocument, visit: Visit) -> str:
    """What the figures beside the document count."""
    until = "so far" if document.period_end > visit.now else "in exactly this period"
    return f"LLM requests of this customer {until}. Margin counts charges before credits, less credit notes."


def _delivery(one: Delivery, visit: Visit) -> DeliveryRow:
    answered = f"HTTP {one.http_status}" if one.http_status else one.problem
    if one.delivered_at:
        tone, status, title = (
            "good",
            f"Delivered {ago(one.delivered_at, visit.now)}",
            moment(one.delivered_at, visit.zone),
        )
    elif one.next_try_at:
        tone = "warn" if one.tries else ""
        status, title = f"Next try {ago(one.next_try_at, visit.now)}", moment(one.next_try_at, visit.zone)
    else:
        tone, status, title = "bad", "Given up", ""
    details = ", ".join(part for part in (title, answered) if part)
    return DeliveryRow(one.event_type, one.url, tone, status, details, one.tries)
