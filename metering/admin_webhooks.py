"""Webhook endpoints in the admin, their secrets shown once, and what became of their messages.

A secret is rendered in the answer to the POST itself (`events/admin_shown_once.py`).
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path

from events import form_tokens
from events.admin_access import Access
from events.admin_shown_once import ShownOnce
from metering import webhooks
from metering.admin_forms import WholeForm
from metering.admin_invoices import ReadOnly
from metering.models import WebhookDelivery, WebhookEndpoint
from metering.webhook_signature import new_secret


class EndpointForm(WholeForm):
    access: Access

    class Meta:
        model = WebhookEndpoint
        fields = ("organization", "url", "is_active")
        help_texts = {"is_active": "Switched off, it is told of nothing; messages that wait for another try are ended."}

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http"):
            raise ValidationError("Enter an address that begins with https:// or http://.")
        if parts.username or parts.password:
            raise ValidationError("Leave out the user name and the password: messages are signed instead.")
        return url


class EndpointAddForm(EndpointForm):
    form_token = forms.CharField(widget=forms.HiddenInput)


class RotateForm(forms.Form):
    form_token = forms.CharField(widget=forms.HiddenInput)


class WebhookEndpointAdmin(ShownOnce):
    templates = "admin/metering/webhookendpoint"
    noun = "endpoint"
    change_form_template = "admin/metering/webhookendpoint/change_form.html"
    list_display = ("url", "is_active", "organization", "created_at")
    list_filter = ("is_active", ("organization", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("organization",)
    search_fields = ("url",)
    fixed_fields = ("organization", "created_at")

    def get_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> tuple[str, ...]:
        last = "created_at" if obj else form_tokens.FIELD
        return ("organization", "url", "is_active", last)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = EndpointForm if obj else EndpointAddForm
        return super().get_form(request, obj, change=change, **{"form": form, **kwargs})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.secret = new_secret()
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._show(request, obj)

    def get_urls(self) -> list[URLPattern]:
        rotate = self.admin_site.admin_view(self.rotate_view)
        return [
            path("<int:endpoint_id>/rotate/", rotate, name="metering_webhookendpoint_rotate"),
            *super().get_urls(),
        ]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if not kwargs.get("obj"):
            # The answer is the page with the secret: there is nothing to go on to.
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def rotate_view(self, request: HttpRequest, endpoint_id: int) -> HttpResponseBase:
        """GET asks; POST makes another secret, which counts from then on, and shows it once."""
        endpoint = get_object_or_404(self.get_queryset(request), pk=endpoint_id)
        if request.method == "POST":
            return self.once(request, lambda: self._rotate(request, endpoint))
        form = RotateForm(initial={form_tokens.FIELD: form_tokens.new_token(request)})
        return self.page(request, "rotate", endpoint=endpoint, form=form, title="Another secret")

    def _rotate(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret"])
        self.log_change(request, endpoint, "Rotated the secret.")
        return self._show(request, endpoint)

    def _show(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        return self.show_once(request, "secret", endpoint, title="Store this secret now")


class WebhookDeliveryAdmin(ReadOnly):
    organization_path = "endpoint__organization_id"
    actions = ("send_again",)
    fields = (
        "endpoint",
        "name",
        "event_type",
        "payload",
        "created_at",
        "state",
        "tries",
        "http_status",
        "problem",
        "next_try_at",
        "delivered_at",
    )
    list_display = ("name", "event_type", "state", "tries", "http_status", "problem", "endpoint", "created_at")
    list_filter = ("event_type", ("endpoint", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("endpoint",)
    show_full_result_count = False

    def organization_of(self, obj: Any) -> int:
        return int(obj.endpoint.organization_id)

    @admin.display(description="message", ordering="id")
    def name(self, delivery: WebhookDelivery) -> str:
        return f"msg_{delivery.message_id.hex}"

    @admin.display
    def state(self, delivery: WebhookDelivery) -> str:
        if delivery.delivered_at:
            return "delivered"
        return "waiting" if delivery.next_try_at else "given up"

    @admin.action(description="Send again")
    def send_again(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        wanted = list(chosen.values_list("pk", flat=True))
        count = webhooks.send_again(wanted, datetime.now(UTC))
        if count:
            messages.success(request, f"{count} {'message is' if count == 1 else 'messages are'} sent again.")
        if left := len(wanted) - count:
            are = "message is" if left == 1 else "messages are"
            messages.warning(request, f"{left} {are} not: the endpoint is switched off, or is being told just now.")
