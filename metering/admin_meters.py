"""Meters and their rates in the admin. What has been billed stays as it was: a used rate and a used meter are fixed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from events.admin_access import LabelledFormSet, ModelForm, Scoped, ScopedInline
from events.wire import FieldError
from metering.admin_forms import NUMBERS, OfCustomer, WholeForm
from metering.models import Meter, MeterRate, RateKind, RateTier, UsageRecord
from metering.models.rate import bound
from metering.rating import InvalidRate

_FIELDS_OF = {
    RateKind.FLAT: ("fee_usd",),
    RateKind.PER_UNIT: ("unit_price_usd",),
    RateKind.PACKAGE: ("package_size", "package_price_usd"),
    RateKind.GRADUATED: (),
    RateKind.VOLUME: (),
}
_PRICES = tuple(name for names in _FIELDS_OF.values() for name in names)
# What metering/rating.py calls differently, because there it stands inside of a package.
_NAMES = {"size": "package_size", "price_usd": "package_price_usd"}
_LABELS = {
    "fee_usd": "Fee in USD",
    "unit_price_usd": "Unit price in USD",
    "package_price_usd": "Package price in USD",
    "minimum_usd": "Minimum in USD",
    "flat_fee_usd": "Flat fee in USD",
}
_ANY_TIERS = (RateTier(up_to=None, unit_price_usd=Decimal(0), flat_fee_usd=Decimal(0)),)


class MeterForm(WholeForm):
    archived = forms.BooleanField(
        required=False, help_text="It takes no more usage and its name may be used again; what was recorded stays."
    )

    class Meta:
        model = Meter
        fields = ("organization", "name", "unit", "aggregation", "unique_key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["archived"] = self.instance.archived_at is not None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        # Before the constraints are checked, one of which is about meters that are not archived.
        if not cleaned.get("archived"):
            self.instance.archived_at = None
        elif self.instance.archived_at is None:
            self.instance.archived_at = datetime.now(UTC)
        return cleaned


class MeterAdmin(Scoped):
    form = MeterForm
    list_display = ("name", "unit", "aggregation", "is_archived", "organization", "created_at")
    list_filter = (("organization", admin.RelatedOnlyFieldListFilter), ("archived_at", admin.EmptyFieldListFilter))
    list_select_related = ("organization",)
    search_fields = ("name", "token")

    def get_fields(self, request: HttpRequest, obj: Meter | None = None) -> tuple[str, ...]:
        of_all = ("organization", "name", "unit", "aggregation", "unique_key")
        return of_all if obj is None else (*of_all, "archived", "token", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Meter | None = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        counted = ("aggregation", "unique_key") if _has_records(obj) else ()
        return ("organization", "token", "created_at", *counted)

    @admin.display(boolean=True, description="archived")
    def is_archived(self, meter: Meter) -> bool:
        return meter.archived_at is not None


def _has_records(meter: Meter) -> bool:
    return UsageRecord.objects.filter(organization_id=meter.organization_id, meter_id=meter.pk).exists()


class RateForm(WholeForm):
    class Meta:
        model = MeterRate
        fields = ("meter", "tracked_user", "effective_from", "kind", *_PRICES, "allowance", "minimum_usd")
        labels = _LABELS

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        meter = cleaned.get("meter") or (self.instance.meter if self.instance.pk else None)
        self.check_customer(cleaned.get("tracked_user"), meter.organization_id if meter else None)
        if (kind := cleaned.get("kind")) in RateKind.values:
            for name in _PRICES:
                if cleaned.get(name) is not None and name not in _FIELDS_OF[RateKind(kind)]:
                    self.add_error(name, f"Is no part of this kind: {RateKind(kind).label.lower()}. Leave it empty.")
        return cleaned

    def validate_constraints(self) -> None:
        """What the rate lacks comes first: constraints of the table do not name a field."""
        if not self.errors:
            for error in _errors_of(self.instance, _ANY_TIERS):
                self.add_error(_NAMES.get(error.field, error.field), _sentence(error.message))
        super().validate_constraints()


def _errors_of(rate: MeterRate, tiers: tuple[RateTier, ...]) -> tuple[FieldError, ...]:
    try:
        rate.with_tiers(tiers)
    except InvalidRate as invalid:
        return invalid.errors
    return ()


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}."


class TierForm(ModelForm):
    class Meta:
        model = RateTier
        fields = ("up_to", "unit_price_usd", "flat_fee_usd")
        labels = _LABELS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "flat_fee_usd" in self.fields:
            self.fields["flat_fee_usd"].required = False

    def clean_flat_fee_usd(self) -> Decimal:
        return self.cleaned_data["flat_fee_usd"] or Decimal(0)

    def has_changed(self) -> bool:
        """A row without a bound and without a price is none, whatever its fee says."""
        is_empty = all(self[name].data in (None, "") for name in ("up_to", "unit_price_usd"))
        return super().has_changed() and not (is_empty and self["flat_fee_usd"].data in (None, "", "0"))

    def validate_constraints(self) -> None:
        """The formset checks tiers together, and says which field is wrong."""


class TierFormSet(LabelledFormSet):
    """The tiers of one rate, checked together: each must begin where the one before ends."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        rows = sorted(self._rows(), key=lambda row: bound(row.instance))
        if not self.instance.has_tiers:
            if rows:
                raise ValidationError("Tiers are parts of graduated and volume rates, not of other kinds.")
            return
        # The other fields of the rate are the form's to check.
        bare = MeterRate(kind=self.instance.kind)
        for error in _errors_of(bare, tuple(row.instance for row in rows)):
            place, _, name = error.field.partition("].")
            if name:
                rows[int(place.partition("[")[2])].add_error(name, _sentence(error.message))
            else:
                raise ValidationError(_sentence(f"{error.field} {error.message}"))

    def _rows(self) -> Iterator[Any]:
        for form in self.forms:
            if (form.has_changed() or form.instance.pk) and not form.cleaned_data.get("DELETE"):
                yield form


class TierInline(ScopedInline):
    model = RateTier
    form = TierForm
    formset = TierFormSet
    fields = ("up_to", "unit_price_usd", "flat_fee_usd")
    formfield_overrides = NUMBERS
    verbose_name_plural = "tiers, for graduated and volume rates"

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 3  # for those who have no scripts

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request, obj) and not _is_billed(obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_billed(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)


class MeterRateAdmin(OfCustomer):
    form = RateForm
    organization_path = "meter__organization_id"
    fixed_fields = ("meter", "tracked_user")
    fields = RateForm.Meta.fields
    list_display = ("meter", "customer", "effective_from", "kind", "organization")
    list_display_links = ("meter", "effective_from")
    list_filter = (("meter", admin.RelatedOnlyFieldListFilter), "kind")
    list_select_related = ("meter__organization", "tracked_user")
    search_fields = ("meter__name", "tracked_user__external_id", "tracked_user__name")
    ordering = ("meter__name", "-effective_from")
    formfield_overrides = NUMBERS
    inlines = (TierInline,)

    def organization_of(self, obj: Any) -> int:
        return int(obj.meter.organization_id)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_billed(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A rate by which nothing was billed may go, and then never was."""
        return self.has_change_permission(request, obj)

    @admin.display(empty_value="everybody")
    def customer(self, rate: MeterRate) -> object:
        return rate.tracked_user

    @admin.display(ordering="meter__organization__name")
    def organization(self, rate: MeterRate) -> object:
        return rate.meter.organization


def _is_billed(rate: MeterRate | None) -> bool:
    """Whether a finalized invoice names the rate."""
    return rate is not None and rate.pk is not None and rate.invoice_lines.exists()
