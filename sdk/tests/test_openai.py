"""A tracked client of OpenAI's package: what is recorded, and that nothing else changes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
import stainless_wire as wire
from loopback import Loopback, Reply, Request, json_reply, sse_reply
from openai import OpenAI
from pydantic import BaseModel
from recorder import Recorder

from fluxgate_sdk.providers.openai import create_openai_cost_tracker
from fluxgate_sdk.tracking import tracking_of

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
ASK: dict[str, Any] = {"model": "gpt-5", "input": "Hi"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Loopback]:
    with Loopback() as loopback:
        loopback.always("/chat/completions", _chat)
        yield loopback


def _chat(request: Request) -> Reply:
    """Says the usage of a stream only when it is asked to, as OpenAI does."""
    if not request.body.get("stream"):
        return json_reply(wire.chat_completion())
    return wire.chat_stream(usage=(request.body.get("stream_options") or {}).get("include_usage") is True)


@pytest.fixture(scope="module")
def plain(provider: Loopback) -> Iterator[OpenAI]:
    """The caller's own client."""
    with OpenAI(api_key="k", base_url=provider.url, max_retries=0) as client:
        yield client


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def tracker(plain: OpenAI, recorder: Recorder) -> Any:
    return create_openai_cost_tracker(plain, recorder, inject_stream_usage=True)


class TestContext:
    def test_of_the_session_and_over_it(self, tracker: Any, recorder: Recorder) -> None:
        session = tracker.with_context(feature="chat", user="u1", metadata={"plan": "pro"})
        session.chat.completions.create(**CHAT)
        session.chat.completions.with_tracking(step="draft", metadata={"run": 7}).create(**CHAT)
        session.with_tracking(user={"id": "u2"}).chat.completions.create(**CHAT)
        session.client.chat.completions.create(**CHAT)
        labels = ("feature", "user", "step", "plan", "run")
        said = [tuple(event["metadata"].get(label) for label in labels) for event in recorder.events]
        assert said == [
            ("chat", "u1", None, "pro", None),
            ("chat", "u1", "draft", None, 7),
            ("chat", {"id": "u2"}, None, "pro", None),
            (None, None, None, None, None),
        ]

    @pytest.mark.parametrize("word", ["with_context", "with_tracking"])
    def test_a_misspelt_word_is_refused(self, tracker: Any, word: str) -> None:
        with pytest.raises(TypeError, match=r"'featur'.*feature"):
            getattr(tracker, word)(featur="chat")

    def test_a_session_does_not_change_with_the_dictionary_that_made_it(self, tracker: Any, recorder: Recorder) -> None:
        context = {"feature": "chat"}
        session = tracker.with_context(**context)
        context["feature"] = "other"
        session.with_tracking(feature="third")
        session.chat.completions.create(**CHAT)
        assert recorder.only["metadata"]["feature"] == "chat"

    def test_the_tier_that_served_wins_over_the_one_of_the_context(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        session = tracker.with_context(service_tier="flex")
        for tier in ("priority", "fast", None):
            provider.answer(json_reply(wire.chat_completion(service_tier=tier)))
            session.chat.completions.create(**CHAT)
        assert [event["usage"]["service_tier"] for event in recorder.events] == ["priority", "flex", "flex"]
        assert recorder.events[1]["metadata"]["providerServiceTier"] == "fast"


class TestWhatTheCallerSees:
    def test_the_same_classes_and_an_untouched_client(self, plain: OpenAI, tracker: Any, recorder: Recorder) -> None:
        before = dict(vars(plain))
        assert isinstance(tracker, OpenAI)
        assert isinstance(tracker.chat.completions, type(plain.chat.completions))
        tracker.chat.completions.create(**CHAT)
        recorder.events.clear()
        plain.chat.completions.create(**CHAT)
        assert recorder.events == []
        assert {name: vars(plain)[name] for name in before} == before

    def test_what_the_caller_does_to_an_answer_or_a_context_afterwards_changes_no_event(
        self, tracker: Any, recorder: Recorder
    ) -> None:
        context: dict[str, Any] = {"user": {"id": "u1"}, "metadata": {"tags": ["a"]}}
        answer = tracker.with_context(**context).chat.completions.create(**CHAT)
        context["user"]["id"] = "u2"
        context["metadata"]["tags"].append("b")
        # As a library does that adds up the usage of several tries.
        answer.usage.prompt_tokens += 1000
        answer.usage.prompt_tokens_details.cached_tokens = 0
        answer.model = "mine"
        event = recorder.only
        assert event["usage"]["provider_usage"] == wire.CHAT_USAGE
        assert event["usage"]["model"] == "gpt-4o-2024-08-06"
        assert (event["metadata"]["user"], event["metadata"]["tags"]) == ({"id": "u1"}, ["a"])

    def test_a_model_with_the_same_dump_equality_and_repr(self, plain: OpenAI, tracker: Any) -> None:
        theirs, ours = plain.chat.completions.create(**CHAT), tracker.chat.completions.create(**CHAT)
        assert (ours == theirs, ours.model_dump(), repr(ours)) == (True, theirs.model_dump(), repr(theirs))
        assert ours.to_json() == theirs.to_json()
        tracking = tracking_of(ours)
        assert tracking is not None
        assert ours.flux_gate_cost_tracking_response is tracking
        for copied in (ours.model_copy(), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            found = tracking_of(copied)
            assert found is not None
            assert found.tracking_id == tracking.tracking_id

    def test_the_same_chunks_though_usage_was_asked_for(
        self, plain: OpenAI, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        theirs = list(plain.chat.completions.create(**CHAT, stream=True))
        stream = tracker.chat.completions.create(**CHAT, stream=True)
        assert isinstance(stream, openai.Stream)
        ours = list(stream)
        assert ours == theirs
        assert [chunk.to_json() for chunk in ours] == [chunk.to_json() for chunk in theirs]
        assert provider.requests[-1].body["stream_options"] == {"include_usage": True}
        assert wire.tokens_of(recorder.only) == (100, 20)
        assert tracking_of(stream) is not None

    @pytest.mark.skipif(not hasattr(openai.resources.chat.Completions, "stream"), reason="an old package")
    def test_the_same_events_of_the_helper(self, plain: OpenAI, tracker: Any, recorder: Recorder) -> None:
        def seen(client: Any) -> tuple[list[Any], Any]:
            with client.chat.completions.stream(**CHAT) as stream:
                return [event.to_json() for event in stream], stream.get_final_completion()

        (theirs, their_answer), (ours, our_answer) = seen(plain), seen(tracker)
        assert ours == theirs
        assert (our_answer.usage, our_answer.to_json()) == (None, their_answer.to_json())
        assert tracking_of(our_answer) is not None
        assert wire.tokens_of(recorder.only) == (100, 20)

    @pytest.mark.parametrize("wanted", [True, False])
    def test_what_the_caller_said_of_usage_stands(
        self, wanted: bool, plain: OpenAI, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        options: Any = {"include_usage": wanted}
        theirs = list(plain.chat.completions.create(**CHAT, stream=True, stream_options=options))
        ours = list(tracker.chat.completions.create(**CHAT, stream=True, stream_options=options))
        assert [chunk.to_json() for chunk in ours] == [chunk.to_json() for chunk in theirs]
        assert provider.requests[-1].body["stream_options"] == options == {"include_usage": wanted}
        assert recorder.only["metadata"].get("usageSource") == (None if wanted else "missing")

    def test_other_stream_options_are_kept(self, tracker: Any, provider: Loopback) -> None:
        options = {"include_obfuscation": False}
        list(tracker.chat.completions.create(**CHAT, stream=True, stream_options=options))
        list(tracker.chat.completions.create(**CHAT, stream=True, extra_body={"stream_options": options}))
        wanted = {"include_obfuscation": False, "include_usage": True}
        assert [request.body["stream_options"] for request in provider.requests[-2:]] == [wanted, wanted]
        assert options == {"include_obfuscation": False}

    def test_an_error_is_the_providers_own(self, tracker: Any, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(wire.openai_error(400, "content_filter", "The prompt was filtered"))
        with pytest.raises(openai.BadRequestError) as raised:
            tracker.chat.completions.create(**CHAT)
        assert raised.value.code == "content_filter"
        event = recorder.only
        assert event["status"] == {"status": "BLOCKED", "error_message": str(raised.value)}
        assert event["metadata"]["errorCode"] == "content_filter"

    def test_a_broken_recorder_goes_unseen(self, plain: OpenAI) -> None:
        class Broken:
            debug = True

            def enqueue(self, event: Any) -> Any:
                raise RuntimeError("no")

        tracker: Any = create_openai_cost_tracker(plain, Broken(), inject_stream_usage=True)
        assert tracker.chat.completions.create(**CHAT).choices[0].message.content == "Hello"
        assert len(list(tracker.chat.completions.create(**CHAT, stream=True))) == 4

    def test_what_is_no_client_is_refused(self, recorder: Recorder) -> None:
        with pytest.raises(TypeError, match="must be a client of the package openai, got str"):
            create_openai_cost_tracker("client", recorder)  # type: ignore[call-overload]


class TestUsage:
    @pytest.mark.parametrize("break_at", ["stop", None])
    def test_who_stops_at_the_last_words_loses_no_usage(
        self, break_at: str | None, tracker: Any, recorder: Recorder
    ) -> None:
        with tracker.chat.completions.create(**CHAT, stream=True) as stream:
            for chunk in stream:
                if break_at and chunk.choices[0].finish_reason == break_at:
                    break
        event = recorder.only
        assert (wire.tokens_of(event), event["metadata"]["stopReason"]) == ((100, 20), "stop")

    def test_a_stream_broken_off_has_no_usage_and_says_so(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(sse_reply(wire.chat_chunks(usage=True)[:2], end="open"))
        stream = tracker.chat.completions.create(**CHAT, stream=True)
        next(stream)
        stream.close()
        event = recorder.only
        said = event["metadata"]
        assert (wire.status_of(event), said["stopReason"], said["usageSource"]) == ("SUCCESS", "aborted", "missing")
        assert event["usage"]["streaming_duration_in_ms"] <= event["usage"]["latency_in_ms"]

    def test_a_connection_that_breaks_is_an_error(self, tracker: Any, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(sse_reply(wire.chat_chunks(usage=True)[:2], end="reset"))
        with pytest.raises((openai.APIConnectionError, Exception), match=r"."):
            list(tracker.chat.completions.create(**CHAT, stream=True))
        assert wire.status_of(recorder.only) == "ERROR"

    @pytest.mark.parametrize(
        ("reply", "status", "reason"),
        [
            (wire.chat_completion(finish="length"), "MAX_TOKENS", "length"),
            (wire.chat_completion(finish="content_filter"), "CONTENT_FILTER", "content_filter"),
            (wire.chat_completion(finish="tool_calls"), "SUCCESS", "tool_calls"),
            (wire.chat_completion(finish="something_new"), "SUCCESS", "something_new"),
        ],
    )
    def test_the_finish_reason_is_the_status(
        self, reply: Any, status: str, reason: str, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply(reply))
        tracker.chat.completions.create(**CHAT)
        assert (wire.status_of(recorder.only), recorder.only["metadata"]["stopReason"]) == (status, reason)

    @pytest.mark.parametrize("last", ["completed", "incomplete", "failed"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_a_response_has_usage_however_it_ends(
        self, last: str, streamed: bool, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        more: Any = {
            "completed": {"tool_usage": {"web_search": {"num_requests": 2}}},
            "incomplete": {"incomplete_details": {"reason": "max_output_tokens"}},
            "failed": {"error": {"code": "bio_policy", "message": "No"}},
        }[last]
        provider.answer(wire.response_stream(last, **more) if streamed else json_reply(wire.response(last, **more)))
        answer = tracker.responses.create(**ASK, stream=streamed)
        if streamed:
            list(answer)
        statuses = {"completed": "SUCCESS", "incomplete": "MAX_TOKENS", "failed": "CONTENT_FILTER"}
        event = recorder.only
        assert (wire.status_of(event), wire.tokens_of(event)) == (statuses[last], (100, 20))
        assert event["metadata"].get("toolUsage") == more.get("tool_usage")

    @pytest.mark.skipif(not hasattr(openai.resources.chat.Completions, "parse"), reason="an old package")
    def test_a_parser_that_refuses_a_billed_answer(self, tracker: Any, provider: Loopback, recorder: Recorder) -> None:
        class Answer(BaseModel):
            text: str

        provider.answer(json_reply(wire.chat_completion('{"te', finish="length")))
        with pytest.raises(openai.LengthFinishReasonError):
            tracker.chat.completions.parse(**CHAT, response_format=Answer)
        assert (wire.status_of(recorder.only), wire.tokens_of(recorder.only)) == ("MAX_TOKENS", (100, 20))

    def test_retries_are_one_call(self, provider: Loopback, tracker: Any, recorder: Recorder) -> None:
        at_once = {"retry-after-ms": "1"}
        error = {"error": {"message": "x", "type": "y", "param": None, "code": None}}
        provider.answer(*(json_reply(error, 500, at_once) for _ in range(2)))
        tracker.with_options(max_retries=2).chat.completions.create(**CHAT)
        assert wire.status_of(recorder.only) == "SUCCESS"

    def test_a_response_made_in_the_background_is_recorded_when_it_is_done(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        queued = wire.response("queued", background=True, usage=None)
        done = wire.response("completed", background=True)
        provider.answer(*map(json_reply, (queued, queued, done, done)))
        tracker.responses.create(**ASK, extra_body={"background": True})
        tracker.responses.retrieve("resp_1")
        assert recorder.events == []
        answer = tracker.responses.retrieve("resp_1")
        tracker.responses.with_raw_response.retrieve("resp_1")
        assert {event["idempotency_key"] for event in recorder.events} == {"openai:response:resp_1"}
        assert wire.tokens_of(recorder.events[0]) == (100, 20)
        assert "latency_in_ms" not in recorder.events[0]["usage"]
        assert tracking_of(answer) is not None

    def test_a_stored_response_that_is_read_again_is_not_billed_again(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply(wire.response()), wire.openai_error(404))
        tracker.responses.retrieve("resp_1")
        with pytest.raises(openai.NotFoundError):
            tracker.responses.retrieve("resp_2")
        assert recorder.events == []

    def test_a_batch_is_recorded_once_it_has_ended(self, tracker: Any, provider: Loopback, recorder: Recorder) -> None:
        batch = {"id": "batch_1", "object": "batch", "endpoint": "/v1/responses", "model": "gpt-5", "created_at": 1}
        batch |= {
            "completion_window": "24h",
            "input_file_id": "f",
            "request_counts": {"total": 2, "completed": 2, "failed": 0},
        }
        usage = wire.RESPONSE_USAGE
        provider.answer(
            json_reply(batch | {"status": "in_progress"}), json_reply(batch | {"status": "completed", "usage": usage})
        )
        tracker.batches.retrieve("batch_1")
        tracker.batches.retrieve("batch_1")
        event = recorder.only
        assert (event["idempotency_key"], event["usage"]["service_tier"]) == ("openai:batch:batch_1", "batch")
        assert (event["usage"]["model"], wire.tokens_of(event)) == ("gpt-5", (100, 20))

    @pytest.mark.parametrize("call", [lambda c: c.models.list(), lambda c: c.moderations.create(input="Hi")])
    def test_what_is_free_is_not_recorded(
        self, call: Callable[[Any], Any], tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply({"object": "list", "data": [], "id": "m", "model": "m", "results": []}))
        call(tracker)
        assert recorder.events == []

    def test_sound_by_its_seconds_and_speech_by_its_characters(
        self, tracker: Any, provider: Loopback, recorder: Recorder
    ) -> None:
        provider.answer(json_reply({"text": "Hi", "usage": {"type": "duration", "seconds": 3.5}}), Reply(b"mp3"))
        tracker.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))
        tracker.audio.speech.create(model="tts-1", voice="alloy", input="Hello")
        said = [event["metadata"] for event in recorder.events]
        assert (said[0]["audioSeconds"], said[1]["inputCharacters"]) == (3.5, 5)
