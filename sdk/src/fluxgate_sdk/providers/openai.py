"""Tracking of OpenAI's package: its clients for OpenAI, Azure and Bedrock, and for others that speak its interface."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast, overload

from openai import AsyncAzureOpenAI, AsyncOpenAI, AsyncStream, AzureOpenAI, BaseModel, OpenAI, Stream
from openai._legacy_response import LegacyAPIResponse
from openai._response import BaseAPIResponse

from fluxgate_sdk.calls import EventSink
from fluxgate_sdk.providers import _openai_readers as readers
from fluxgate_sdk.providers._stainless import (
    Operation,
    Session,
    TrackedAsync,
    TrackedSync,
    clone,
    wants_raw_response,
)

if TYPE_CHECKING:
    from fluxgate_sdk.providers._openai_types import (
        TrackedAsyncAzureOpenAI,
        TrackedAsyncOpenAI,
        TrackedAzureOpenAI,
        TrackedOpenAI,
    )
else:

    class TrackedOpenAI(TrackedSync, OpenAI):
        """A tracked client of OpenAI's package."""

    class TrackedAsyncOpenAI(TrackedAsync, AsyncOpenAI):
        """A tracked client of OpenAI's package, for an event loop."""

    class TrackedAzureOpenAI(TrackedOpenAI, AzureOpenAI):
        """A tracked client of OpenAI's package for Azure."""

    class TrackedAsyncAzureOpenAI(TrackedAsyncOpenAI, AsyncAzureOpenAI):
        """A tracked client of OpenAI's package for Azure, for an event loop."""


__all__ = [
    "TrackedAsyncAzureOpenAI",
    "TrackedAsyncOpenAI",
    "TrackedAzureOpenAI",
    "TrackedOpenAI",
    "create_openai_cost_tracker",
]

_KINDS: Final[tuple[tuple[type[Any], Any], ...]] = (
    (AzureOpenAI, TrackedAzureOpenAI),
    (AsyncAzureOpenAI, TrackedAsyncAzureOpenAI),
    (OpenAI, TrackedOpenAI),
    (AsyncOpenAI, TrackedAsyncOpenAI),
)

MakeReader = Callable[[str, Mapping[str, Any]], readers.OpenAIReader]

_CHAT: Final = "chat.completions"
_OPERATIONS: Final[Mapping[str, tuple[str, MakeReader]]] = {
    "/responses": ("responses", readers.ResponseReader),
    "/responses/compact": ("responses.compact", readers.ResponseReader),
    "/decisions": ("decisions", readers.PlainReader),
    "/embeddings": ("embeddings", readers.EmbeddingReader),
    "/images/generations": ("images.generate", readers.ImageReader),
    "/images/edits": ("images.edit", readers.ImageReader),
    "/images/variations": ("images.create_variation", readers.ImageReader),
    "/audio/transcriptions": ("audio.transcriptions", readers.TranscriptionReader),
    "/audio/translations": ("audio.translations", readers.TranscriptionReader),
    "/audio/speech": ("audio.speech", readers.SpeechReader),
    "/videos": ("videos.create", readers.VideoReader),
    "/videos/edits": ("videos.edit", readers.VideoReader),
    "/videos/extensions": ("videos.extend", readers.VideoReader),
}
_CHAT_OPERATIONS: Final = {"/chat/completions": _CHAT, "/completions": "completions"}
_PROVIDERS_BY_CLASS: Final = {"BaseAzureClient": "azure", "BedrockOpenAI": "aws", "AsyncBedrockOpenAI": "aws"}
_PROVIDERS_BY_HOST: Final = {
    "openai.com": "openai",
    "azure.com": "azure",
    "amazonaws.com": "aws",
    "deepseek.com": "deepseek",
    "mistral.ai": "mistral",
    "x.ai": "x-ai",
    "groq.com": "groq",
    "openrouter.ai": "openrouter",
    "fireworks.ai": "fireworks",
    "together.xyz": "together",
    "together.ai": "together",
    "perplexity.ai": "perplexity",
    "cerebras.ai": "cerebras",
    "googleapis.com": "google",
}
# Azure takes `stream_options` from this version of its interface on.
_AZURE_WITH_STREAM_OPTIONS: Final = "2024-09"


class OpenAIProvider:
    """What is OpenAI's own about tracking."""

    stream_classes: tuple[type[Any], ...] = (Stream, AsyncStream)
    response_classes: tuple[type[Any], ...] = (BaseAPIResponse, LegacyAPIResponse)
    decoder_classes: tuple[type[Any], ...] = ()
    model_class: type[Any] = BaseModel

    def tracked_kind(self, cls: type[Any]) -> type[Any]:
        """The class that makes a client's class tracked."""
        found: type[Any] = next(kind for base, kind in _KINDS if issubclass(cls, base))
        return found

    def name_of(self, client: Any) -> str:
        """Who answers this client, by its class and the host that it talks to; "openai" for hosts that nobody knows."""
        for cls in type(client).__mro__:
            if cls.__name__ in _PROVIDERS_BY_CLASS:
                return _PROVIDERS_BY_CLASS[cls.__name__]
        return _PROVIDERS_BY_HOST.get(_domain_of(client), "openai")

    def operation(self, client: Any, options: Any, *, stream: bool, session: Session) -> Operation | None:
        """What a request does; None for what costs nothing."""
        path, body = _path_of(options.url), _body_of(options)
        name = session.provider_name
        if options.method.lower() == "get":
            return _fetching(path, options, name)
        if path in _CHAT_OPERATIONS:
            return _chat(client, options, path, body, stream, session)
        known = _OPERATIONS.get(path)
        if known is not None:
            return Operation(known[0], known[1](name, body), options)
        parts = path.split("/")
        if len(parts) == 4 and (parts[1], parts[3]) == ("videos", "remix"):
            return Operation("videos.remix", readers.VideoReader(name, body), options)
        if len(parts) == 4 and (parts[1], parts[3]) == ("responses", "cancel"):
            return _fetching("/responses/" + parts[2], options, name)
        return None


def _fetching(path: str, options: Any, name: str) -> Operation | None:
    """A request for an answer that was ordered earlier: of the background, or of a batch."""
    _, kind, *rest = path.split("/") if path.count("/") == 2 else ("", "")
    if not rest:
        return None
    if kind == "responses":
        reader: readers.OpenAIReader = readers.ResponseReader(name, {}, was_fetched=True)
        return Operation("responses.retrieve", reader, options, is_reported=False)
    if kind == "batches":
        return Operation("batches.retrieve", readers.BatchReader(name, {}), options, is_reported=False)
    return None


def _chat(client: Any, options: Any, path: str, body: Mapping[str, Any], stream: bool, session: Session) -> Operation:
    """A completion; its stream is asked for its usage where the caller has not said whether to."""
    provider = session.provider_name
    if not stream:
        return Operation(_CHAT_OPERATIONS[path], readers.ChatReader(provider, body, False, False), options, True, None)
    asked = (body.get("stream_options") or {}).get("include_usage")
    inject = asked is None and _may_inject(client, body, session)
    if inject:
        options = _with_usage(options, body)
    reader = readers.ChatReader(provider, body, was_injected=inject, expects_usage=inject or asked is True)
    return Operation(_CHAT_OPERATIONS[path], reader, options)


def _may_inject(client: Any, body: Mapping[str, Any], session: Session) -> bool:
    """Whether this server is known to understand `stream_options`; some that speak the interface refuse it."""
    if session.inject_stream_usage is not None:
        return session.inject_stream_usage
    if "data_sources" in body:
        return False
    version = getattr(client, "_api_version", None)
    if isinstance(version, str) and version[:1].isdigit() and version < _AZURE_WITH_STREAM_OPTIONS:
        return False
    return _PROVIDERS_BY_HOST.get(_domain_of(client)) in ("openai", "azure")


def _with_usage(options: Any, body: Mapping[str, Any]) -> Any:
    """The same request, asking for its usage; the caller's own objects stay as they are."""
    wanted = {**(body.get("stream_options") or {}), "include_usage": True}
    changed = copy.copy(options)
    if isinstance(options.extra_json, Mapping) and "stream_options" in options.extra_json:
        changed.extra_json = {**options.extra_json, "stream_options": wanted}
    else:
        changed.json_data = {**options.json_data, "stream_options": wanted}
    if wants_raw_response(options):
        changed.headers = _unpacked(options.headers)
    return changed


def _unpacked(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The usage can be taken out of bytes only as long as they are not packed."""
    if any(name.lower() == "accept-encoding" for name in headers):
        return headers
    return {**headers, "Accept-Encoding": "identity"}


@functools.lru_cache(maxsize=256)
def _path_of(url: str) -> str:
    """The path of a request below the version of the interface, without its query."""
    path = url.partition("?")[0].rstrip("/")
    if "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    return path.removeprefix("/openai").removeprefix("/v1")


def _body_of(options: Any) -> Mapping[str, Any]:
    """What is asked: the request's JSON with what the caller has added to it."""
    body: Mapping[str, Any] = options.json_data if isinstance(options.json_data, dict) else {}
    extra = getattr(options, "extra_json", None)
    return {**body, **extra} if isinstance(extra, dict) else body


def _domain_of(client: Any) -> str:
    return ".".join(str(client.base_url.host).lower().split(".")[-2:])


_PROVIDER: Final = OpenAIProvider()


@overload
def create_openai_cost_tracker(
    client: AzureOpenAI, fluxgate: EventSink, *, provider: str | None = ..., inject_stream_usage: bool | None = ...
) -> TrackedAzureOpenAI: ...


@overload
def create_openai_cost_tracker(
    client: AsyncAzureOpenAI,
    fluxgate: EventSink,
    *,
    provider: str | None = ...,
    inject_stream_usage: bool | None = ...,
) -> TrackedAsyncAzureOpenAI: ...


@overload
def create_openai_cost_tracker(
    client: OpenAI, fluxgate: EventSink, *, provider: str | None = ..., inject_stream_usage: bool | None = ...
) -> TrackedOpenAI: ...


@overload
def create_openai_cost_tracker(
    client: AsyncOpenAI, fluxgate: EventSink, *, provider: str | None = ..., inject_stream_usage: bool | None = ...
) -> TrackedAsyncOpenAI: ...


def create_openai_cost_tracker(
    client: OpenAI | AsyncOpenAI,
    fluxgate: EventSink,
    *,
    provider: str | None = None,
    inject_stream_usage: bool | None = None,
) -> Any:
    """A twin of `client` whose billable calls are recorded; `client` itself is not touched.

    `provider` names who answers, where the host does not say. A chat stream says its usage only when it is asked to:
    it is asked, unseen by the caller, at OpenAI and Azure; with `inject_stream_usage` everywhere (True) or nowhere
    (False). Raises TypeError for what is no client of OpenAI's package.
    """
    if not isinstance(client, (OpenAI, AsyncOpenAI)):
        raise TypeError(f"client: must be a client of the package openai, got {type(client).__name__}")
    session = Session(
        sink=fluxgate,
        provider=_PROVIDER,
        provider_name=provider or _PROVIDER.name_of(client),
        is_named=provider is not None,
        inject_stream_usage=inject_stream_usage,
    )
    return cast(Any, clone(client, session))
