"""Time limits that cost nothing while nothing is late."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from events.deadlines import Deadlines


def run(body: Callable[[Deadlines], Awaitable[None]]) -> None:
    async def framed() -> None:
        deadlines = Deadlines()
        sweeping = asyncio.create_task(deadlines.sweep())
        try:
            await body(deadlines)
        finally:
            sweeping.cancel()

    asyncio.run(framed())


def test_a_wait_that_takes_too_long_is_ended() -> None:
    async def body(deadlines: Deadlines) -> None:
        with pytest.raises(TimeoutError), deadlines.within(0):
            await asyncio.Event().wait()
        # The task goes on as if nothing had been cancelled.
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)

    run(body)


def test_a_wait_that_ends_in_time_is_left_alone_for_ever() -> None:
    async def body(deadlines: Deadlines) -> None:
        with deadlines.within(0):
            pass
        late = asyncio.create_task(asyncio.Event().wait())
        with pytest.raises(TimeoutError), deadlines.within(0):
            # The sweep that ends this one has passed the first one by.
            await late

    run(body)


def test_a_cancellation_from_outside_stays_one() -> None:
    async def body(deadlines: Deadlines) -> None:
        async def waiting() -> None:
            with deadlines.within(3600):
                await asyncio.Event().wait()

        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(body)


def test_an_error_of_the_body_comes_through() -> None:
    async def body(deadlines: Deadlines) -> None:
        with pytest.raises(KeyError), deadlines.within(3600):
            raise KeyError("own")

    run(body)
