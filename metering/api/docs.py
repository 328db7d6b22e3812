"""`/api/openapi.json`, and `/api/docs`, which shows it with Swagger UI from our own static files."""

from typing import Final

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from events.http import HttpError
from metering.api import openapi
from metering.api.errors import in_contract

SWAGGER: Final = {"layout": "BaseLayout", "deepLinking": True, "docExpansion": "list", "validatorUrl": None}


@csrf_exempt
@in_contract
def schema(request: HttpRequest) -> HttpResponse:
    """The schema as JSON; there is nothing secret in it."""
    _only_get(request)
    return HttpResponse(msgspec.json.encode(openapi.schema()), content_type="application/json")


@csrf_exempt
@in_contract
def page(request: HttpRequest) -> HttpResponse:
    """The schema as a page; without scripts it leads to the schema."""
    _only_get(request)
    return render(request, "metering/api_docs.html", {"settings": SWAGGER | {"url": reverse("api:schema")}})


def _only_get(request: HttpRequest) -> None:
    if request.method not in ("GET", "HEAD"):
        raise HttpError(405, "method_not_allowed", "use GET", headers=[(b"allow", b"GET, HEAD")])
