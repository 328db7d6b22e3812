"""Reading usage out of Anthropic's messages, whole, streamed, or as lines of a batch's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from fluxgate_sdk import calls
from fluxgate_sdk.calls import Call, Notes, Reading
from fluxgate_sdk.providers._answers import AnswerReader, count, get, is_well_formed, noted, plain, sent_fields, text
from fluxgate_sdk.statuses import anthropic_status
from fluxgate_sdk.streams import Verdict
from fluxgate_sdk.tracking import attach

# Whose usage objects the server can read by itself; others are sent as counters.
READ_BY_THE_SERVER: Final = frozenset({"anthropic", "aws", "azure", "google"})


class MessageReader(AnswerReader):
    """Reads one message. Until `message_delta` has come, what is said of the output are placeholders."""

    def __init__(self, provider: str, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("model"))
        self._provider = provider
        self._usage: dict[str, Any] = {}

    def is_quiet(self, item: Any) -> bool:
        """A part of the content."""
        try:
            return self._has_begun and item.type == "content_block_delta"
        except Exception:
            return False

    def take(self, item: Any) -> Verdict:
        kind = get(item, "type")
        if kind == "message_start":
            message = get(item, "message")
            self._identify(message)
            self._usage = dict(plain(get(message, "usage")) or {})
            self._read_usage(is_partial=True)
        elif kind == "message_delta":
            # Its counters are running totals: they replace what was said before, and add nothing to it.
            said = plain(get(item, "usage")) or {}
            self._usage.update({name: value for name, value in said.items() if value is not None})
            self._read_usage(is_partial=False)
            self._stopped(get(item, "delta"))
        elif kind == "message_stop":
            self.complete = True
        return Verdict.PASS

    def whole(self, answer: Any) -> None:
        self._identify(answer)
        self._usage = plain(get(answer, "usage")) or {}
        self._read_usage(is_partial=False)
        self._stopped(answer)

    def note(self, answer: Any) -> Reading | Notes:
        usage = noted(get(answer, "usage"))
        if usage is None:
            return super().note(answer)
        self._identify(answer)
        self._stopped(answer)
        return self._understood, usage

    def _understood(self, usage: Any) -> Reading:
        self._usage = sent_fields(usage) or {}
        self._read_usage(is_partial=False)
        return self.reading

    def _identify(self, message: Any) -> None:
        self.reading.model = text(get(message, "model")) or self.reading.model
        self.reading.response_id = text(get(message, "id"))
        self._has_begun = self.reading.response_id is not None

    def _stopped(self, part: Any) -> None:
        reason = text(get(part, "stop_reason"))
        if reason is not None:
            self.reading.stop_reason = reason
            self.reading.status = anthropic_status(reason)
        category = text(get(get(part, "stop_details"), "category"))
        if category is not None:
            self.reading.metadata["stopCategory"] = category

    def _read_usage(self, *, is_partial: bool) -> None:
        usage, reading = self._usage, self.reading
        fresh, output = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
        if fresh is None:
            return
        cached, written = (count(usage.get(f"cache_{kind}_input_tokens")) or 0 for kind in ("read", "creation"))
        reading.input_tokens = fresh + cached + written
        reading.cached_tokens, reading.cache_write_tokens = cached, written
        reading.cache_write_1h_tokens = count(get(usage.get("cache_creation"), "ephemeral_1h_input_tokens"))
        reading.service_tier = text(usage.get("service_tier"))
        reading.usage_is_partial = is_partial
        if is_partial or output is None:
            return
        reading.output_tokens = output
        reading.reasoning_tokens = count(get(usage.get("output_tokens_details"), "thinking_tokens"))
        if self._provider in READ_BY_THE_SERVER and is_well_formed(usage):
            # A compaction among the iterations, searches, speed and region have prices of their own.
            # A copy: more may be said after the caller has left, when the event is on its way.
            reading.provider_usage, reading.api_flavor = dict(usage), "messages"


class FetchReader(AnswerReader):
    """Of a request that only fetches: it costs nothing by itself."""

    is_billable = False


class BatchResults:
    """Records the lines of a batch's results as they are read, each once however often they are read."""

    def __init__(self, make_call: Callable[[str], Call], provider: str, batch_id: str) -> None:
        self.pulling = False
        self.closing = False
        self._make_call = make_call
        self._provider = provider
        self._batch_id = batch_id

    def is_quiet(self, item: Any) -> bool:
        """Every line is a result."""
        return False

    def arrived(self, item: Any) -> Verdict:
        """One line: the result of one request. Never raises."""
        try:
            self._record(item, get(item, "result"))
        except Exception:
            calls.log.debug("[fluxgate] a batch's result could not be read", exc_info=True)
        return Verdict.PASS

    def end(self) -> None:
        """All lines have been read."""

    def fail(self, error: BaseException) -> None:
        """Reading the lines failed, which costs nothing."""

    def _record(self, item: Any, result: Any) -> None:
        reading = self._reading(result)
        if reading is None:
            return
        custom_id = text(get(item, "custom_id")) or ""
        reading.metadata.update(batchId=self._batch_id, batchCustomId=custom_id)
        call = self._make_call(f"anthropic:batch:{self._batch_id}:{custom_id}"[:255])
        call.finish(reading)
        attach(item, call.tracking)
        attach(get(result, "message"), call.tracking)

    def _reading(self, result: Any) -> Reading | None:
        """What a result says; None where the request never ran (canceled, expired)."""
        kind = get(result, "type")
        if kind == "errored":
            error = get(get(result, "error"), "error")
            metadata = {"errorCode": text(get(error, "type"))}
            return Reading(status="ERROR", error_message=text(get(error, "message")), metadata=metadata)
        if kind != "succeeded":
            return None
        reader = MessageReader(self._provider, {})
        reader.whole(get(result, "message"))
        reader.reading.service_tier = "batch"
        return reader.reading
