"""Who may do what in the admin: owners and admins of an organization, within that organization; superusers, all.

Rights come from roles alone. Django's own permissions and groups are not used for these models.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth import forms as auth_forms
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, resolve_url
from django.urls import NoReverseMatch, reverse

from events.models import Membership, Organization, Role, User

if TYPE_CHECKING:
    # Generic for the type checker only.
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    InlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
    StockUserAdmin = auth_admin.UserAdmin[Any]
    AdminUserCreationForm = auth_forms.AdminUserCreationForm[Any]
    UserChangeForm = auth_forms.UserChangeForm[Any]
else:
    ModelAdmin, TabularInline = admin.ModelAdmin, admin.TabularInline
    ModelForm, InlineFormSet = forms.ModelForm, forms.BaseInlineFormSet
    StockUserAdmin = auth_admin.UserAdmin
    AdminUserCreationForm, UserChangeForm = auth_forms.AdminUserCreationForm, auth_forms.UserChangeForm

_ADMITTED = (Role.OWNER, Role.ADMIN)


@dataclass(frozen=True)
class Access:
    """What one person may administer: every organization, or those where they are owner or admin."""

    everything: bool
    roles: dict[int, Role]

    def manages(self, organization_id: int | None) -> bool:
        """Whether the person may see and edit the organization; None asks whether there is any such."""
        return self.everything or (bool(self.roles) if organization_id is None else organization_id in self.roles)

    def organizations(self) -> QuerySet[Organization]:
        return Organization.objects.all() if self.everything else Organization.objects.filter(pk__in=self.roles)

    def among(self, found: QuerySet[Any], path: str = "organization_id") -> QuerySet[Any]:
        """Those of the objects that belong to such an organization; `path` leads from them to its id."""
        return found if self.everything else found.filter(**{f"{path}__in": list(self.roles)})

    def people(self) -> QuerySet[User]:
        """Members of any of these organizations, whatever their role."""
        if self.everything:
            return User.objects.all()
        return User.objects.filter(pk__in=Membership.objects.filter(organization__in=self.roles).values("user"))

    def role_refusal(self, organization_id: int | None, old: str | None, new: str | None) -> str | None:
        """Why this person may not change a role from `old` to `new` (None: no member); None when they may."""
        if self.everything or old == new:
            return None
        if organization_id not in self.roles:
            return "You do not manage this organization."
        if Role.OWNER in (old, new) and self.roles[organization_id] != Role.OWNER:
            return "Only an owner can make, change or remove owners."
        return None

    def may_edit_person(self, person: User) -> bool:
        """Whether name, e-mail address and password of `person` are in this person's hands.

        Not those of a superuser, of a member of somebody else's organization, nor, for an admin, of an owner: who can
        set a password can become that person.
        """
        if self.everything:
            return True
        return not person.is_superuser and all(
            membership.organization_id in self.roles
            and self.role_refusal(membership.organization_id, membership.role, None) is None
            for membership in person.memberships.all()
        )


_known: WeakKeyDictionary[HttpRequest, Access] = WeakKeyDictionary()


def access_of(request: HttpRequest) -> Access:
    """The access of the person who asks, read once per request: the admin checks permissions dozens of times."""
    if request not in _known:
        roles = Membership.objects.filter(user=request.user.pk, role__in=_ADMITTED).values_list("organization", "role")
        _known[request] = Access(getattr(request.user, "is_superuser", False), {pk: Role(role) for pk, role in roles})
    return _known[request]


def has_owner_besides(organization_id: int, leaving: Collection[int]) -> bool:
    """Whether an active owner remains without the memberships `leaving`. Needs a transaction.

    Locks the owners' rows until its end, so that two owners cannot step down at the same moment.
    """
    owners = Membership.objects.select_for_update(of=("self",)).filter(
        organization=organization_id, role=Role.OWNER, user__is_active=True
    )
    return any(owner.pk not in leaving for owner in owners)


def open_admin_to(person: User) -> None:
    """Let a new owner or admin into the admin; what they see there follows from their roles."""
    if not person.is_staff and person.memberships.filter(role__in=_ADMITTED).exists():
        person.is_staff = True
        person.save(update_fields=["is_staff"])


class Scoped(ModelAdmin):
    """Shows and edits what belongs to organizations that the person manages. Nothing is deleted, nothing moves."""

    actions: Any = None
    organization_path = "organization_id"
    fixed_fields: tuple[str, ...] = ("organization",)
    """Written when an object is added and never again."""

    def organization_of(self, obj: Any) -> int:
        return int(obj.organization_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return access_of(request).among(super().get_queryset(request), self.organization_path)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return access_of(request).manages(None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).manages(None if obj is None else self.organization_of(obj))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return access_of(request).manages(None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), *(self.fixed_fields if obj else ()))

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **_limited_choices(db_field, request), **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The class is made anew for each request.
        form = super().get_form(request, obj, change=change, **kwargs)
        form.access = access_of(request)  # type: ignore[attr-defined]
        return form


class LabelledFormSet(InlineFormSet):
    """Names every field for screen readers: Django's tables of rows have column headings only."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for field in form.fields.values():
            # A choice of objects stands in a wrapper, whose attributes are not those of the element.
            widget = getattr(field.widget, "widget", field.widget)
            widget.attrs.setdefault("aria-label", str(field.label or ""))


class ScopedInline(TabularInline):
    """The same for rows inside an organization or inside one of its objects."""

    formset = LabelledFormSet
    extra = 0
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        organization_id = obj.pk if isinstance(obj, Organization) else getattr(obj, "organization_id", None)
        return access_of(request).manages(organization_id)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_view_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_foreignkey(db_field, request, **_limited_choices(db_field, request), **kwargs)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        formset.form.access = access_of(request)  # type: ignore[attr-defined]
        return formset


def _limited_choices(db_field: "ForeignKey[Any, Any]", request: HttpRequest) -> dict[str, QuerySet[Any]]:
    if db_field.related_model is Organization:
        return {"queryset": access_of(request).organizations()}
    if db_field.related_model is User:
        return {"queryset": access_of(request).people()}
    if any(field.name == "organization" for field in db_field.related_model._meta.fields):
        return {"queryset": access_of(request).among(db_field.related_model._default_manager.all())}
    return {}


_stock_sign_in = admin.site.login


def sign_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    """The admin's sign-in: the dashboard's page, whose limits on guessing the admin's own form does not have."""
    try:
        page = resolve_url(settings.LOGIN_URL)
    except NoReverseMatch:
        return _stock_sign_in(request, extra_context)
    wanted = LoginView(request=request).get_redirect_url() or reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect_to_login(wanted, page)
    if not admin.site.has_permission(request):
        raise PermissionDenied("The admin is for owners and admins of an organization.")
    return redirect(wanted)
