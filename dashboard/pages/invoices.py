"""The list of invoices, each with what it cost to serve its customer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.urls import reverse

from dashboard.formats import count, days, usd
from dashboard.invoice_forms import DraftForm
from dashboard.invoice_search import InvoiceSearch
from dashboard.pages.margin import Margin, behind_href, margin
from dashboard.pages.parts import Chip, Frame, Option
from dashboard.pages.settings_form import PostForm, post_form
from dashboard.queries import invoices
from dashboard.queries.invoices import ListedInvoice, Served, ServingCost, Summary
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit
from metering import drafting
from metering.drafting import Drafted
from metering.models import Invoice, InvoiceStatus

PAGE_SIZE = 50
TABS = (("", "All"), ("draft", "Drafts"), ("finalized", "Finalized"), ("void", "Void"))
TONES = {"draft": "warn", "finalized": "good", "void": ""}


@dataclass(frozen=True)
class InvoiceRow:
    """One invoice of the list."""

    name: str
    href: str
    status: str
    tone: str
    customer: str
    customer_title: str
    customer_href: str
    period: str
    zone: str
    total: str
    credited: str
    """'' where nothing was credited."""
    due: str
    requests_href: str
    unpriced_href: str
    margin: Margin


@dataclass(frozen=True)
class Invoices:
    """All that `invoices.html` prints, as a page or its next rows."""

    frame: Frame
    tabs: Sequence[Option]
    status: str
    user: str
    chips: Sequence[Chip]
    clear_href: str
    summary: str
    note: str
    rows: Sequence[InvoiceRow]
    more_href: str
    form: PostForm | None
    """Opens a draft; None for those who may not."""
    empty_title: str
    empty_text: str
    action: str


def build(visit: Visit, search: InvoiceSearch, form: DraftForm | None) -> Invoices:
    """Read one page of the list in one snapshot. Each draft is drawn up by itself; the rest takes four statements."""
    path = reverse("dashboard:invoices")
    with snapshot():
        found = invoices.newest(visit.organization_id, search, PAGE_SIZE + 1)
        shown = found[:PAGE_SIZE]
        totals = invoices.summary(visit.organization_id, search)
        served = [Served(one.id, one.customer_id, one.start, one.end) for one in shown]
        costs = invoices.serving_costs(visit.organization_id, visit.zone, served)
        drafts = _drafts(visit, shown)
    has_more = len(found) > PAGE_SIZE
    refused = form is not None and form.is_bound
    return Invoices(
        frame=visit.frame(f"{'Error: ' if refused else ''}Invoices", "invoices"),
        tabs=tuple(
            Option(label, one, search.href(path, status=one), selected=one == search.status) for one, label in TABS
        ),
        status=search.status,
        user=search.user,
        chips=[Chip("Customer", search.user, search.href(path, user=""))] if search.user else [],
        clear_href=search.href(path, user=""),
        summary=_summary(totals),
        note=_note(totals),
        rows=[_row(one, drafts, costs[one.id], visit.zone) for one in shown],
        more_href=search.href(path, after=str(shown[-1].id)) if has_more else "",
        form=post_form(form, path, "Open a draft") if form else None,
        empty_title="No invoices match" if search.user or search.status else "No invoices yet",
        empty_text="A draft is opened for every customer with usage or a plan, within the hour.",
        action=path,
    )


def _drafts(visit: Visit, shown: Sequence[ListedInvoice]) -> dict[int, Drafted]:
    ids = [one.id for one in shown if one.status == InvoiceStatus.DRAFT]
    return {one.pk: drafting.draft(one, visit.now) for one in Invoice.objects.filter(pk__in=ids)}


def _row(one: ListedInvoice, drafts: Mapping[int, Drafted], served: ServingCost, zone: ZoneInfo) -> InvoiceRow:
    drafted = drafts.get(one.id)
    subtotal, total = (
        (one.subtotal_usd, one.total_usd) if drafted is None else (drafted.subtotal_usd, drafted.total_usd)
    )
    is_void, own_zone = one.status == InvoiceStatus.VOID, ZoneInfo(one.time_zone)
    last, period = one.end - timedelta(microseconds=1), (one.external_id, one.start, one.end, zone)
    return InvoiceRow(
        name=one.number or "Draft",
        href=reverse("dashboard:invoice", args=[one.id]),
        status=InvoiceStatus(one.status).label,
        tone=TONES[one.status],
        customer=one.customer_name or one.external_id,
        customer_title=one.external_id,
        customer_href=InvoiceSearch(user=one.external_id).href(reverse("dashboard:invoices")),
        period=days(one.start.astimezone(own_zone).date(), last.astimezone(own_zone).date()),
        zone=one.time_zone,
        total=usd(total),
        credited=usd(one.credited_usd) if one.credited_usd else "",
        due=usd(Decimal(0) if is_void else total - one.credited_usd),
        requests_href=behind_href("requests", *period),
        unpriced_href=behind_href("requests", *period, priced="no"),
        margin=margin(served, subtotal - one.credited_usd, is_void=is_void),
    )


def _summary(found: Summary) -> str:
    number = found.drafts + found.finalized + found.void
    text = f"{count(number)} {'invoice' if number == 1 else 'invoices'}"
    return f"{text} · {usd(found.due_usd)} due" if found.finalized else text


def _note(found: Summary) -> str:
    if not found.drafts:
        return ""
    one = "draft follows" if found.drafts == 1 else "drafts follow"
    return f"{count(found.drafts)} {one} the usage and {'is' if found.drafts == 1 else 'are'} not due yet."
