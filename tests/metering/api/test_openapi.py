"""The schema says what there is: every route, each with its answers; the page shows it without another host."""

import json
import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from fluxgate_site.asgi import Application
from metering.api import native_schema
from metering.api.openapi import schema
from metering.api.service import api
from tests.metering.api.conftest import Api

SCHEMA: dict[str, Any] = json.loads(json.dumps(schema()))
PATHS = {"/api/openapi.json", "/api/docs"}
"""The schema and its page, which it does not list."""


def _routes(found: Any, prefix: str = "/") -> Iterator[str]:
    for one in found:
        route = f"{prefix}{one.pattern}"
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, route)
        elif isinstance(one, URLPattern) and route.startswith("/api/") and one.name != "nothing":
            yield re.sub(r"<(?:int:)?(\w+)>", r"{\1}", route)


def test_every_route_is_declared_and_nothing_else() -> None:
    routes = set(_routes(get_resolver().url_patterns)) | set(Application().native.routes)
    assert set(SCHEMA["paths"]) == routes - PATHS
    assert set(native_schema.paths()) == set(Application().native.routes)


def test_every_method_is_declared() -> None:
    for router in api._get_bound_routers():
        for path, view in router.path_operations.items():
            declared = SCHEMA["paths"][
                f"/api/v1{router.prefix and '/' + router.prefix.strip('/')}{path}".replace("int:", "")
            ]
            methods = {method.lower() for operation in view.operations for method in operation.methods}
            assert set(declared) == methods


def test_every_operation_declares_its_refusals_with_the_error_body() -> None:
    names = set()
    for path, methods in SCHEMA["paths"].items():
        for method, operation in methods.items():
            refusals = {code: answer for code, answer in operation["responses"].items() if int(code) >= 400}
            assert {"400", "403", "405", "413", "422", "503"} <= set(refusals), path
            assert ("401" in refusals) is (path != "/api/v1/auth/logout"), path
            assert ("415" in refusals) is (method != "get"), path
            for answer in refusals.values():
                assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
            fine = next(answer for code, answer in operation["responses"].items() if int(code) < 300)
            assert fine["content"]["application/json"]["schema"]
            assert ("requestBody" in operation) is (method in ("post", "patch") and path not in BODILESS), path
            assert operation["summary"]
            names.add(operation["operationId"])
    assert len(names) == sum(len(methods) for methods in SCHEMA["paths"].values())


BODILESS = {"/api/v1/auth/refresh", "/api/v1/auth/logout", "/api/v1/invoices/{invoice_id}/finalize"}


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "$ref":
                    yield inner
                else:
                    yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = {reference.removeprefix("#/components/schemas/") for reference in references(SCHEMA)}
    assert found <= set(SCHEMA["components"]["schemas"])
    schemes = {name for methods in SCHEMA["paths"].values() for operation in methods.values()
               for choice in operation["security"] for name in choice}  # fmt: skip
    assert schemes == set(SCHEMA["components"]["securitySchemes"])


def test_no_name_of_ours_is_taken_by_ninja() -> None:
    ninjas = api.get_openapi_schema(path_prefix="api/v1/")["components"]["schemas"]
    assert not set(native_schema.components()) & set(ninjas)


def test_the_schema_and_its_page_are_everybodys() -> None:
    assert Api().get("/api/openapi.json").json() == SCHEMA
    page = Api().get("/api/docs")
    assert page.status_code == 200
    assert "http" not in page.content.decode().replace("https://", "")
    assert "/api/openapi.json" in page.content.decode()
