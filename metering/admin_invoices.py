"""Invoices and usage records in the admin: to be read, whoever asks. They are changed by what made them alone."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.functional import cached_property

from events.admin_access import Scoped, ScopedInline
from events.models import Organization, TrackedUser
from metering.admin_forms import plain
from metering.models import CreditNote, Invoice, InvoiceLine, Meter, UsageRecord
from metering.models.usage_record import public_id

if TYPE_CHECKING:
    # Generic for the type checker only.
    Pages = Paginator[Any]
else:
    Pages = Paginator

_MOST_COUNTED = 10_000


class ReadOnly(Scoped):
    """Shown to those who manage the organization, changed by nobody."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(ScopedInline):
    """The same for rows inside one object."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class InvoiceLineInline(ReadOnlyInline):
    model = InvoiceLine
    fields = readonly_fields = ("text", "kind", "exact_quantity", "unit", "records", "exact", "amount_usd")
    verbose_name_plural = "lines"

    @admin.display(description="quantity")
    def exact_quantity(self, line: InvoiceLine) -> str:
        return "" if line.quantity is None else plain(line.quantity)

    @admin.display(description="exact USD")
    def exact(self, line: InvoiceLine) -> str:
        return plain(line.exact_usd)


class CreditNoteInline(ReadOnlyInline):
    model = CreditNote
    fields = readonly_fields = ("number", "amount_usd", "reason", "created_at")


class InvoiceAdmin(ReadOnly):
    fields = (
        "organization",
        "tracked_user",
        ("customer_name", "customer_email"),
        "status",
        "number",
        ("period_start", "period_end", "time_zone"),
        ("created_at", "finalized_at", "voided_at"),
        "void_reason",
        ("subtotal_usd", "total_usd", "rounding"),
        "issuer",
        "note",
    )
    list_display = ("__str__", "tracked_user", "status", "period_start", "total_usd", "organization", "finalized_at")
    list_filter = ("status", ("organization", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("tracked_user", "organization")
    search_fields = ("number", "tracked_user__external_id", "tracked_user__name")
    show_full_result_count = False
    inlines = (InvoiceLineInline, CreditNoteInline)

    @admin.display(description="rounding in USD")
    def rounding(self, invoice: Invoice) -> str:
        return plain(invoice.rounding_usd)


class CountedToALimit(Pages):
    """Pages of a table that may be very long: counting all of it would take longer than showing any of it."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows[:_MOST_COUNTED].values_list("pk"))


class UsageRecordAdmin(ReadOnly):
    """The newest records; what a customer used in all is on the pages of usage."""

    fields = (
        "name",
        "organization_name",
        "environment",
        "meter",
        "customer",
        "exact_quantity",
        "occurred_at",
        "received_at",
        "unique_value",
        "metadata",
        "api_key_id",
        "person_id",
        "late_for_id",
    )
    list_display = ("name", "meter", "customer", "exact_quantity", "occurred_at", "environment", "organization_name")
    sortable_by = ()
    ordering = ("-id",)
    list_filter = ("environment",)
    show_full_result_count = False
    paginator = CountedToALimit

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The records with the names of what they name by number only: they have no foreign keys."""
        found: QuerySet[Any] = super().get_queryset(request)
        named: QuerySet[Any] = found.annotate(
            meter_name=_of(Meter, "meter_id", "name"),
            customer_id=_of(TrackedUser, "tracked_user_id", "external_id"),
            of_organization=_of(Organization, "organization_id", "name"),
        )
        return named

    @admin.display(description="id")
    def name(self, record: UsageRecord) -> str:
        return public_id(record.id)

    @admin.display
    def meter(self, record: Any) -> str:
        return str(record.meter_name)

    @admin.display
    def customer(self, record: Any) -> str:
        return str(record.customer_id)

    @admin.display(description="quantity")
    def exact_quantity(self, record: UsageRecord) -> str:
        return plain(record.quantity)

    @admin.display(description="organization")
    def organization_name(self, record: Any) -> str:
        return str(record.of_organization)


def _of(model: Any, key: str, field: str) -> Subquery:
    return Subquery(model.objects.filter(pk=OuterRef(key)).values(field))
