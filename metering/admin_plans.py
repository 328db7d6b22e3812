"""Plans, subscriptions, credits and billing settings in the admin."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from events.admin_access import Access, Scoped, access_of
from metering.admin_forms import NUMBERS, OfCustomer, WholeForm
from metering.models import BillingSettings, Credit, Plan, Subscription
from metering.rating import CENT


def _from(least: Decimal, amount: Decimal) -> Decimal:
    if amount < least:
        raise ValidationError(f"Must be {least} or more.")
    return amount


class PlanForm(WholeForm):
    class Meta:
        model = Plan
        fields = ("organization", "name", "fee_usd")

    def clean_fee_usd(self) -> Decimal:
        return _from(Decimal(0), self.cleaned_data["fee_usd"])


class PlanAdmin(Scoped):
    form = PlanForm
    fields = PlanForm.Meta.fields
    list_display = ("name", "fee_usd", "organization", "created_at")
    list_filter = (("organization", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("organization",)
    search_fields = ("name",)
    formfield_overrides = NUMBERS

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        """Who subscribed did so for this fee: another fee is another plan."""
        sold = ("fee_usd",) if obj and obj.subscriptions.exists() else ()
        return (*super().get_readonly_fields(request, obj), *sold)


class SubscriptionForm(WholeForm):
    class Meta:
        model = Subscription
        fields = ("plan", "tracked_user", "starts_on", "ends_on")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        plan = cleaned.get("plan")
        self.check_customer(cleaned.get("tracked_user"), plan.organization_id if plan else None)
        return cleaned


class SubscriptionAdmin(OfCustomer):
    """A subscription ends; it is not changed into another one."""

    form = SubscriptionForm
    organization_path = "tracked_user__organization_id"
    fixed_fields = ("plan", "tracked_user", "starts_on")
    fields = SubscriptionForm.Meta.fields
    list_display = ("tracked_user", "plan", "starts_on", "ends_on", "organization")
    list_filter = (("plan", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("tracked_user__organization", "plan")
    search_fields = ("tracked_user__external_id", "tracked_user__name", "plan__name")

    def organization_of(self, obj: Any) -> int:
        return int(obj.tracked_user.organization_id)

    @admin.display(ordering="tracked_user__organization__name")
    def organization(self, subscription: Subscription) -> object:
        return subscription.tracked_user.organization


class CreditForm(WholeForm):
    class Meta:
        model = Credit
        fields = ("tracked_user", "amount_usd", "note", "expires_at")

    def clean_amount_usd(self) -> Decimal:
        return _from(CENT, self.cleaned_data["amount_usd"])


class CreditAdmin(OfCustomer):
    form = CreditForm
    organization_path = "tracked_user__organization_id"
    fixed_fields = ("tracked_user", "granted_at")
    list_display = ("tracked_user", "amount_usd", "note", "granted_at", "expires_at", "organization")
    list_select_related = ("tracked_user__organization",)
    search_fields = ("tracked_user__external_id", "tracked_user__name", "note")
    formfield_overrides = NUMBERS

    def organization_of(self, obj: Any) -> int:
        return int(obj.tracked_user.organization_id)

    def get_fields(self, request: HttpRequest, obj: Credit | None = None) -> tuple[str, ...]:
        return CreditForm.Meta.fields if obj is None else (*CreditForm.Meta.fields, "granted_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Credit | None = None) -> tuple[str, ...]:
        """What an invoice has used of it says how much there was."""
        used = ("amount_usd", "note") if obj and obj.invoice_lines.exists() else ()
        return (*super().get_readonly_fields(request, obj), *used)

    @admin.display(ordering="tracked_user__organization__name")
    def organization(self, credit: Credit) -> object:
        return credit.tracked_user.organization


class BillingSettingsForm(WholeForm):
    access: Access

    class Meta:
        model = BillingSettings
        fields = ("organization", "anchor_day", "finalize_after_days", "invoice_prefix", "issuer", "note")
        widgets = {"issuer": forms.Textarea({"rows": 5, "cols": 60}), "note": forms.Textarea({"rows": 4, "cols": 60})}

    def clean_organization(self) -> Any:
        organization = self.cleaned_data["organization"]
        if not self.instance.pk and BillingSettings.objects.filter(organization=organization).exists():
            raise ValidationError("This organization has billing settings already.")
        return organization


class BillingSettingsAdmin(Scoped):
    form = BillingSettingsForm
    fixed_fields = ("organization", "last_invoice_number", "last_credit_note_number")
    list_display = ("organization", "anchor_day", "invoice_prefix", "finalize_after_days", "last_invoice_number")
    list_select_related = ("organization",)

    def get_fields(self, request: HttpRequest, obj: BillingSettings | None = None) -> tuple[str, ...]:
        numbers = self.fixed_fields[1:] if obj else ()
        return (*BillingSettingsForm.Meta.fields, *numbers)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        only = access_of(request).organizations()[:2]
        found: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        return ({"organization": only[0].pk} if len(only) == 1 else {}) | found
