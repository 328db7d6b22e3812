"""Tracking of Anthropic's package: its clients for Anthropic, Bedrock, Vertex and Foundry, and their async twins."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast, overload

from anthropic import Anthropic, AsyncAnthropic, AsyncStream, BaseModel, Stream
from anthropic._base_client import AsyncAPIClient, SyncAPIClient
from anthropic._response import BaseAPIResponse
from anthropic.lib.bedrock import AnthropicBedrock, AsyncAnthropicBedrock
from anthropic.lib.vertex import AnthropicVertex, AsyncAnthropicVertex

from fluxgate_sdk.calls import Call, EventSink
from fluxgate_sdk.providers import _anthropic_readers as readers
from fluxgate_sdk.providers._stainless import Operation, Session, TrackedAsync, TrackedSync, clone

if TYPE_CHECKING:
    from fluxgate_sdk.providers._anthropic_types import (
        TrackedAnthropic,
        TrackedAnthropicBedrock,
        TrackedAnthropicVertex,
        TrackedAsyncAnthropic,
        TrackedAsyncAnthropicBedrock,
        TrackedAsyncAnthropicVertex,
    )
else:

    class TrackedAnthropic(TrackedSync, Anthropic):
        """A tracked client of Anthropic's package."""

    class TrackedAsyncAnthropic(TrackedAsync, AsyncAnthropic):
        """A tracked client of Anthropic's package, for an event loop."""

    class TrackedAnthropicBedrock(TrackedSync, AnthropicBedrock):
        """A tracked client of Anthropic's package for Bedrock."""

    class TrackedAsyncAnthropicBedrock(TrackedAsync, AsyncAnthropicBedrock):
        """A tracked client of Anthropic's package for Bedrock, for an event loop."""

    class TrackedAnthropicVertex(TrackedSync, AnthropicVertex):
        """A tracked client of Anthropic's package for Vertex."""

    class TrackedAsyncAnthropicVertex(TrackedAsync, AsyncAnthropicVertex):
        """A tracked client of Anthropic's package for Vertex, for an event loop."""


__all__ = [
    "TrackedAnthropic",
    "TrackedAnthropicBedrock",
    "TrackedAnthropicVertex",
    "TrackedAsyncAnthropic",
    "TrackedAsyncAnthropicBedrock",
    "TrackedAsyncAnthropicVertex",
    "create_anthropic_cost_tracker",
]

_KINDS: Final[tuple[tuple[type[Any], Any], ...]] = (
    (Anthropic, TrackedAnthropic),
    (AsyncAnthropic, TrackedAsyncAnthropic),
    (AnthropicBedrock, TrackedAnthropicBedrock),
    (AsyncAnthropicBedrock, TrackedAsyncAnthropicBedrock),
    (AnthropicVertex, TrackedAnthropicVertex),
    (AsyncAnthropicVertex, TrackedAsyncAnthropicVertex),
    (SyncAPIClient, TrackedSync),
    (AsyncAPIClient, TrackedAsync),
)

_PROVIDERS_BY_CLASS: Final = {
    "BaseBedrockClient": "aws",
    "BaseMantleClient": "aws",
    "BaseVertexClient": "google",
    "BaseFoundryClient": "azure",
}
_PROVIDERS_BY_HOST: Final = {
    "deepseek.com": "deepseek",
    "moonshot.ai": "moonshotai",
    "moonshot.cn": "moonshotai",
    "openrouter.ai": "openrouter",
    "z.ai": "zai",
}


def _named(module: str, *names: str) -> tuple[type[Any], ...]:
    """Classes that only some versions of the package have, or in another place."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return ()
    return tuple(getattr(found, name) for name in names if hasattr(found, name))


class AnthropicProvider:
    """What is Anthropic's own about tracking."""

    stream_classes: tuple[type[Any], ...] = (Stream, AsyncStream)
    response_classes: tuple[type[Any], ...] = (
        BaseAPIResponse,
        *_named("anthropic._legacy_response", "LegacyAPIResponse"),
    )
    model_class: type[Any] = BaseModel
    decoder_classes: tuple[type[Any], ...] = _named("anthropic._decoders.jsonl", "JSONLDecoder", "AsyncJSONLDecoder")

    def tracked_kind(self, cls: type[Any]) -> type[Any]:
        """The class that makes a client's class tracked."""
        found: type[Any] = next(kind for base, kind in _KINDS if issubclass(cls, base))
        return found

    def name_of(self, client: Any) -> str:
        """Who answers this client, by its class and the host that it talks to."""
        for cls in type(client).__mro__:
            if cls.__name__ in _PROVIDERS_BY_CLASS:
                return _PROVIDERS_BY_CLASS[cls.__name__]
        domain = ".".join(str(client.base_url.host).lower().split(".")[-2:])
        return _PROVIDERS_BY_HOST.get(domain, "anthropic")

    def operation(self, client: Any, options: Any, *, stream: bool, session: Session) -> Operation | None:
        """What a request does; None for what costs nothing."""
        url = options.url.partition("?")[0].rstrip("/")
        if options.method.lower() == "post":
            if not url.endswith("/v1/messages"):
                return None
            return Operation("messages", readers.MessageReader(session.provider_name, _body_of(options)), options)
        parts = url.split("/")
        if parts[-1] == "results" and parts[-4:-2] == ["messages", "batches"]:
            results = readers.BatchResults(partial(_line_of_a_batch, session), session.provider_name, parts[-2])
            return Operation(
                "messages.batches.results", readers.FetchReader(), options, is_reported=False, items=results
            )
        return None


def _line_of_a_batch(session: Session, idempotency_key: str) -> Call:
    return Call(
        session.sink,
        session.provider_name,
        None,
        session.context,
        timed=False,
        idempotency_key=idempotency_key,
        metadata={"operation": "messages.batches.results"},
    )


def _body_of(options: Any) -> Mapping[str, Any]:
    return options.json_data if isinstance(options.json_data, Mapping) else {}


_PROVIDER: Final = AnthropicProvider()


@overload
def create_anthropic_cost_tracker(
    client: AnthropicBedrock, fluxgate: EventSink, *, provider: str | None = ...
) -> TrackedAnthropicBedrock: ...


@overload
def create_anthropic_cost_tracker(
    client: AsyncAnthropicBedrock, fluxgate: EventSink, *, provider: str | None = ...
) -> TrackedAsyncAnthropicBedrock: ...


@overload
def create_anthropic_cost_tracker(
    client: AnthropicVertex, fluxgate: EventSink, *, provider: str | None = ...
) -> TrackedAnthropicVertex: ...


@overload
def create_anthropic_cost_tracker(
    client: AsyncAnthropicVertex, fluxgate: EventSink, *, provider: str | None = ...
) -> TrackedAsyncAnthropicVertex: ...


@overload
def create_anthropic_cost_tracker(
    client: Anthropic, fluxgate: EventSink, *, provider: str | None = ...
) -> TrackedAnthropic: ...


@overload
def create_anthropic_cost_tracker(
    client: AsyncAnthropic, fluxgate: EventSink, *, provider: str | None = ...
) -> TrackedAsyncAnthropic: ...


def create_anthropic_cost_tracker(client: Any, fluxgate: EventSink, *, provider: str | None = None) -> Any:
    """A twin of `client` whose billable calls are recorded; `client` itself is not touched.

    `provider` names who answers, where neither the client's class nor the host says it. Raises TypeError for what is no
    client of Anthropic's package.
    """
    if not isinstance(client, (SyncAPIClient, AsyncAPIClient)):
        raise TypeError(f"client: must be a client of the package anthropic, got {type(client).__name__}")
    session = Session(
        sink=fluxgate,
        provider=_PROVIDER,
        provider_name=provider or _PROVIDER.name_of(client),
        is_named=provider is not None,
    )
    return cast(Any, clone(client, session))
