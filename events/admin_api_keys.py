"""API keys in the admin: made and rotated with the key shown once, revoked, never deleted and never shown again.

The text of a key is rendered in the answer to the POST itself (`events/admin_shown_once.py`), and goes nowhere else:
not into messages, the session, a URL or the admin's log.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from events import api_keys, form_tokens
from events.admin_access import Access, ModelForm
from events.admin_shown_once import ShownOnce
from events.models import ApiKey, Scope, User

_CHANGE = "admin:events_apikey_change"
OVERLAPS = {
    timedelta(0): "now: it may have leaked",
    timedelta(hours=1): "in 1 hour",
    timedelta(hours=24): "in 24 hours",
    timedelta(days=7): "in 7 days",
}


class ApiKeyAddForm(ModelForm):
    access: Access
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope.label} ({scope.value})") for scope in Scope],
        initial=[Scope.EVENTS_WRITE],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "A key needs at least one scope."},
    )
    form_token = forms.CharField(widget=forms.HiddenInput)

    class Meta:
        model = ApiKey
        fields = ("organization", "name", "environment", "scopes", "expires_at")
        help_texts = {"expires_at": "UTC. Empty: the key does not expire."}

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise forms.ValidationError("This time is past: the key would never be accepted.")
        return expires_at


class RotateForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label="The old key stops working",
        choices=[(int(overlap.total_seconds()), label) for overlap, label in OVERLAPS.items()],
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        initial=24 * 3600,
        widget=forms.RadioSelect,
    )
    form_token = forms.CharField(widget=forms.HiddenInput)


class ApiKeyAdmin(ShownOnce):
    templates = "admin/events/apikey"
    noun = "key"
    change_form_template = "admin/events/apikey/change_form.html"
    list_display = ("name", "status", "key", "scope_list", "environment", "organization", "created_at", "last_used_at")
    list_filter = (("organization", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("organization",)
    search_fields = ("name", "prefix")
    fixed_fields = (
        "organization",
        "environment",
        "key",
        "scope_list",
        "status",
        "expires_at",
        "last_used_at",
        "created_at",
        "created_by",
        "revoked_at",
        "replaced_by",
    )

    @admin.display(ordering="prefix")
    def key(self, key: ApiKey) -> str:
        return api_keys.shown(key)

    @admin.display(description="scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display
    def status(self, key: ApiKey) -> str:
        return api_keys.status(key, datetime.now(UTC))

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("organization", "name", "environment", "scopes", "expires_at", form_tokens.FIELD)
        return ("name", *self.fixed_fields)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **({} if obj else {"form": ApiKeyAddForm}), **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
        else:
            obj.shown_once = api_keys.issue(key=obj, created_by=_person(request), now=datetime.now(UTC))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._show(request, obj, obj.shown_once)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:key_id>/rotate/", wrap(self.rotate_view), name="events_apikey_rotate"),
            path("<int:key_id>/revoke/", wrap(self.revoke_view), name="events_apikey_revoke"),
            *super().get_urls(),
        ]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if key := kwargs.get("obj"):
            now = datetime.now(UTC)
            context["can_rotate"] = api_keys.rotation_refusal(key, now) is None
            context["can_revoke"] = key.revoked_at is None
        else:
            # The answer is the page with the key: there is nothing to go on to.
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def rotate_view(self, request: HttpRequest, key_id: int) -> HttpResponseBase:
        """GET asks how long the old key shall live on; POST makes its successor and shows it once."""
        key = get_object_or_404(self.get_queryset(request), pk=key_id)
        if request.method == "POST":
            return self.once(request, lambda: self._rotate(request, key))
        if refusal := api_keys.rotation_refusal(key, datetime.now(UTC)):
            messages.error(request, refusal)
            return redirect(_CHANGE, key.pk)
        return self._ask_overlap(request, key, RotateForm(initial={form_tokens.FIELD: form_tokens.new_token(request)}))

    def revoke_view(self, request: HttpRequest, key_id: int) -> HttpResponseBase:
        """GET asks for confirmation; POST revokes."""
        key = get_object_or_404(self.get_queryset(request), pk=key_id)
        if request.method != "POST":
            return self.page(request, "revoke", key=key, title=f"Revoke {key.name}?")
        if api_keys.revoke(key=key, now=datetime.now(UTC)):
            self.log_change(request, key, "Revoked.")
        messages.success(request, f"The key {api_keys.shown(key)} is revoked: within 5 seconds every call is refused.")
        return redirect(_CHANGE, key.pk)

    def _rotate(self, request: HttpRequest, key: ApiKey) -> HttpResponse:
        form, now = RotateForm(request.POST), datetime.now(UTC)
        if not form.is_valid():
            return self._ask_overlap(request, key, form)
        try:
            new, text = api_keys.rotate(
                key=key, overlap=form.cleaned_data["overlap"], created_by=_person(request), now=now
            )
        except api_keys.NotRotatable as refusal:
            messages.error(request, str(refusal))
            return redirect(_CHANGE, key.pk)
        self.log_change(request, key, f"Rotated: {api_keys.shown(new)} replaces it; now {api_keys.status(key, now)}.")
        self.log_addition(request, new, f"Replaces {api_keys.shown(key)}.")
        return self._show(request, new, text, replaced=key, replaced_status=api_keys.status(key, now))

    def _ask_overlap(self, request: HttpRequest, key: ApiKey, form: RotateForm) -> HttpResponse:
        return self.page(request, "rotate", key=key, form=form, title=f"Rotate {key.name}")

    def _show(self, request: HttpRequest, key: ApiKey, text: str, **context: Any) -> HttpResponse:
        return self.show_once(request, "created", key, key_text=text, title="Store this key now", **context)

    def page(self, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
        key = context.get("key")
        return super().page(request, name, **{"shown": api_keys.shown(key) if key else "", **context})


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
