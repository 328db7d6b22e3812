"""Metered usage: what customers used of each meter, what that is worth, and the records themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.urls import reverse

from dashboard.filters import AMOUNTS, DIMENSIONS, Filters
from dashboard.formats import Delta, count, delta, quantity
from dashboard.pages.cost_rows import Figure
from dashboard.pages.filter_form import Field, FilterForm, filter_form
from dashboard.pages.links import period_options, views_href
from dashboard.pages.meter_words import aggregation, rates_in_force, with_unit
from dashboard.pages.parts import Chart, Chip, Frame, Option
from dashboard.pages.usage_chart import edges, quantity_over_time, steps
from dashboard.pages.usage_rows import (
    NO_USE,
    CustomerRow,
    MeterRow,
    RecordRow,
    customer_rows,
    meter_href,
    meter_row,
    record_rows,
    usage_href,
    usd_figure,
    worth_figure,
)
from dashboard.pages.usage_start import Start, start
from dashboard.queries import meter_usage, users
from dashboard.queries.meter_usage import MeterFacts, MeterUse, Scope
from dashboard.queries.reading import snapshot
from dashboard.usage_search import PAGE_SIZE, UsageSearch, place
from dashboard.visit import Visit
from events.models import Environment, Organization
from metering import accrual
from metering.accrual import Accrued
from metering.models import MeterRate
from metering.quantities import Span


@dataclass(frozen=True)
class OneMeter:
    """A meter's facts, course and customers, where the page shows one."""

    token: str
    counts: str
    rates: Sequence[str]
    edit_href: str
    """The meter in the admin; '' for who may not."""
    is_archived: bool
    quantity: str
    before: str
    delta: Delta | None
    records: str
    worth: Figure
    chart: Chart | None
    customers: Sequence[CustomerRow]
    summary: str
    shown: int
    """How many customers the person has seen; the next poll asks for as many."""
    more_href: str


@dataclass(frozen=True)
class Usage:
    """All that `usage.html` prints, as a page, its live part, or the next rows of one of its lists."""

    frame: Frame
    live_href: str
    periods: Sequence[Option]
    form: FilterForm
    views_href: str
    chips: Sequence[Chip]
    clear_href: str
    all_href: str
    """The page without its meter; '' where it shows all of them."""
    period_text: str
    zone: str
    is_live: bool
    compares: bool
    add_href: str
    """Where a meter is made; '' for who may not."""
    start: Start | None
    """How to begin, where no usage has ever come."""
    meters: Sequence[MeterRow]
    total_records: str
    total_worth: Figure
    note: str
    """What the figures mean, where that needs saying."""
    one: OneMeter | None
    records: Sequence[RecordRow]
    page_size: int
    seen: int
    """How many records the person has seen; the next poll asks for as many."""
    more_href: str
    empty_href: str
    empty_action: str
    rows: str
    """The partial with the next rows: of customers or of records."""


@dataclass(frozen=True)
class Read:
    """What a page's statements found."""

    meters: Mapping[int, MeterFacts]
    uses: Sequence[Mapping[int, MeterUse]]
    worth: Accrued | None
    records: Sequence[meter_usage.Record]
    has_records: bool
    one: OneMeter | None


def build(visit: Visit, search: UsageSearch, revision: str) -> Usage | None:
    """Read everything in one snapshot; None where the meter is not the organization's."""
    own, administers = search.filters, visit.can_administer
    with snapshot():
        meters = meter_usage.meters(visit.organization_id)
        if search.meter is not None and search.meter not in meters:
            return None
        found = _read(visit, search, meters)
    shown = found.records[: search.records]
    listed = [] if found.one else _listed(meters, found, own)
    seen, is_narrowed = search.seen + len(shown), own.user is not None or search.meter is not None
    title = meters[search.meter].name if search.meter else "Usage"
    started = None if found.has_records else start(visit, list(meters.values()))
    return Usage(
        frame=visit.frame(title, "usage", own.environment),
        live_href=usage_href(own, rev=revision),
        periods=period_options(own),
        form=_form(own, meters, search.meter),
        views_href=views_href("usage", own),
        chips=_chips(own, meters, search.meter),
        clear_href=usage_href(own, user=None, meter=None),
        all_href=usage_href(own, meter=None) if search.meter else "",
        period_text=own.period_text,
        zone=own.zone.key,
        is_live=own.environment == "live",
        compares=len(found.uses) > 1,
        add_href=reverse("admin:metering_meter_add") if administers else "",
        start=started,
        meters=[meter_row(one, found.uses, own, found.worth, administers=administers) for one in listed],
        total_records=count(sum(use.records for use in found.uses[0].values())),
        total_worth=usd_figure(found.worth.total_usd) if found.worth else worth_figure(None, 0, 0),
        note=_note(listed, found.uses[0]),
        one=found.one,
        records=record_rows(shown, meters, own),
        page_size=PAGE_SIZE,
        seen=seen,
        more_href=_more_href(search, found.records, seen),
        empty_href=usage_href(own, **({"user": None, "meter": None} if is_narrowed else {"period": "90d"})),
        empty_action="Clear all filters" if is_narrowed else "Show 90 days",
        rows="customers" if search.customers_after else "records",
    )


def _read(visit: Visit, search: UsageSearch, meters: Mapping[int, MeterFacts]) -> Read:
    own = search.filters
    organization = Organization.objects.get(pk=visit.organization_id)
    scope = _scope(visit, search)
    span, before = Span(own.start, own.end), own.previous()
    spans = [span] if own.compare == "none" else [span, Span(before.start, before.until)]
    uses = meter_usage.by_meter(scope, spans)
    worth = None
    if own.environment == "live":
        customers = None if scope.customer_id is None else [scope.customer_id]
        worth = accrual.accrued(organization, span.start, span.until, customer_ids=customers)
    records = meter_usage.records(scope, span, search.records + 1, search.after)
    found = Read(meters, uses, worth, records, bool(records) or meter_usage.has_records(visit.organization_id), None)
    return replace(found, one=_one(visit, search, scope, found)) if search.meter else found


def _scope(visit: Visit, search: UsageSearch) -> Scope:
    own, customer = search.filters, None
    if own.user is not None:
        # Nobody has the id 0: who is asked for but not known has no records.
        customer = users.tracked_user_id(visit.organization_id, own.user) or 0
    environment = Environment.LIVE if own.environment == "live" else Environment.TEST
    return Scope(visit.organization_id, environment.value, search.meter, customer)


def _one(visit: Visit, search: UsageSearch, scope: Scope, found: Read) -> OneMeter:
    own = search.filters
    meter = found.meters[search.meter or 0]
    buckets = steps(own)
    course = meter_usage.by_bucket(scope, edges(buckets, own))
    rates = MeterRate.objects.filter(meter_id=meter.id).prefetch_related("tiers")
    span = Span(own.start, own.end)
    customers = meter_usage.by_customer(scope, span, search.customers + 1, search.customers_after)
    uses = [use.get(meter.id, NO_USE) for use in found.uses]
    shown = search.customers_after + min(len(customers), search.customers)
    has_more = len(customers) > search.customers
    total = uses[0].customers
    return OneMeter(
        token=str(meter.token),
        counts=aggregation(meter),
        rates=rates_in_force(rates, meter.unit, own.now.astimezone(own.zone).date()),
        edit_href=meter_href(meter.id) if visit.can_administer else "",
        is_archived=meter.is_archived,
        quantity=with_unit(quantity(uses[0].quantity), meter.unit),
        before=quantity(uses[1].quantity) if len(uses) > 1 else "",
        delta=delta(uses[0].quantity, uses[1].quantity, better=None) if len(uses) > 1 else None,
        records=count(uses[0].records),
        worth=worth_figure(found.worth, meter.id, uses[0].records),
        chart=quantity_over_time(meter, buckets, course, uses[0], own, usage_href(own)) if course else None,
        customers=customer_rows(customers[: search.customers], meter, own, found.worth),
        summary=f"{count(total)} {'customer' if total == 1 else 'customers'}",
        shown=shown if shown > PAGE_SIZE else 0,
        more_href=usage_href(own, customers_after=str(shown)) if has_more else "",
    )


def _listed(meters: Mapping[int, MeterFacts], found: Read, own: Filters) -> list[MeterFacts]:
    """Those with usage; of the others those that are in use, unless a customer is asked for."""
    is_listed = {meter.id for meter in meters.values() if not meter.is_archived and own.user is None}
    return [meter for meter in meters.values() if meter.id in is_listed or meter.id in found.uses[0]]


def _note(listed: Sequence[MeterFacts], uses: Mapping[int, MeterUse]) -> str:
    apart = [one for one in listed if one.aggregation not in ("SUM", "COUNT") and one.id in uses]
    many = any(uses[one.id].customers > 1 for one in apart)
    return "The quantity of several customers is the sum of what each comes to." if many else ""


def _form(own: Filters, meters: Mapping[int, MeterFacts], chosen: int | None) -> FilterForm:
    others = [word for word in (*DIMENSIONS, *AMOUNTS, "priced", "q", "meta_key", "meta_value") if word != "user"]
    made = filter_form(own, {}, reverse("dashboard:usage"), "Filter usage", without=others, compares=True)
    options = [Option(one.name, str(one.id), selected=one.id == chosen) for one in meters.values()]
    menu = Field("meter", "Meter", options=[Option("All meters", ""), *options])
    more = [replace(field, label="Customer id") if field.name == "user" else field for field in made.more]
    return replace(made, more=[menu, *more], hidden=[pair for pair in made.hidden if pair[0] != "meter"])


def _chips(own: Filters, meters: Mapping[int, MeterFacts], chosen: int | None) -> list[Chip]:
    found = [Chip("Meter", meters[chosen].name, usage_href(own, meter=None))] if chosen else []
    return found + [Chip("Customer", value, href) for _, value, href in own.chips()]


def _more_href(search: UsageSearch, found: Sequence[meter_usage.Record], seen: int) -> str:
    if len(found) <= search.records:
        return ""
    last = found[search.records - 1]
    return usage_href(search.filters, after=place(last.occurred_at, last.id), seen=str(seen))
