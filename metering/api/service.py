"""The API itself: ninja with our parser, our error bodies, and queries that are read strictly."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError as NinjaHttpError
from ninja.errors import ValidationErrorContext
from ninja.operation import Operation
from ninja.parser import Parser

from events.http import HttpError
from events.wire import FieldError
from metering.api import customers, errors, invoices, meters, sign_in, usage


class ExactParser(Parser):
    """JSON with exact numbers."""

    def parse_body(self, request: HttpRequest) -> Any:
        return errors.parse_body(request.body)


class Service(NinjaAPI):
    """ninja, with the wire contract's words for what does not validate."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The handler's name: generated clients call their methods so."""
        return operation.view_func.__name__

    def validation_error_from_error_contexts(self, error_contexts: list[ValidationErrorContext[Any]]) -> Any:
        """What ninja raises for wrong fields of path, query and body together."""
        found = []
        for context in error_contexts:
            for error in context.pydantic_validation_error.errors(include_url=False):
                if error["type"] == "missing" and _place(context.model, error["loc"]) == ():
                    return HttpError(400, "malformed_body", "the body is empty; it must be a JSON object")
                found.append({**error, "loc": _place(context.model, error["loc"])})
        return errors.invalid(errors.field_errors(found))


def _place(model: Any, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where the sender finds it: without the name of the handler's argument."""
    if model.__ninja_param_source__ == "body":
        return loc[1:]
    return cast(tuple[str | int, ...], model.__ninja_flatten_map_reverse__.get(loc, loc))


def strict_query(run: Callable[..., Any]) -> Callable[..., Any]:
    """Around an operation's `run`: notes what is wrong with the names in the query, to be told with the rest."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]  # its method
    known = {
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }
    known.update(declared := _declared(operation))
    families = tuple(name.removesuffix("*") for name in declared if name.endswith("*"))

    @wraps(run)
    def wrapped(request: HttpRequest, **path: Any) -> Any:
        request.query_errors = [  # type: ignore[attr-defined]
            FieldError(name[:100], "is sent more than once" if is_known else "is not known here")
            for name, values in request.GET.lists()
            if not (is_known := name in known or name.startswith(families)) or len(values) > 1
        ]
        return run(request, **path)

    return wrapped


def _declared(operation: Operation) -> list[str]:
    """Parameters of the query that the operation reads itself; `meta.*` is a family of names."""
    parameters = (operation.openapi_extra or {}).get("parameters", [])
    return [parameter["name"] for parameter in parameters if parameter["in"] == "query"]


def refuse_query(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Around a handler: its arguments were fine, the names in the query may not have been."""

    @wraps(handler)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.query_errors:  # type: ignore[attr-defined]
            raise errors.invalid([])
        return handler(request, *args, **kwargs)

    return wrapped


def _answer(request: HttpRequest, error: Any) -> HttpResponse:
    if isinstance(error, NinjaHttpError):  # of a body; ours is its cause
        error = error.__cause__ or error
    found = errors.of_exception(error)
    if found.status == 422 and (wrong := getattr(request, "query_errors", [])):
        found = errors.invalid([*wrong, *found.errors])
    return errors.answer(found)


def _build() -> Service:
    """The API with all its routes; the settings name those of apps that this one does not know."""
    service = Service(
        title="FluxGate", version="1", docs_url=None, openapi_url=None, parser=ExactParser(), urls_namespace="api"
    )
    for kind in (Exception, HttpError, NinjaHttpError):
        service.add_exception_handler(kind, _answer)
    service.add_decorator(strict_query, mode="view")
    service.add_decorator(refuse_query, mode="operation")
    service.add_router("/auth", sign_in.router)
    service.add_router("/meters", meters.router)
    service.add_router("/customers", customers.router)
    service.add_router("/usage", usage.router)
    service.add_router("/invoices", invoices.router)
    for prefix, router in settings.API_ROUTERS.items():
        service.add_router(prefix, router)
    return service


api = _build()
