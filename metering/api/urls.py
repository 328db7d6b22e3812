"""`/api/v1/`, except for what `fluxgate_site/asgi.py` answers natively; what nobody has is answered here as well."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from events.http import HttpError
from metering.api import docs
from metering.api.errors import in_contract
from metering.api.service import api

app_name = "api"


@csrf_exempt
@in_contract
def nothing(request: HttpRequest) -> HttpResponseBase:
    """404, with the words for a path that nobody has."""
    raise HttpError(404, "not_found", f"there is no {request.path[:100]}; /api/docs lists what there is")


def _patterns() -> list[URLPattern]:
    patterns, _, _ = api.urls
    found = []
    for pattern in patterns:
        assert isinstance(pattern, URLPattern)
        if pattern.name != "api-root":
            found.append(path(f"v1/{pattern.pattern}", in_contract(pattern.callback), name=pattern.name))
    return found


urlpatterns = [
    path("openapi.json", docs.schema, name="schema"),
    path("docs", docs.page, name="docs"),
    *_patterns(),
    re_path(r"^v1(?:/|$)", nothing, name="nothing"),
]
