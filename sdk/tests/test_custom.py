"""`track`: blocks and functions of every kind, one event each, nothing changed for their callers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from recorder import Recorder

from fluxgate_sdk.custom import Tracker
from fluxgate_sdk.events import Usage, context_of
from fluxgate_sdk.tracking import CostTrackingResponse

USAGE: Usage = {"input_tokens": 12, "output_tokens": 3}


class Sink:
    """Keeps what a FluxGate would send."""

    debug = False

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def enqueue(self, event: Any) -> CostTrackingResponse:
        self.events.append(event)
        return CostTrackingResponse(timeout=0)


@pytest.fixture
def sink() -> Sink:
    return Sink()


def tracker(sink: Sink, usage: Callable[[Any], Any] | None = None) -> Tracker:
    return Tracker(sink, "acme", "acme-large", {"feature": "summary", "metadata": {"team": "a"}}, usage)


def usage_of(result: Any) -> Any:
    return USAGE if result in ("answer", "last") else None


class Failure(Exception):
    pass


def check(sink: Sink, status: Any, *, counts: bool = True, streamed: bool = False) -> None:
    (event,) = sink.events
    assert (event["status"] if isinstance(event["status"], str) else event["status"]["status"]) == status
    assert event["usage"]["provider"] == "acme"
    assert event["usage"]["model"] == "acme-large"
    assert event["usage"]["is_streamed"] is streamed
    assert event["usage"]["latency_in_ms"] >= 0
    assert ("usageSource" not in event["metadata"]) is counts
    assert event["usage"]["input_tokens"] == (12 if counts else 0)
    assert (event["metadata"]["feature"], event["metadata"]["team"]) == ("summary", "a")
    assert event["idempotency_key"]


def test_a_block_says_what_it_used(sink: Sink) -> None:
    with tracker(sink) as call:
        assert call.response is None
        call.usage(input_tokens=1, output_tokens=1)
        call.usage(**USAGE)
        call.status("MAX_TOKENS")
    check(sink, "MAX_TOKENS")
    assert call.response is not None


def test_a_block_may_name_the_model_that_answered_and_the_providers_own_usage(sink: Sink) -> None:
    with tracker(sink) as call:
        call.usage(model="acme-small", provider_usage={"prompt_tokens": 1}, api_flavor="chat", service_tier="flex")
    usage = sink.events[0]["usage"]
    assert (usage["model"], usage["service_tier"]) == ("acme-small", "flex")
    assert (usage["provider_usage"], usage["api_flavor"]) == ({"prompt_tokens": 1}, "chat")
    assert "input_tokens" not in usage


def test_what_is_said_after_the_end_is_too_late() -> None:
    recorder, said = Recorder(), {"prompt_tokens": 1, "completion_tokens": 2}
    context: dict[str, Any] = {"metadata": {"tags": ["a"]}}
    with Tracker(recorder, "acme", "acme-large", context_of(context, "track")) as call:
        call.usage(provider_usage=said, api_flavor="chat")
    call.usage(input_tokens=7, provider_usage={})
    said["prompt_tokens"] = 100
    context["metadata"]["tags"].append("b")
    assert recorder.only["usage"]["provider_usage"] == {"prompt_tokens": 1, "completion_tokens": 2}
    assert recorder.only["metadata"]["tags"] == ["a"]


def test_a_block_without_a_word_is_recorded_as_such(sink: Sink) -> None:
    with tracker(sink):
        pass
    check(sink, "SUCCESS", counts=False)


def test_a_block_that_raises_is_recorded_and_raises(sink: Sink) -> None:
    def ask() -> None:
        with tracker(sink) as call:
            call.usage(**USAGE)
            raise Failure("no")

    with pytest.raises(Failure):
        ask()
    check(sink, "ERROR")
    assert "no" in sink.events[0]["status"]["error_message"]


def test_a_block_in_an_event_loop(sink: Sink) -> None:
    async def main() -> None:
        async with tracker(sink) as call:
            call.chunk()
            call.usage(**USAGE)

    asyncio.run(main())
    check(sink, "SUCCESS", streamed=True)


def test_a_function(sink: Sink) -> None:
    @tracker(sink, usage_of)
    def ask(question: str, *, loud: bool = False) -> str:
        """Ask."""
        return "answer"

    assert ask("?", loud=True) == "answer"
    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert list(inspect.signature(ask).parameters) == ["question", "loud"]
    check(sink, "SUCCESS")


def test_a_function_that_raises(sink: Sink) -> None:
    @tracker(sink, usage_of)
    def ask() -> str:
        raise Failure("no")

    with pytest.raises(Failure):
        ask()
    check(sink, "ERROR", counts=False)


def test_usage_that_cannot_be_read_costs_the_caller_nothing(sink: Sink) -> None:
    @tracker(sink, lambda answer: answer["usage"])
    def ask() -> str:
        return "answer"

    assert ask() == "answer"
    check(sink, "SUCCESS", counts=False)


@pytest.mark.parametrize(("outcome", "status"), [("answer", "SUCCESS"), (Failure("no"), "ERROR")])
def test_a_coroutine(sink: Sink, outcome: Any, status: str) -> None:
    @tracker(sink, usage_of)
    async def ask() -> Any:
        await asyncio.sleep(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert inspect.iscoroutinefunction(ask)
    (found,) = asyncio.run(_gathered(ask()))
    assert found is outcome
    check(sink, status, counts=status == "SUCCESS")


async def _gathered(*asked: Any) -> list[Any]:
    return await asyncio.gather(*asked, return_exceptions=True)


def test_a_cancelled_coroutine_is_recorded(sink: Sink) -> None:
    @tracker(sink, usage_of)
    async def ask() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        asking = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(main())
    check(sink, "ERROR", counts=False)


def test_calls_at_the_same_time_are_told_apart(sink: Sink) -> None:
    @tracker(sink, lambda answer: {"input_tokens": answer, "output_tokens": 0})
    async def ask(number: int) -> int:
        await asyncio.sleep(0)
        return number

    assert asyncio.run(_gathered(*(ask(number) for number in range(5)))) == [0, 1, 2, 3, 4]
    assert sorted(event["usage"]["input_tokens"] for event in sink.events) == [0, 1, 2, 3, 4]


def parts(fails: bool = False) -> Iterator[str]:
    yield "first"
    if fails:
        raise Failure("no")
    yield "last"


async def async_parts(fails: bool = False) -> AsyncIterator[str]:
    for part in parts(fails):
        yield part


def test_a_generator(sink: Sink) -> None:
    ask = tracker(sink, usage_of)(parts)
    assert inspect.isgeneratorfunction(ask)
    assert list(ask()) == ["first", "last"]
    check(sink, "SUCCESS", streamed=True)


def test_a_generator_passes_on_what_is_sent_thrown_and_returned(sink: Sink) -> None:
    @tracker(sink, usage_of)
    def ask() -> Any:
        try:
            got = yield "last"
        except Failure:
            got = yield "mended"
        return got

    asking = ask()
    assert next(asking) == "last"
    assert asking.throw(Failure("no")) == "mended"
    with pytest.raises(StopIteration) as ended:
        asking.send("sent")
    assert ended.value.value == "sent"
    check(sink, "SUCCESS", streamed=True)


def test_a_generator_that_raises(sink: Sink) -> None:
    with pytest.raises(Failure):
        list(tracker(sink, usage_of)(parts)(True))
    check(sink, "ERROR", counts=False, streamed=True)


def test_a_generator_that_is_left_early_is_no_error(sink: Sink) -> None:
    for _ in tracker(sink, usage_of)(parts)():
        break
    check(sink, "SUCCESS", counts=False, streamed=True)
    assert sink.events[0]["metadata"]["stopReason"] == "aborted"


def test_a_generator_that_is_never_begun_is_no_call(sink: Sink) -> None:
    tracker(sink, usage_of)(parts)()
    assert sink.events == []


@pytest.mark.parametrize("fails", [False, True])
def test_an_asynchronous_generator(sink: Sink, fails: bool) -> None:
    ask = tracker(sink, usage_of)(async_parts)

    async def main() -> list[str]:
        return [part async for part in ask(fails)]

    if fails:
        with pytest.raises(Failure):
            asyncio.run(main())
    else:
        assert asyncio.run(main()) == ["first", "last"]
    check(sink, "ERROR" if fails else "SUCCESS", counts=not fails, streamed=True)


def test_an_asynchronous_generator_that_is_left_early(sink: Sink) -> None:
    ask = tracker(sink, usage_of)(async_parts)

    async def main() -> None:
        async for _ in ask():
            break

    asyncio.run(main())
    check(sink, "SUCCESS", counts=False, streamed=True)
