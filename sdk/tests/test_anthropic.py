"""A tracked client of Anthropic's package: what is recorded, and that nothing else changes."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
import stainless_wire as wire
from anthropic import Anthropic, AnthropicBedrock, AnthropicVertex
from loopback import Loopback, Request, json_reply, sse_reply
from recorder import Recorder

from fluxgate_sdk.providers.anthropic import create_anthropic_cost_tracker
from fluxgate_sdk.tracking import tracking_of

ASK: dict[str, Any] = {"model": "claude-test", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
HAS_TOOL_RUNNER = hasattr(Anthropic(api_key="k").beta.messages, "tool_runner")


@pytest.fixture(scope="module")
def provider() -> Iterator[Loopback]:
    with Loopback() as loopback:
        loopback.always("/v1/messages", _message)
        loopback.always("/count_tokens", json_reply({"input_tokens": 9}))
        loopback.always("/invoke", json_reply(wire.message()))
        loopback.always(":rawPredict", json_reply(wire.message()))
        yield loopback


def _message(request: Request) -> Any:
    return wire.message_stream() if request.body.get("stream") else json_reply(wire.message())


@pytest.fixture(scope="module")
def plain(provider: Loopback) -> Iterator[Anthropic]:
    """The caller's own client."""
    with Anthropic(api_key="k", base_url=provider.url, max_retries=0) as client:
        yield client


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def tracker(plain: Anthropic, recorder: Recorder) -> Any:
    return create_anthropic_cost_tracker(plain, recorder)


class TestUsage:
    @pytest.mark.parametrize("streamed", [False, True])
    def test_the_providers_own_object_is_sent(self, streamed: bool, tracker: Any, recorder: Recorder) -> None:
        answer = tracker.messages.create(**ASK, stream=streamed)
        if streamed:
            list(answer)
        usage = recorder.only["usage"]
        assert (usage["provider_usage"], usage["api_flavor"]) == (wire.MESSAGE_USAGE, "messages")
        assert (usage["provider"], usage["model"]) == ("anthropic", "claude-sonnet-4-5-20250929")
        assert (usage["service_tier"], recorder.only["metadata"]["stopReason"]) == ("standard", "end_turn")

    def test_before_the_running_totals_the_output_is_not_known(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(sse_reply(wire.message_events()[:4], end="open"))
        with tracker.messages.create(**ASK, stream=True) as stream:
            next(stream)
        usage = recorder.only["usage"]
        said = [usage[name] for name in ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens")]
        assert (said, usage["cache_write_1h_tokens"]) == ([100, 40, 30, 0], 10)
        assert "provider_usage" not in usage
        assert recorder.only["metadata"]["usageSource"] == "partial"

    def test_an_error_midway_keeps_what_was_said(self, tracker: Any, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(wire.anthropic_error_midway())
        with pytest.raises(anthropic.APIStatusError):
            list(tracker.messages.create(**ASK, stream=True))
        event = recorder.only
        assert (wire.status_of(event), event["metadata"]["errorCode"]) == ("ERROR", "overloaded_error")
        assert event["usage"]["input_tokens"] == 100

    @pytest.mark.parametrize(
        ("stop", "status"),
        [
            ("max_tokens", "MAX_TOKENS"),
            ("model_context_window_exceeded", "MAX_TOKENS"),
            ("refusal", "BLOCKED"),
            ("pause_turn", "SUCCESS"),
            ("tool_use", "SUCCESS"),
        ],
    )
    def test_the_stop_reason_is_the_status(
        self, stop: str, status: str, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply(wire.message(stop=stop)), wire.message_stream(stop=stop))
        tracker.messages.create(**ASK)
        with tracker.messages.stream(**ASK) as stream:
            stream.until_done()
        assert [wire.status_of(event) for event in recorder.events] == [status, status]

    def test_iterations_of_a_compacted_answer_are_sent(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        iterations = [{"type": "compaction", "input_tokens": 900, "output_tokens": 50}, {"type": "message"}]
        provider.answer(json_reply(wire.message(usage={**wire.MESSAGE_USAGE, "iterations": iterations})))
        tracker.beta.messages.create(**ASK)
        assert recorder.only["usage"]["provider_usage"]["iterations"] == iterations
        assert recorder.only["metadata"]["operation"] == "messages"

    def test_retries_are_one_call(self, tracker: Any, provider: Loopback, recorder: Recorder) -> None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}
        provider.answer(*(json_reply(error, 529, {"retry-after-ms": "1"}) for _ in range(2)))
        tracker.with_options(max_retries=2).messages.create(**ASK)
        assert wire.status_of(recorder.only) == "SUCCESS"

    def test_counting_tokens_is_free(self, tracker: Any, recorder: Recorder) -> None:
        tracker.messages.count_tokens(model="claude-test", messages=ASK["messages"])
        assert recorder.events == []

    @pytest.mark.skipif(not hasattr(anthropic.Stream, "raw_events"), reason="an old package")
    def test_events_that_the_caller_reads_raw(self, tracker: Any, recorder: Recorder) -> None:
        stream = tracker.messages.create(**ASK, stream=True)
        assert len(list(stream.raw_events(stream.response))) == len(wire.message_events())
        assert wire.tokens_of(recorder.only) == (100, 20)


class TestBatches:
    def test_each_result_counts_once_however_often_it_is_read(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        url = f"{provider.url}/v1/messages/batches/batch_1/results"
        batch: dict[str, Any] = {"id": "batch_1", "type": "message_batch", "processing_status": "ended"}
        batch |= {"results_url": url, "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"}
        batch |= {"request_counts": {"processing": 0, "succeeded": 2, "errored": 1, "canceled": 1, "expired": 0}}
        for _ in range(2):
            provider.answer(json_reply(batch), wire.batch_results())
            lines = list(tracker.with_context(feature="nightly").messages.batches.results("batch_1"))
            assert [line.custom_id for line in lines] == ["a", "b", "c", "d"]
            assert [tracking_of(line) is not None for line in lines] == [True, True, False, True]
        keys = [event["idempotency_key"] for event in recorder.events]
        assert keys[:3] == keys[3:] == [f"anthropic:batch:batch_1:{name}" for name in "abd"]
        event = recorder.events[0]
        assert (wire.tokens_of(event), event["usage"]["service_tier"]) == ((100, 20), "batch")
        assert (event["metadata"]["feature"], event["metadata"]["batchCustomId"]) == ("nightly", "a")
        assert "latency_in_ms" not in event["usage"]
        assert wire.status_of(recorder.events[1]) == "ERROR"


class TestWhatTheCallerSees:
    def test_the_same_events_and_a_stream_of_their_class(self, plain: Anthropic, tracker: Any) -> None:
        theirs = list(plain.messages.create(**ASK, stream=True))
        stream = tracker.messages.create(**ASK, stream=True)
        assert isinstance(stream, anthropic.Stream)
        ours = list(stream)
        assert (ours, [event.to_json() for event in ours]) == (theirs, [event.to_json() for event in theirs])
        assert tracking_of(stream) is not None

    def test_the_same_helper(self, plain: Anthropic, tracker: Any, recorder: Recorder) -> None:
        def seen(client: Any) -> tuple[str, Any, Any]:
            with client.messages.stream(**ASK) as stream:
                text = "".join(stream.text_stream)
                return text, stream.get_final_message(), stream

        (theirs, their_message, _), (ours, our_message, stream) = seen(plain), seen(tracker)
        assert (ours, our_message, repr(our_message)) == (theirs, their_message, repr(their_message))
        assert tracking_of(stream) is tracking_of(our_message) is not None
        assert len(recorder.events) == 1

    def test_a_model_with_the_same_dump_equality_and_repr(self, plain: Anthropic, tracker: Any) -> None:
        theirs, ours = plain.messages.create(**ASK), tracker.messages.create(**ASK)
        assert (ours == theirs, ours.model_dump(), repr(ours)) == (True, theirs.model_dump(), repr(theirs))

    @pytest.mark.skipif(not HAS_TOOL_RUNNER, reason="an old package")
    def test_a_tool_runner_makes_one_event_a_turn(self, tracker: Any, provider: Loopback, recorder: Recorder) -> None:
        @anthropic.beta_tool
        def weather(city: str) -> str:
            """The weather in a city."""
            return f"Rain in {city}"

        use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bonn"}}
        provider.answer(json_reply(wire.message(stop="tool_use", content=[use])), json_reply(wire.message("It rains")))
        session = tracker.with_context(feature="agent")
        final = session.beta.messages.tool_runner(**ASK, tools=[weather]).until_done()
        assert final.content[0].text == "It rains"
        reasons = [(event["metadata"]["stopReason"], event["metadata"]["feature"]) for event in recorder.events]
        assert reasons == [("tool_use", "agent"), ("end_turn", "agent")]
        assert json.dumps(provider.requests[-1].body["messages"][-1]).count("Rain in Bonn") == 1


class TestClients:
    def test_bedrock(self, provider: Loopback, recorder: Recorder) -> None:
        pytest.importorskip("botocore") if not _signs_by_key() else None
        plain = AnthropicBedrock(aws_region="us-east-1", base_url=provider.url, api_key="k")
        with create_anthropic_cost_tracker(plain, recorder) as tracker:
            session: Any = tracker.with_context(feature="x")
            session.messages.with_tracking(step="y").create(**ASK)
            session.beta.messages.create(**ASK)
        assert provider.requests[-1].path == "/model/claude-test/invoke"
        assert [event["usage"]["provider"] for event in recorder.events] == ["aws", "aws"]
        assert recorder.events[0]["metadata"]["step"] == "y"

    def test_vertex(self, provider: Loopback, recorder: Recorder) -> None:
        plain = AnthropicVertex(region="us-east5", project_id="p", base_url=provider.url, access_token="t")
        with create_anthropic_cost_tracker(plain, recorder) as tracker:
            tracker.with_context(feature="x").messages.create(**ASK)
        assert provider.requests[-1].path.endswith("/publishers/anthropic/models/claude-test:rawPredict")
        assert (recorder.only["usage"]["provider"], wire.tokens_of(recorder.only)) == ("google", (100, 20))

    def test_a_class_of_the_users_own(self, provider: Loopback, recorder: Recorder) -> None:
        class House(Anthropic):
            def hello(self) -> str:
                return "hello"

        with House(api_key="k", base_url=provider.url) as plain:
            tracker: Any = create_anthropic_cost_tracker(plain, recorder).with_options(timeout=3)
            tracker.messages.create(**ASK)
            assert isinstance(tracker, House)
            assert tracker.hello() == "hello"
        assert len(recorder.events) == 1

    @pytest.mark.skipif(not hasattr(Anthropic, "with_middleware"), reason="an old package")
    def test_middleware_sees_every_attempt_and_makes_no_event(
        self, plain: Anthropic, provider: Loopback, recorder: Recorder
    ) -> None:
        attempts: list[str] = []

        def middleware(request: Any, call_next: Any) -> Any:
            attempts.append(request.options.url)
            return call_next(request)

        error = {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}
        provider.answer(json_reply(error, 529, {"retry-after-ms": "1"}))
        client = plain.with_middleware(middleware).with_options(max_retries=1)
        tracker: Any = create_anthropic_cost_tracker(client, recorder)
        tracker.messages.create(**ASK)
        with tracker.messages.stream(**ASK) as stream:
            stream.until_done()
        assert len(attempts) == 3
        assert [wire.tokens_of(event) for event in recorder.events] == [(100, 20), (100, 20)]

    def test_what_is_no_client_is_refused(self, recorder: Recorder) -> None:
        with pytest.raises(TypeError, match="must be a client of the package anthropic, got int"):
            create_anthropic_cost_tracker(7, recorder)  # type: ignore[call-overload]


def _signs_by_key() -> bool:
    import inspect

    return "api_key" in inspect.signature(AnthropicBedrock.__init__).parameters


def test_dropping_a_session_closes_nothing(plain: Anthropic, tracker: Any, recorder: Recorder) -> None:
    for number in range(3):
        tracker.with_context(user=str(number)).messages.create(**ASK)
    gc.collect()
    assert plain.messages.create(**ASK).id == "msg_1"
    assert len(recorder.events) == 3
