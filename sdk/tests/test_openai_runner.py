"""The loop of OpenAI's package over the Responses interface, given a tracked client: one event for each turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import stainless_wire as wire
from loopback import Loopback, Reply, json_reply, sse_reply
from openai import AsyncOpenAI, OpenAI
from recorder import Recorder

from fluxgate_sdk.providers.openai import create_openai_cost_tracker
from fluxgate_sdk.tracking import tracking_of

runners = pytest.importorskip("openai.lib.responses_tool_runner", reason="an old package")

CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "weather",
    "arguments": '{"city": "Bonn"}',
    "status": "completed",
}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
ASK: dict[str, Any] = {"model": "gpt-5", "input": "Does it rain in Bonn?"}


@pytest.fixture
def provider() -> Iterator[Loopback]:
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def _streamed(response: dict[str, Any]) -> Reply:
    begun = response | {"status": "in_progress", "usage": None, "output": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(response["output"]):
        events.append({"type": "response.output_item.added", "output_index": index, "item": item})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": response})
    return sse_reply([(event["type"], event | {"sequence_number": number}) for number, event in enumerate(events)])


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_one_event_a_turn(streamed: bool, is_async: bool, provider: Loopback, recorder: Recorder) -> None:
    turns = [wire.response(output=[CALL]), wire.response(id="resp_2")]
    provider.answer(*map(_streamed if streamed else json_reply, turns))
    options: Any = {"api_key": "k", "base_url": provider.url, "max_retries": 0}
    if is_async:
        final = asyncio.run(_asked(AsyncOpenAI(**options), recorder, streamed))
    else:
        runner = runners.ResponsesToolRunner(functions=[runners.RegisteredFunction(tool=TOOL, execute=lambda _: "No")])
        with OpenAI(**options) as plain:
            session = create_openai_cost_tracker(plain, recorder).with_context(feature="agent")
            final = runner.run(session, ASK, stream=streamed)
    assert final.id == "resp_2"
    assert provider.requests[-1].body["input"][-1]["output"] == "No"
    said = [(event["metadata"]["feature"], event["metadata"]["responseId"]) for event in recorder.events]
    assert said == [("agent", "resp_1"), ("agent", "resp_2")]
    assert [wire.tokens_of(event) for event in recorder.events] == [(100, 20), (100, 20)]
    # The runner makes its own object out of a stream.
    assert (tracking_of(final) is None) is streamed


async def _asked(client: AsyncOpenAI, recorder: Recorder, streamed: bool) -> Any:
    async def weather(_: Any) -> str:
        return "No"

    runner = runners.AsyncResponsesToolRunner(functions=[runners.AsyncRegisteredFunction(tool=TOOL, execute=weather)])
    async with client as plain:
        session = create_openai_cost_tracker(plain, recorder).with_context(feature="agent")
        return await runner.run(session, ASK, stream=streamed)
