"""The schema of all endpoints: what ninja knows of ours, and what `native_schema.py` says of the others."""

from functools import cache
from typing import Any, Final

from metering.api import native_schema
from metering.api.access import ORGANIZATION_HEADER
from metering.api.credentials import ACCESS_COOKIE, REFRESH_COOKIE
from metering.api.service import api

PREFIX: Final = "api/v1/"
SIGN_IN: Final = "Sign-in"
SECURITY: Final = {
    "cookie": {"type": "apiKey", "in": "cookie", "name": ACCESS_COOKIE},
    "refreshCookie": {"type": "apiKey", "in": "cookie", "name": REFRESH_COOKIE},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "bearerKey": {"type": "http", "scheme": "bearer", "bearerFormat": "org_live_…"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_ORGANIZATION: Final = {
    "name": ORGANIZATION_HEADER,
    "in": "header",
    "required": False,
    "description": "The slug of one of your organizations; without it, the first by name.",
    "schema": {"type": "string"},
}


@cache
def schema() -> dict[str, Any]:
    """OpenAPI 3.1, of the server that answers it. Made once per process."""
    found: dict[str, Any] = dict(api.get_openapi_schema(path_prefix=PREFIX))
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation)
    found["paths"] = native_schema.paths() | found["paths"]
    found["components"] = {
        "schemas": native_schema.components() | found["components"]["schemas"],
        "securitySchemes": SECURITY,
    }
    found["servers"] = [{"url": "/"}]
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """What ninja cannot know of an operation: who may call it, and that the organization can be chosen."""
    operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
    if SIGN_IN in operation["tags"]:
        operation["security"] = [{"refreshCookie": []}] if path.endswith("refresh") else []
        return
    operation["security"] = [{"bearer": []}, {"cookie": []}]
    if method == "get":
        operation["security"] += [{"apiKey": []}, {"bearerKey": []}]
    operation["parameters"] = [*operation["parameters"], _ORGANIZATION]
