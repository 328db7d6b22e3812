"""The admin of organizations, their people and their tracked users.

API keys are in `events/admin_api_keys.py`, prices in `events/admin_pricing.py`.
"""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from events.admin_access import (
    Access,
    AdminUserCreationForm,
    LabelledFormSet,
    ModelForm,
    Scoped,
    ScopedInline,
    StockUserAdmin,
    UserChangeForm,
    access_of,
    has_owner_besides,
    open_admin_to,
    sign_in,
)
from events.admin_api_keys import ApiKeyAdmin
from events.admin_pricing import PricingRevisionAdmin
from events.models import ApiKey, Event, Membership, Organization, RevenueChange, Role, TrackedUser, User
from pricing.models import PricingRevision

admin.site.site_header = "FluxGate"
admin.site.site_title = "FluxGate"
admin.site.index_title = "Administration"
admin.site.login = sign_in  # type: ignore[method-assign, assignment]
# Rights come from roles; see events/admin_access.py.
admin.site.unregister(Group)
admin.site.register(ApiKey, ApiKeyAdmin)
admin.site.register(PricingRevision, PricingRevisionAdmin)

_LAST_OWNER = "An organization keeps at least one active owner: make another owner first."


class MembershipForm(ModelForm):
    """A role in an organization, within what the person who asks may give."""

    access: ClassVar[Access]

    class Meta:
        model = Membership
        fields = ("organization", "user", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "user" in self.fields:
            # Otherwise an admin could put another person into an owner's place.
            self.fields["user"].disabled = True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        old = self.initial.get("role") if self.instance.pk else None
        organization = cleaned.get("organization") or (self.instance.organization if self.instance.pk else None)
        if organization is None or "role" not in cleaned:
            return cleaned
        if refusal := self.access.role_refusal(organization.pk, old, cleaned["role"]):
            raise ValidationError({"role": refusal})
        return cleaned


class SingleMembershipForm(MembershipForm):
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        steps_down = self.instance.pk and self.initial["role"] == Role.OWNER and cleaned.get("role") != Role.OWNER
        if steps_down and not has_owner_besides(self.instance.organization_id, [self.instance.pk]):
            raise ValidationError({"role": _LAST_OWNER})
        return cleaned


class MembershipFormSet(LabelledFormSet):
    """The members of one organization, changed together: it is their sum that must keep an owner."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        stepping_down, has_new_owner = [], False
        for form in self.forms:
            given = {} if form.cleaned_data.get("DELETE") else form.cleaned_data
            old, new = form.initial.get("role") if form.instance.pk else None, given.get("role")
            if old == Role.OWNER != new:
                stepping_down.append(form.instance.pk)
            has_new_owner |= old != Role.OWNER == new and given["user"].is_active
            if new is None and (refusal := form.access.role_refusal(self.instance.pk, old, None)):
                raise ValidationError(refusal)
        if stepping_down and not has_new_owner and not has_owner_besides(self.instance.pk, stepping_down):
            raise ValidationError(_LAST_OWNER)


class MembershipInline(ScopedInline):
    model = Membership
    form = MembershipForm
    formset = MembershipFormSet
    fields = ("user", "role")
    verbose_name_plural = "members"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)


@admin.register(Organization)
class OrganizationAdmin(Scoped):
    organization_path = "pk"
    fixed_fields = ()
    fields = ("name", "slug", "time_zone")
    list_display = ("name", "slug", "time_zone", "created_at")
    search_fields = ("name", "slug")
    inlines = (MembershipInline,)

    def organization_of(self, obj: Any) -> int:
        return int(obj.pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return access_of(request).everything

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Addresses of pages hold the slug; usage is summed up by days of the zone as soon as there is any."""
        slug = () if access_of(request).everything else ("slug",)
        zone = ("time_zone",) if obj and Event.objects.filter(organization_id=obj.pk).exists() else ()
        return (*slug, *zone)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for member in (*formset.new_objects, *(changed for changed, _ in formset.changed_objects)):
            open_admin_to(member.user)


@admin.register(Membership)
class MembershipAdmin(Scoped):
    form = SingleMembershipForm
    fields = ("organization", "user", "role")
    fixed_fields = ("organization", "user")
    list_display = ("user", "organization", "role", "created_at")
    list_filter = (("organization", admin.RelatedOnlyFieldListFilter), "role")
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "user__name")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        access = access_of(request)
        if obj is None:
            return access.manages(None)
        return access.manages(obj.organization_id) and not access.role_refusal(obj.organization_id, obj.role, None)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        if obj.role == Role.OWNER and not has_owner_besides(obj.organization_id, [obj.pk]):
            raise PermissionDenied(_LAST_OWNER)
        super().delete_model(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        open_admin_to(obj.user)


class PersonAddForm(AdminUserCreationForm):
    """A new person, together with the membership without which nobody but a superuser would see them."""

    access: ClassVar[Access]
    organization = forms.ModelChoiceField(Organization.objects.none())
    role = forms.ChoiceField(choices=Role, initial=Role.MEMBER)

    class Meta:
        model = User
        fields = ("email", "name")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organization: Any = self.fields["organization"]
        organization.queryset = self.access.organizations()
        organization.required = not self.access.everything

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        organization, role = cleaned.get("organization"), cleaned.get("role")
        if organization and (refusal := self.access.role_refusal(organization.pk, None, role)):
            raise ValidationError({"role": refusal})
        return cleaned


class PersonChangeForm(UserChangeForm):
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.initial.get("is_active") and cleaned.get("is_active") is False:
            for owned in self.instance.memberships.filter(role=Role.OWNER):
                if not has_owner_besides(owned.organization_id, [owned.pk]):
                    raise ValidationError({"is_active": _LAST_OWNER})
        return cleaned


@admin.register(User)
class UserAdmin(Scoped, StockUserAdmin):
    form = PersonChangeForm
    add_form = PersonAddForm
    fixed_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Times (UTC)", {"fields": ("last_login", "created_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "name", "organization", "role", "usable_password", "password1", "password2"),
            },
        ),
    )
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    ordering = ("email",)
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return access_of(request).people()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        access = access_of(request)
        return access.manages(None) and (obj is None or access.people().filter(pk=obj.pk).exists())

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        access = access_of(request)
        return access.manages(None) and (obj is None or obj == request.user or access.may_edit_person(obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if access_of(request).everything else (*fixed, "is_staff", "is_superuser")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change and form.cleaned_data.get("organization"):
            Membership.objects.create(
                organization=form.cleaned_data["organization"], user=obj, role=form.cleaned_data["role"]
            )
            open_admin_to(obj)


class RevenueChangeInline(ScopedInline):
    model = RevenueChange
    fields = ("effective_at", "monthly_revenue_usd")


@admin.register(TrackedUser)
class TrackedUserAdmin(Scoped):
    fields = ("organization", "external_id", "name", "email", "image", "described_at")
    # Events find their tracked user by the external id.
    fixed_fields = ("organization", "external_id")
    readonly_fields = ("described_at",)
    list_display = ("external_id", "name", "email", "organization", "created_at")
    list_filter = (("organization", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("organization",)
    search_fields = ("external_id", "name", "email")
    show_full_result_count = False
    inlines = (RevenueChangeInline,)
