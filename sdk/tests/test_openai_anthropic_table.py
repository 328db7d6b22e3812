"""Every way to make a billable call × synchronous or not × how it ends: exactly one event each."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
import stainless_wire as wire
from loopback import Loopback
from recorder import Recorder
from surfaces import ANTHROPIC, NEEDS, OPENAI, Surface

from fluxgate_sdk.providers.anthropic import create_anthropic_cost_tracker
from fluxgate_sdk.providers.openai import create_openai_cost_tracker
from fluxgate_sdk.tracking import tracking_of


def _exists(client: Any, need: str) -> bool:
    path, _, parameter = need.rstrip(")").partition("(")
    for name in path.split(".") if path else []:
        client = getattr(client, name, None)
    return client is not None and (not parameter or parameter in inspect.signature(client).parameters)


CASES = [
    (package, surface)
    for package, client, surfaces in (
        ("openai", openai.OpenAI(api_key="k"), OPENAI),
        ("anthropic", anthropic.Anthropic(api_key="k"), ANTHROPIC),
    )
    for surface in surfaces
    if _exists(client, NEEDS.get(surface.name, ""))
]
SURFACES = [pytest.param(*case, id=f"{case[0]} {case[1].name}") for case in CASES]
# Who reads the bytes sees no error in them.
WITH_AN_ERROR_MIDWAY = [
    param for param, (_, surface) in zip(SURFACES, CASES, strict=True) if surface.midway and "bytes" not in surface.name
]


@dataclass(frozen=True)
class Bench:
    """What the tests share, because making it takes longer than they do."""

    provider: Loopback
    loop: asyncio.AbstractEventLoop
    clients: dict[tuple[str, bool], Any]

    def run(self, package: str, is_async: bool, recorder: Recorder, surface: Surface, most: int | None = None) -> Any:
        client = self.clients[package, is_async]
        if package == "openai":
            tracker = create_openai_cost_tracker(client, recorder, inject_stream_usage=True)
        else:
            tracker = create_anthropic_cost_tracker(client, recorder)
        return self.loop.run_until_complete(self._driven(tracker, recorder, surface, most))

    async def _driven(self, tracker: Any, recorder: Recorder, surface: Surface, most: int | None) -> Any:
        answer = await surface.drive(tracker.with_context(feature="table", user="u1"), most)
        if answer is None:
            # An asynchronous stream that was dropped is closed by tasks of the loop.
            await _some_turns()
            gc.collect()
            await _some_turns()
        return answer


async def _some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    with Loopback() as provider:
        options: dict[str, Any] = {"api_key": "k", "base_url": provider.url, "max_retries": 0}
        clients: dict[tuple[str, bool], Any] = {
            ("openai", False): openai.OpenAI(**options),
            ("openai", True): openai.AsyncOpenAI(**options),
            ("anthropic", False): anthropic.Anthropic(**options),
            ("anthropic", True): anthropic.AsyncAnthropic(**options),
        }
        yield Bench(provider, loop, clients)
        for (_, is_async), client in clients.items():
            if is_async:
                loop.run_until_complete(client.close())
            else:
                client.close()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing goes wrong unseen: the SDK logs what it swallows."""
    with caplog.at_level("DEBUG", logger="fluxgate"):
        yield
    assert [record.getMessage() for record in caplog.records if record.name == "fluxgate"] == []


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
class TestOneEventEach:
    @pytest.mark.parametrize(("package", "surface"), SURFACES)
    def test_ok(self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder) -> None:
        bench.provider.answer(surface.reply())
        answer = bench.run(package, is_async, recorder, surface)
        event = recorder.only
        assert (wire.status_of(event), wire.tokens_of(event)) == ("SUCCESS", surface.tokens)
        assert (event["metadata"]["feature"], event["metadata"]["user"]) == ("table", "u1")
        assert event["usage"]["is_streamed"] is surface.is_parted
        if answer is not None and surface.carries:
            assert tracking_of(answer) is not None

    @pytest.mark.parametrize(("package", "surface"), SURFACES)
    def test_refused(self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder) -> None:
        bench.provider.answer(
            wire.openai_error() if package == "openai" else wire.anthropic_error(429, "rate_limit_error")
        )
        package_error = openai.RateLimitError if package == "openai" else anthropic.RateLimitError
        with pytest.raises(package_error):
            bench.run(package, is_async, recorder, surface)
        event = recorder.only
        assert wire.status_of(event) == "ERROR"
        said = event["metadata"]
        assert (said["httpStatus"], said["errorType"], said["usageSource"]) == (429, "RateLimitError", "missing")

    @pytest.mark.parametrize(("package", "surface"), WITH_AN_ERROR_MIDWAY)
    def test_error_midway(
        self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder
    ) -> None:
        assert surface.midway is not None
        bench.provider.answer(surface.midway())
        package_error = openai.APIError if package == "openai" else anthropic.APIStatusError
        with pytest.raises(package_error):
            bench.run(package, is_async, recorder, surface)
        assert wire.status_of(recorder.only) == "ERROR"

    @pytest.mark.parametrize(("package", "surface"), SURFACES)
    def test_early_break(
        self, package: str, surface: Surface, is_async: bool, bench: Bench, recorder: Recorder
    ) -> None:
        bench.provider.answer(surface.reply())
        bench.run(package, is_async, recorder, surface, most=1)
        event = recorder.only
        assert wire.status_of(event) == "SUCCESS"
        if surface.is_parted:
            assert event["metadata"]["stopReason"] == "aborted"
            assert event["metadata"]["usageSource"] in ("missing", "partial")
