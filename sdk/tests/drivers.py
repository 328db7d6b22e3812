"""Making one call, whole, in parts, raw or by a helper, and reading so much of its answer.

One coroutine drives both kinds of client: what a synchronous client returns needs no waiting.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

# A driver makes one call and reads so many parts of its answer (None: all). It returns what carries the tracking.
Driver = Callable[[Any, "int | None"], Awaitable[Any]]


async def given(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def each(parts: Any) -> AsyncGenerator[Any, None]:
    if hasattr(parts, "__aiter__"):
        async for part in parts:
            yield part
    else:
        for part in parts:
            yield part


async def read(parts: Any, most: int | None) -> None:
    count = 0
    async for _ in each(parts):
        count += 1
        if count == most:
            break


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


def plain(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        return await given(call(client))

    return drive


def stream(call: Callable[[Any], Any]) -> Driver:
    """The stream is read in a `with`, as its documentation says."""

    async def drive(client: Any, most: int | None) -> Any:
        async with entered(await given(call(client))) as parts:
            await read(parts, most)
        return parts

    return drive


def dropped(call: Callable[[Any], Any]) -> Driver:
    """The stream is read without a `with` and left where reading stops, for the garbage collector."""

    async def drive(client: Any, most: int | None) -> Any:
        parts = await given(call(client))
        iterator = each(parts)
        with suppress(StopAsyncIteration):
            while most != 0:
                await iterator.__anext__()
                most = None if most is None else most - 1
        await iterator.aclose()
        return None

    return drive


def raw(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        answer = await given(call(client))
        if most is not None:
            return answer
        return await given(answer.parse())

    return drive


def raw_stream(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        answer = await given(call(client))
        async with entered(await given(answer.parse())) as parts:
            await read(parts, most)
        return parts

    return drive


def streaming_response(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as answer:
            return answer if most is not None else await given(answer.parse())

    return drive


def streaming_response_bytes(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as answer:
            await read(answer.iter_bytes(), most)
        return answer

    return drive


def streaming_response_parsed(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as answer:
            parts = await given(answer.parse())
            await read(parts, most)
        return parts

    return drive


def helper(call: Callable[[Any], Any], final: str) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        async with entered(call(client)) as parts:
            if most is None:
                return await given(getattr(parts, final)())
            await read(parts, most)
        return parts

    return drive


def turn(call: Callable[[Any], Any]) -> Driver:
    """A tool runner whose model asks for no tool: its one turn."""

    async def drive(client: Any, most: int | None) -> Any:
        if most is None:
            return await given(call(client).until_done())
        return await anext(each(call(client)))

    return drive


def turn_stream(call: Callable[[Any], Any]) -> Driver:
    async def drive(client: Any, most: int | None) -> Any:
        turns = each(call(client))
        parts = await anext(turns)
        await read(parts, most)
        await given(parts.close())
        await turns.aclose()
        return parts

    return drive
