"""Rows whose secret is shown once, in the answer to the POST that makes it, in the admin.

No form is taken twice, whatever the browser sends again, and no cache keeps the answer.
"""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse

from events import form_tokens
from events.admin_access import Scoped, access_of


class ShownOnce(Scoped):
    """An admin of such rows. Its forms for adding carry the field `form_tokens.FIELD`."""

    templates: str
    """The folder of its own pages, among them `already_sent.html`."""
    noun: str
    """What its pages call the row."""

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
        return self.once(request, lambda: view(request, object_id, form_url, extra_context))

    def once(self, request: HttpRequest, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
        """What `act` answers, in one transaction with the form's token; a form that was sent before is said to be."""
        try:
            with transaction.atomic():
                form_tokens.claim(request)
                return act()
        except form_tokens.AlreadySent as sent:
            made = self.get_queryset(request).filter(pk=sent.made_id).first()
            return self.page(request, "already_sent", **{self.noun: made}, title="This form was sent before")

    def show_once(self, request: HttpRequest, name: str, made: Any, **context: Any) -> HttpResponse:
        """The page with the secret of the row, which nobody keeps."""
        form_tokens.settle(request, made.pk)
        response = self.page(request, name, **{self.noun: made}, **context)
        response["Cache-Control"] = "no-store"
        return response

    def page(self, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
        """A page of its own."""
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"{self.templates}/{name}.html", shared | context)
