"""Tracking calls of a provider that has no wrapper: around a block, or around a function."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fluxgate_sdk.calls import Call, EventSink, Reading
from fluxgate_sdk.events import Usage, copied
from fluxgate_sdk.statuses import Status
from fluxgate_sdk.tracking import CostTrackingResponse

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger("fluxgate")

Function = TypeVar("Function", bound=Callable[..., Any])
ReadUsage = Callable[[Any], "Usage | Mapping[str, Any] | None"]

_READ = frozenset(Reading.__dataclass_fields__)


class TrackedCall:
    """One call while it lasts: say here what it used. Nothing here raises for what it is told."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._reading = Reading()

    @property
    def response(self) -> CostTrackingResponse | None:
        """The tracking of this call; None before it has ended."""
        return self._call.tracking

    def usage(self, **usage: Unpack[Usage]) -> None:
        """Say what the call used, by the names of `Usage`. What is said later replaces what was said before."""
        self.read(usage)

    def read(self, usage: Usage | Mapping[str, Any] | None) -> None:
        """As `usage`, from a mapping; None says nothing."""
        for name, value in (usage or {}).items():
            if name in _READ and value is not None:
                setattr(self._reading, name, value)

    def status(self, status: Status, error_message: str | None = None) -> None:
        """Say how the call ended, when it ended otherwise than well, for example with MAX_TOKENS."""
        self._reading.status = status
        self._reading.error_message = error_message

    def chunk(self) -> None:
        """Say that a part of a streamed answer has arrived."""
        self._call.streamed = True
        self._call.chunk_arrived()

    def _end(self, error: BaseException | None) -> None:
        # What is said afterwards, or done to the objects that were given, is too late.
        reading = replace(self._reading, provider_usage=copied(self._reading.provider_usage))
        if error is None:
            self._call.finish(reading)
        elif isinstance(error, GeneratorExit):
            self._call.abandon(reading)
        else:
            self._call.fail(error, reading)


class Tracker:
    """`with fluxgate.track(…) as call:`, `async with …`, or `@fluxgate.track(…)` on a function of any kind.

    As a decorator one tracker serves all calls of its function, at the same time too. For a block make one each time.
    """

    def __init__(
        self,
        sink: EventSink,
        provider: str,
        model: str | None,
        context: Mapping[str, Any],
        usage: ReadUsage | None = None,
    ) -> None:
        self._sink = sink
        self._provider = provider
        self._model = model
        self._context = context
        self._read_usage = usage
        self._block: TrackedCall | None = None

    def __enter__(self) -> TrackedCall:
        self._block = self._open()
        return self._block

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._block is not None:
            self._block._end(error)

    async def __aenter__(self) -> TrackedCall:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Function) -> Function:
        """The function, recorded each time it is called. `usage` is given what it returns, or each item it yields."""
        if inspect.isasyncgenfunction(function):
            made: Callable[..., Any] = self._around_async_generator(function)
        elif inspect.isgeneratorfunction(function):
            made = self._around_generator(function)
        elif inspect.iscoroutinefunction(function):
            made = self._around_coroutine(function)
        else:
            made = self._around_function(function)
        return cast(Function, functools.wraps(function)(made))

    def _around_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Any:
            call = self._open()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                call._end(error)
                raise
            self._saw(call, result)
            call._end(None)
            return result

        return tracked

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            call = self._open()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                call._end(error)
                raise
            self._saw(call, result)
            call._end(None)
            return result

        return tracked

    def _around_generator(self, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            call = self._open()
            try:
                result = yield from _Watched(function(*args, **kwargs), functools.partial(self._saw_chunk, call))
            except BaseException as error:
                call._end(error)
                raise
            call._end(None)
            return result

        return tracked

    def _around_async_generator(self, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
        async def tracked(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            call = self._open()
            try:
                async with aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        self._saw_chunk(call, item)
                        try:
                            yield item
                        except (GeneratorExit, asyncio.CancelledError):
                            # Left early; a loop that ends says so by a cancellation. It is recorded before what is
                            # inside is closed: that takes another await, in which anything may happen.
                            call._end(GeneratorExit())
                            raise
            except BaseException as error:
                call._end(error)
                raise
            call._end(None)

        return tracked

    def _open(self) -> TrackedCall:
        return TrackedCall(Call(self._sink, self._provider, self._model, self._context))

    def _saw_chunk(self, call: TrackedCall, item: Any) -> None:
        call.chunk()
        self._saw(call, item)

    def _saw(self, call: TrackedCall, result: Any) -> None:
        if self._read_usage is None:
            return
        try:
            call.read(self._read_usage(result))
        except Exception:
            # The caller's answer matters more than its usage: the event will say that it is missing.
            log.debug("[fluxgate] the usage of a call to %s could not be read", self._provider, exc_info=True)


class _Watched:
    """A generator for `yield from`, whose items are looked at as they pass."""

    def __init__(self, inner: Generator[Any, Any, Any], saw: Callable[[Any], None]) -> None:
        self._inner = inner
        self._saw = saw

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> Any:
        return self._passed(next(self._inner))

    def send(self, value: Any) -> Any:
        return self._passed(self._inner.send(value))

    def throw(self, *error: Any) -> Any:
        return self._passed(self._inner.throw(*error))

    def close(self) -> None:
        self._inner.close()

    def _passed(self, item: Any) -> Any:
        self._saw(item)
        return item
