"""Webhook endpoints in the admin, their secrets shown once, and what became of their messages.

A secret is rendered in the answer to the POST itself, which no cache may keep, as in events/admin_api_keys.py.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from events import form_tokens
from events.admin_access import Access, Scoped, access_of
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


class WebhookEndpointAdmin(Scoped):
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

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        only = access_of(request).organizations()[:2]
        return {
            **({"organization": only[0].pk} if len(only) == 1 else {}),
            **super().get_changeform_initial_data(request),
            form_tokens.FIELD: form_tokens.new_token(request),
        }

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        view = super().changeform_view
        # Django's form handler takes _saveasnew for an addition, wherever it is posted to.
        if request.method != "POST" or (object_id is not None and "_saveasnew" not in request.POST):
            return view(request, object_id, form_url, extra_context)
        return self._once(request, lambda: view(request, object_id, form_url, extra_context))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.secret = new_secret()
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._show_once(request, obj)

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
            return self._once(request, lambda: self._rotate(request, endpoint))
        form = RotateForm(initial={form_tokens.FIELD: form_tokens.new_token(request)})
        return self._page(request, "rotate", endpoint=endpoint, form=form, title="Another secret")

    def _rotate(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret"])
        self.log_change(request, endpoint, "Rotated the secret.")
        return self._show_once(request, endpoint)

    def _once(self, request: HttpRequest, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        try:
            with transaction.atomic():
                form_tokens.claim(request)
                return act()
        except form_tokens.AlreadySent as sent:
            endpoint = self.get_queryset(request).filter(pk=sent.made_id).first()
            return self._page(request, "already_sent", endpoint=endpoint, title="This form was sent before")

    def _show_once(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        form_tokens.settle(request, endpoint.pk)
        response = self._page(request, "secret", endpoint=endpoint, title="Store this secret now")
        response["Cache-Control"] = "no-store"
        return response

    def _page(self, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"admin/metering/webhookendpoint/{name}.html", shared | context)


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
