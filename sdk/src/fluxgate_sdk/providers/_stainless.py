"""A tracked clone of a client whose package has one function for all its requests (OpenAI's and Anthropic's).

The clone is a real subclass of the client's own class, made without its constructor. It shares the HTTP client and
everything else with the original, which is not touched, and overrides `request`. Its resources are clones' resources,
and have `with_tracking`.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from fluxgate_sdk import calls, streams
from fluxgate_sdk.calls import Call, EventSink
from fluxgate_sdk.events import context_of
from fluxgate_sdk.providers import _resources
from fluxgate_sdk.streams import Reader, Watch, WatchesItems
from fluxgate_sdk.tracking import attach

SESSION: Final = "_fluxgate_session"
_RAW_VIEWS: Final = ("with_raw_response", "with_streaming_response")
_RAW_RESPONSE_HEADER: Final = "x-stainless-raw-response"


@dataclass(slots=True)
class Operation:
    """One billable request: what it is called, who reads its answer, and what its request says already.

    `is_reported` is False for a request that costs nothing by itself and only fetches an answer made before: when it
    fails there is nothing to record. `options` are the request's, changed where the stream must say its usage.
    `items` is shown the lines of an answer that holds many answers. `watch` is made when it is needed: an answer
    that is complete at once has nothing to be watched.
    """

    name: str
    reader: Reader
    options: Any
    is_reported: bool = True
    items: WatchesItems | None = None
    watch: Watch | None = field(default=None, init=False)


class Provider(Protocol):
    """What differs between the packages. `operation` may raise: the request then goes out untracked."""

    stream_classes: tuple[type[Any], ...]
    response_classes: tuple[type[Any], ...]
    decoder_classes: tuple[type[Any], ...]
    model_class: type[Any]

    def tracked_kind(self, cls: type[Any]) -> type[Any]: ...

    def name_of(self, client: Any) -> str: ...

    def operation(self, client: Any, options: Any, *, stream: bool, session: Session) -> Operation | None: ...


@dataclass(frozen=True)
class Session:
    """What a tracked client knows beyond the original: where events go, and for whom.

    `is_named` says that the caller has named the provider; `next_request` is a function that somebody has put before
    the class's own `request`.
    """

    sink: EventSink
    provider: Provider
    provider_name: str
    is_named: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    inject_stream_usage: bool | None = None
    next_request: Callable[..., Any] | None = None

    def fresh(self, context: Mapping[str, Any], word: str) -> Session:
        """With this context alone. Raises TypeError for a word that no context has."""
        return replace(self, context=context_of(context, word))

    def merged(self, context: Mapping[str, Any]) -> Session:
        """With this context over the present one; `metadata` is replaced as a whole."""
        return self.fresh({**self.context, **context}, "with_tracking")


class _Tracked:
    """What every tracked client has; `request` is added for each kind."""

    def with_context(self, **context: Any) -> Any:
        """A tracked session with this context and no other. It does not change; this client does not either."""
        return clone(self, session_of(self).fresh(context, "with_context"))

    def with_tracking(self, **context: Any) -> Any:
        """A tracked session with this context over the present one; `metadata` is replaced as a whole."""
        return clone(self, session_of(self).merged(context))

    @property
    def client(self) -> Any:
        """The tracked client without any context."""
        return clone(self, session_of(self).fresh({}, "client"))

    def copy(self, **changes: Any) -> Any:
        """As the provider's own `copy`: a client with these options changed. It is tracked as this one is."""
        return _copied(self, _untracked(self).copy(**changes))

    def with_options(self, **changes: Any) -> Any:
        """As the provider's own `with_options`: a client with these options changed. It is tracked as this one is."""
        return _copied(self, _untracked(self).with_options(**changes))


class TrackedSync(_Tracked):
    """A tracked client that blocks."""

    def request(self, cast_to: Any, options: Any, *args: Any, **how: Any) -> Any:
        """The provider's seam: every request of every resource comes through here."""
        session: Session = self.__dict__[SESSION]
        send = session.next_request or super().request  # type: ignore[misc]
        opened = _opened(self, session, options, bool(how.get("stream")))
        if opened is None:
            return send(cast_to, options, *args, **how)
        operation, call = opened
        try:
            result = send(cast_to, operation.options, *args, **how)
        except BaseException as error:
            _failed(operation, call, error)
            raise
        _answered(session.provider, operation, call, result)
        return result


class TrackedAsync(_Tracked):
    """A tracked client for an event loop."""

    async def request(self, cast_to: Any, options: Any, *args: Any, **how: Any) -> Any:
        """The provider's seam: every request of every resource comes through here."""
        session: Session = self.__dict__[SESSION]
        send = session.next_request or super().request  # type: ignore[misc]
        opened = _opened(self, session, options, bool(how.get("stream")))
        if opened is None:
            return await send(cast_to, options, *args, **how)
        operation, call = opened
        try:
            result = await send(cast_to, operation.options, *args, **how)
        except BaseException as error:
            _failed(operation, call, error)
            raise
        _answered(session.provider, operation, call, result)
        return result


# One billable request on its way, from here on. Nothing here raises, and what is complete at once takes few steps.


def _opened(client: Any, session: Session, options: Any, stream: bool) -> tuple[Operation, Call] | None:
    """None where the request is not billable, or cannot be understood."""
    provider = session.provider
    try:
        operation = provider.operation(client, options, stream=stream, session=session)
        if operation is None:
            return None
        # All by position: what is made with keywords, or without some arguments, takes a third longer.
        model, timed, metadata = operation.reader.model, operation.is_reported, {"operation": operation.name}
        call = Call(session.sink, session.provider_name, model, session.context, stream, timed, None, metadata)
        if wants_raw_response(operation.options):
            _follow_parsing(provider, operation, call)
    except Exception:
        calls.log.debug("[fluxgate] a request could not be tracked", exc_info=True)
        return None
    return operation, call


def _failed(operation: Operation, call: Call, error: BaseException) -> None:
    reader = operation.reader
    if not operation.is_reported:
        reader.is_billable = False
        return
    try:
        # Raised by the package's own parser after a billed answer, which it carries along.
        answer = getattr(error, "completion", None)
        if answer is not None:
            reader.whole(answer)
    except Exception:
        calls.log.debug("[fluxgate] an answer could not be read", exc_info=True)
    call.fail(error, reader.reading)


def _answered(provider: Provider, operation: Operation, call: Call, result: Any) -> None:
    try:
        # Asked first: asking a model for an attribute that it does not have is slow. Not by isinstance, which calls the
        # models' metaclass.
        if provider.model_class in type(result).__mro__:
            _record(operation.reader, call, result)
        elif not _adopted(provider, operation, call, result):
            _delegated(provider, operation, call, result)
    except Exception:
        calls.log.debug("[fluxgate] an answer could not be tracked", exc_info=True)


def _record(reader: Reader, call: Call, answer: Any) -> None:
    """The whole answer is here. Understanding it is left to the delivery's thread, as far as it can be."""
    try:
        reading = reader.note(answer)
    except Exception:
        calls.log.debug("[fluxgate] an answer could not be read", exc_info=True)
        reading = reader.reading
    if reader.is_billable:
        key = reader.key()
        if key is not None:
            call.idempotency_key = key
        attach(answer, call.finish(reading))


def _adopted(provider: Provider, operation: Operation, call: Call, result: Any) -> bool:
    """Whether this is an answer in parts, which are followed from now on."""
    # Not by isinstance: older packages have a metaclass that denies it.
    kinds = type(result).__mro__
    if any(kind in kinds for kind in provider.stream_classes):
        streams.adopt(result, _watch_of(operation, call), result.response)
    elif any(kind in kinds for kind in provider.decoder_classes) and operation.items is not None:
        streams.adopt(result, operation.items, None)
    else:
        return False
    return True


def _delegated(provider: Provider, operation: Operation, call: Call, result: Any) -> None:
    """What is here is the HTTP response, or something that only the caller understands."""
    watch, response = _watch_of(operation, call), _http_response(provider, result)
    if response is None:
        watch.read(result)
    elif response.is_closed and not call.streamed:
        watch.read(_content_of(response) if watch.reader.wants_body else None)
    else:
        watch.editor = watch.reader.editor(response.headers)
        watch.watch_body(response)
        watch.follow(result, response)
    attach(result, call.tracking)


def _watch_of(operation: Operation, call: Call) -> Watch:
    if operation.watch is None:
        operation.watch = Watch(call, operation.reader)
    return operation.watch


def _http_response(provider: Provider, result: Any) -> Any:
    """The HTTP response that the caller asked for in place of the answer, or None."""
    if isinstance(result, provider.response_classes):
        return result.http_response
    return result if hasattr(result, "is_closed") and hasattr(result, "iter_raw") else None


def _follow_parsing(provider: Provider, operation: Operation, call: Call) -> None:
    """Have what a raw response is parsed into tracked as well; only the package knows when that happens."""
    options = copy.copy(operation.options)
    then = options.post_parser if callable(options.post_parser) else None

    def parsed(result: Any) -> Any:
        _adopted(provider, operation, call, result)
        result = then(result) if then is not None else result
        attach(result, call.tracking)
        return result

    options.post_parser = parsed
    operation.options = options


def wants_raw_response(options: Any) -> bool:
    """Whether the caller has asked for the response and not for the answer: `with_raw_response` and its like."""
    headers = options.headers
    # Without any, there is an object of the package's own in their place.
    return hasattr(headers, "items") and any(name.lower() == _RAW_RESPONSE_HEADER for name in headers)


def _content_of(response: Any) -> Any:
    """The answer of a response that has been read; None where it is not JSON."""
    try:
        return response.json()
    except Exception:
        return None


def session_of(client: Any) -> Session:
    """The session of a tracked client."""
    session: Session = vars(client)[SESSION]
    return session


def clone(client: Any, session: Session) -> Any:
    """A tracked twin of a client, tracked or not, with this session."""
    base: Any = _resources.base_class(client.__class__)
    provider: Any = session.provider
    cls = tracked_class(base, provider)
    twin = object.__new__(cls)
    state = {name: value for name, value in vars(client).items() if not _is_bound(name, value, client)}
    own_request = state.pop("request", None)
    # Somebody (Logfire does) may have put a function of its own before the class's.
    if own_request is not None:
        session = replace(session, next_request=own_request)
    twin.__dict__.update(state)
    twin.__dict__[SESSION] = session
    for name, value in vars(client).items():
        # Made by the constructor and not on first use (Bedrock's and Vertex's are, and those of older packages).
        if _is_bound(name, value, client) and not isinstance(getattr(cls, name, None), functools.cached_property):
            twin.__dict__[name] = _resources.tracked(_resources.base_class(value.__class__)(twin))
    return twin


def _copied(client: Any, copied: Any) -> Any:
    """A tracked twin of what the provider's own code has copied off `client`; it may talk to another host."""
    session = session_of(client)
    name = session.provider_name if session.is_named else session.provider.name_of(copied)
    return clone(copied, replace(session, provider_name=name, next_request=None))


def _is_bound(name: str, value: Any, client: Any) -> bool:
    """Whether a value in a client's dictionary belongs to that very client, as its resources do."""
    state = getattr(value, "__dict__", None)
    return state is not None and (state.get("_client") is client or name in _RAW_VIEWS)


def _untracked(client: Any) -> Any:
    """A client of the original class with the clone's state, for the provider's own code to copy."""
    base = _resources.base_class(type(client))
    twin = object.__new__(base)
    twin.__dict__.update((name, value) for name, value in vars(client).items() if not _is_bound(name, value, client))
    del twin.__dict__[SESSION]
    return twin


@functools.lru_cache(maxsize=256)
def tracked_class(cls: Any, provider: Any) -> Any:
    """The tracked subclass of a client's class, whichever class that is: the provider's own or the user's."""
    kind = provider.tracked_kind(cls)
    namespace = {**_resources.tracked_properties(cls), "__module__": cls.__module__, _resources.BASE: cls}
    return type(f"Tracked{cls.__name__}", (kind, cls), namespace)
