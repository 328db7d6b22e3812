"""Tracking a google-genai client: a twin of it whose calls are recorded, with the package's own classes and types.

Its `models`, `chats`, `aio` and the rest are real objects of google-genai, built on a transport that records. The
caller's client is not changed, and stays open for as long as the twin is used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from google.genai import Client
from google.genai.chats import AsyncChats, Chats
from google.genai.client import AsyncClient
from google.genai.models import AsyncModels, Models

from fluxgate_sdk.calls import EventSink
from fluxgate_sdk.providers.gemini_interactions import recorded
from fluxgate_sdk.providers.gemini_seam import (
    FREE,
    Exchange,
    TrackedApiClient,
    Tracker,
    carry,
    current,
    recording_with,
    tracker_of,
)
from fluxgate_sdk.tracking import CostTrackingResponse

if TYPE_CHECKING:
    from google.genai import types
    from typing_extensions import Unpack

    from fluxgate_sdk.events import TrackingContext

__all__ = [
    "TrackedAsyncChats",
    "TrackedAsyncGemini",
    "TrackedAsyncModels",
    "TrackedChats",
    "TrackedGemini",
    "TrackedModels",
    "create_gemini_cost_tracker",
]

T = TypeVar("T")

_SECOND_STACK = ("_interactions", "_decisions")
_BUILT_ON_FIRST_USE = (
    *_SECOND_STACK,
    "_nextgen_client_instance",
    "_agents",
    "_webhooks",
    "_triggers",
    "_environments",
    "_credentials",
    "_voices",
)


@overload
def create_gemini_cost_tracker(client: Client, fluxgate: EventSink) -> TrackedGemini: ...


@overload
def create_gemini_cost_tracker(client: AsyncClient, fluxgate: EventSink) -> TrackedAsyncGemini: ...


def create_gemini_cost_tracker(client: Client | AsyncClient, fluxgate: EventSink) -> TrackedGemini | TrackedAsyncGemini:
    """A tracked twin of a google-genai client (or of its `aio`). Every billed HTTP exchange becomes one event.

    Raises TypeError for anything that is not a client of google-genai.
    """
    if not isinstance(client, (Client, AsyncClient)):
        raise TypeError(f"client: must be a google.genai.Client or its aio, got {type(client).__name__}")
    inner: Any = client._api_client
    if isinstance(inner, TrackedApiClient):
        # Tracked already: recorded twice, a call would count twice.
        inner = inner._fluxgate_inner
    tracker = Tracker(fluxgate, "google-vertex" if inner.vertexai else "google")
    transport = TrackedApiClient(inner, tracker, client)
    return _twin(client, transport) if isinstance(client, Client) else _async_twin(client, transport)


class TrackedModels(Models):
    """`client.models`, recorded."""

    def with_tracking(self, **context: Unpack[TrackingContext]) -> TrackedModels:
        """The same with this context over the session's; `metadata` is replaced as a whole."""
        return TrackedModels(_with(self._api_client, context))

    if not TYPE_CHECKING:

        def generate_content(self, **arguments: Any) -> Any:
            return carry(super().generate_content(**arguments))

        def generate_content_stream(self, **arguments: Any) -> Any:
            return TrackedStream(super().generate_content_stream(**arguments))

        def generate_images(self, **arguments: Any) -> Any:
            return carry(super().generate_images(**arguments))


class TrackedAsyncModels(AsyncModels):
    """`client.aio.models`, recorded."""

    def with_tracking(self, **context: Unpack[TrackingContext]) -> TrackedAsyncModels:
        """The same with this context over the session's; `metadata` is replaced as a whole."""
        return TrackedAsyncModels(_with(self._api_client, context))

    if not TYPE_CHECKING:

        async def generate_content(self, **arguments: Any) -> Any:
            return carry(await super().generate_content(**arguments))

        async def generate_content_stream(self, **arguments: Any) -> Any:
            return TrackedAsyncStream(await super().generate_content_stream(**arguments))

        async def generate_images(self, **arguments: Any) -> Any:
            return carry(await super().generate_images(**arguments))


class TrackedStream(Generator["types.GenerateContentResponse", Any, Any]):
    """A stream of content that carries its tracking once it has ended; with several exchanges, that of the last one."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts
        self._exchange: Exchange = FREE

    @property
    def flux_gate_cost_tracking_response(self) -> CostTrackingResponse | None:
        """The tracking of the exchange that the last part came from; None before it has ended."""
        return self._exchange.tracking

    def __next__(self) -> types.GenerateContentResponse:
        return self._seen(next(self._parts))

    def send(self, value: Any) -> types.GenerateContentResponse:
        return self._seen(self._parts.send(value))

    def throw(self, *error: Any) -> Any:
        return self._seen(self._parts.throw(*error))

    def close(self) -> None:
        self._parts.close()

    def _seen(self, part: Any) -> types.GenerateContentResponse:
        """The part that the caller gets may be a copy of the one that the transport's answer was made into."""
        self._exchange = current.get()
        self._exchange.parsed(part)
        return cast("types.GenerateContentResponse", part)


class TrackedAsyncStream(AsyncGenerator["types.GenerateContentResponse", Any]):
    """As `TrackedStream`, for an event loop."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts
        self._exchange: Exchange = FREE

    @property
    def flux_gate_cost_tracking_response(self) -> CostTrackingResponse | None:
        """The tracking of the exchange that the last part came from; None before it has ended."""
        return self._exchange.tracking

    async def __anext__(self) -> types.GenerateContentResponse:
        return self._seen(await self._parts.__anext__())

    async def asend(self, value: Any) -> types.GenerateContentResponse:
        return self._seen(await self._parts.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return self._seen(await self._parts.athrow(*error))

    async def aclose(self) -> None:
        await self._parts.aclose()

    def _seen(self, part: Any) -> types.GenerateContentResponse:
        """As in `TrackedStream`."""
        self._exchange = current.get()
        self._exchange.parsed(part)
        return cast("types.GenerateContentResponse", part)


class TrackedChats(Chats):
    """`client.chats`, recorded. The parts of a chat's stream carry the tracking: the last one of each exchange."""

    def with_tracking(self, **context: Unpack[TrackingContext]) -> TrackedChats:
        """The same with this context over the session's; `metadata` is replaced as a whole."""
        return TrackedChats(modules=cast("TrackedModels", self._modules).with_tracking(**context))


class TrackedAsyncChats(AsyncChats):
    """`client.aio.chats`, recorded."""

    def with_tracking(self, **context: Unpack[TrackingContext]) -> TrackedAsyncChats:
        """The same with this context over the session's; `metadata` is replaced as a whole."""
        return TrackedAsyncChats(modules=cast("TrackedAsyncModels", self._modules).with_tracking(**context))


class TrackedAsyncGemini(AsyncClient):
    """A tracked `client.aio`: an immutable session with a context."""

    if TYPE_CHECKING:

        @property
        def models(self) -> TrackedAsyncModels: ...

    def with_context(self, **context: Unpack[TrackingContext]) -> TrackedAsyncGemini:
        """A tracked session with this context and no other."""
        return _async_twin(self, recording_with(_transport(self), tracker_of(_transport(self)).fresh({**context})))

    def with_tracking(self, **context: Unpack[TrackingContext]) -> TrackedAsyncGemini:
        """A tracked session with this context over the present one; `metadata` is replaced as a whole."""
        return _async_twin(self, _with(_transport(self), context))

    @property
    def client(self) -> TrackedAsyncGemini:
        """The tracked client without any context."""
        return self.with_context()

    @property
    def chats(self) -> TrackedAsyncChats:
        return TrackedAsyncChats(modules=self.models)

    if not TYPE_CHECKING:

        @property
        def interactions(self) -> Any:
            return _second_stack(self, "_interactions", lambda: super(TrackedAsyncGemini, self).interactions)

        @property
        def decisions(self) -> Any:
            return _second_stack(self, "_decisions", lambda: super(TrackedAsyncGemini, self).decisions)

    def __del__(self) -> None:
        """The HTTP client is the caller's."""


class TrackedGemini(Client):
    """A tracked `genai.Client`: an immutable session with a context."""

    if TYPE_CHECKING:

        @property
        def models(self) -> TrackedModels: ...

        @property
        def aio(self) -> TrackedAsyncGemini: ...

    def with_context(self, **context: Unpack[TrackingContext]) -> TrackedGemini:
        """A tracked session with this context and no other. It does not change; this client does not either."""
        return _twin(self, recording_with(_transport(self), tracker_of(_transport(self)).fresh({**context})))

    def with_tracking(self, **context: Unpack[TrackingContext]) -> TrackedGemini:
        """A tracked session with this context over the present one; `metadata` is replaced as a whole."""
        return _twin(self, _with(_transport(self), context))

    @property
    def client(self) -> TrackedGemini:
        """The tracked client without any context."""
        return self.with_context()

    @property
    def chats(self) -> TrackedChats:
        return TrackedChats(modules=self.models)

    if not TYPE_CHECKING:

        @property
        def interactions(self) -> Any:
            return _second_stack(self, "_interactions", lambda: super(TrackedGemini, self).interactions)

        @property
        def decisions(self) -> Any:
            return _second_stack(self, "_decisions", lambda: super(TrackedGemini, self).decisions)

    def __del__(self) -> None:
        """The HTTP client is the caller's, and so is the decision to close it."""


def _transport(client: Any) -> TrackedApiClient:
    return cast("TrackedApiClient", client._api_client)


def _with(transport: Any, context: Any) -> Any:
    return recording_with(transport, tracker_of(transport).merged(context))


def _twin(client: Client, transport: TrackedApiClient) -> TrackedGemini:
    """A client of a tracked subclass of the client's class, with its resources built anew on the tracked transport."""
    twin = _empty(TrackedGemini, client)
    twin.__dict__.update(_state(client, transport))
    twin.__dict__["_models"] = TrackedModels(cast("Any", transport))
    twin.__dict__["_aio"] = _async_twin(client.aio, transport)
    return twin


def _async_twin(client: AsyncClient, transport: TrackedApiClient) -> TrackedAsyncGemini:
    twin = _empty(TrackedAsyncGemini, client)
    twin.__dict__.update(_state(client, transport))
    twin.__dict__["_models"] = TrackedAsyncModels(cast("Any", transport))
    return twin


def _empty(tracked: type[T], client: object) -> T:
    """An object made without the constructor, which would open an HTTP client of its own."""
    classes: tuple[Any, Any] = (tracked, type(client))
    return cast("T", object.__new__(_tracked_class(*classes)))


def _state(client: Any, transport: TrackedApiClient) -> dict[str, Any]:
    """The client's attributes; what hangs on its transport hangs on the tracked one."""
    inner = client._api_client
    state = {
        name: type(value)(transport) if getattr(value, "_api_client", None) is inner else value
        for name, value in vars(client).items()
        if name not in ("_aio", "_models")
    }
    state.update(dict.fromkeys(state.keys() & _BUILT_ON_FIRST_USE))
    return {**state, "_api_client": transport}


@lru_cache(maxsize=64)
def _tracked_class(tracked: Any, cls: Any) -> Any:
    """The tracked class, or one below it and the user's own subclass of the client's class."""
    if issubclass(cls, tracked):
        return cls
    if cls in tracked.__mro__:
        return tracked
    return type(f"Tracked{cls.__name__}", (tracked, cls), {"__module__": cls.__module__})


def _second_stack(client: Any, name: str, build: Any) -> Any:
    """A resource of the second HTTP stack, built on first use, recorded."""
    found = vars(client).get(name)
    if not hasattr(found, "_fluxgate_tracker"):
        found = recorded(build(), _transport(client))
        vars(client)[name] = found
    return found
