"""The resources of a tracked client (`chat.completions`, `messages` …): the provider's own, with `with_tracking`.

A resource keeps its identity and its type: its class becomes a cached subclass of its class. What its `stream` gives is
followed too, because the stream that callers get there is not the one that the request has made.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

from fluxgate_sdk import calls
from fluxgate_sdk.tracking import ATTRIBUTE, attach, tracking_of

BASE: Final = "_fluxgate_base"
"""On a class of ours: the class that it was made of."""

_FINAL_ANSWERS: Final = ("get_final_message", "get_final_completion", "get_final_response")


def base_class(cls: type[Any]) -> type[Any]:
    """The provider's or the user's class that one of ours was made of; the class itself if it is none of ours."""
    base: type[Any] = vars(cls).get(BASE, cls)
    return base


def tracked(resource: Any) -> Any:
    """The same resource with `with_tracking`; what is no resource, as it is."""
    if isinstance(resource, _TrackedResource) or not hasattr(resource, "_client") or not hasattr(resource, "_post"):
        return resource
    resource.__class__ = _resource_class(resource.__class__)
    return resource


def tracked_properties(cls: Any) -> dict[str, Any]:
    """The properties of a class that make resources, made to give tracked ones."""
    names = {name for base in cls.__mro__ for name, value in vars(base).items() if _is_accessor(name, value)}
    return {name: _accessor(cls, name) for name in names if _is_accessor(name, getattr(cls, name))}


class _TrackedResource:
    _client: Any

    def with_tracking(self, **context: Any) -> Any:
        """This resource with this context over the client's present one; `metadata` is replaced as a whole."""
        return type(self)(self._client.with_tracking(**context))  # type: ignore[call-arg]


def _is_accessor(name: str, value: object) -> bool:
    return isinstance(value, functools.cached_property) and not name.startswith(("_", "with_"))


# Below, the original is looked up when it is called: an instrumentor may replace it after this class was made.


def _accessor(cls: Any, name: str) -> functools.cached_property[Any]:
    @functools.wraps(getattr(cls, name).func)
    def accessor(self: Any) -> Any:
        return tracked(getattr(cls, name).func(self))

    return functools.cached_property(accessor)


@functools.lru_cache(maxsize=512)
def _resource_class(cls: Any) -> Any:
    namespace = {**tracked_properties(cls), "__module__": cls.__module__, "__qualname__": cls.__qualname__, BASE: cls}
    for name, wrapped in (("stream", _streaming), ("thread", _threading), ("tool_runner", _running)):
        if callable(getattr(cls, name, None)):
            namespace[name] = wrapped(cls)
    return type(cls.__name__, (_TrackedResource, cls), namespace)


def _streaming(cls: Any) -> Callable[..., Any]:
    @functools.wraps(cls.stream)
    def streaming(self: Any, *args: Any, **options: Any) -> Any:
        manager = cls.stream(self, *args, **options)
        if hasattr(manager, "__enter__") or hasattr(manager, "__aenter__"):
            _become(manager, _manager_class)
        return manager

    return streaming


def _threading(cls: Any) -> Callable[..., Any]:
    @functools.wraps(cls.thread)
    def threading(self: Any, *args: Any, **options: Any) -> Any:
        thread = cls.thread(self, *args, **options)
        _become(thread, _thread_class)
        return thread

    return threading


def _running(cls: Any) -> Callable[..., Any]:
    @functools.wraps(cls.tool_runner)
    def running(self: Any, *args: Any, **options: Any) -> Any:
        runner = cls.tool_runner(self, *args, **options)
        # Older runners have none: they ask the client.
        if hasattr(runner, "_thread"):
            _become(runner._thread, _thread_class)
        return runner

    return running


@functools.lru_cache(maxsize=64)
def _thread_class(cls: Any) -> Any:
    """Of Anthropic's threads, which make their parsed answers and their streams out of those of the client."""

    def parsed(self: Any, reply: Any) -> Any:
        answer = cls._parse_reply(self, reply)
        attach(answer, tracking_of(reply))
        return answer

    namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "stream": _streaming(cls)}
    if hasattr(cls, "_parse_reply"):
        namespace["_parse_reply"] = parsed
    return type(cls.__name__, (cls,), namespace)


def _become(subject: Any, class_for: Callable[[Any], Any]) -> None:
    try:
        subject.__class__ = class_for(subject.__class__)
    except Exception:  # A class with a layout of its own; its calls are recorded all the same.
        calls.log.debug("[fluxgate] a stream does not carry its tracking", exc_info=True)


@functools.lru_cache(maxsize=64)
def _manager_class(cls: Any) -> Any:
    """Of what `stream` returns, for `with`: the stream that it gives is tracked."""

    def enter(self: Any) -> Any:
        stream = cls.__enter__(self)
        _become(stream, _stream_class)
        return stream

    async def enter_async(self: Any) -> Any:
        stream = await cls.__aenter__(self)
        _become(stream, _stream_class)
        return stream

    entering = {"__enter__": enter} if hasattr(cls, "__enter__") else {"__aenter__": enter_async}
    return type(cls.__name__, (cls,), {"__module__": cls.__module__, **entering})


@functools.lru_cache(maxsize=64)
def _stream_class(cls: Any) -> Any:
    """Of the stream that callers get: it carries the tracking of the raw stream below it, and so do its answers."""
    namespace: dict[str, Any] = {"__module__": cls.__module__, ATTRIBUTE: property(_raw_tracking)}
    for name in _FINAL_ANSWERS:
        if callable(getattr(cls, name, None)):
            namespace[name] = _attaching(cls, name)
    return type(cls.__name__, (cls,), namespace)


def _raw_tracking(self: Any) -> Any:
    return getattr(self._raw_stream, ATTRIBUTE)


def _attaching(cls: Any, name: str) -> Callable[..., Any]:
    final = getattr(cls, name)

    @functools.wraps(final)
    def attaching(self: Any) -> Any:
        answer = getattr(cls, name)(self)
        attach(answer, tracking_of(self))
        return answer

    @functools.wraps(final)
    async def attaching_async(self: Any) -> Any:
        answer = await getattr(cls, name)(self)
        attach(answer, tracking_of(self))
        return answer

    return attaching_async if inspect.iscoroutinefunction(final) else attaching
