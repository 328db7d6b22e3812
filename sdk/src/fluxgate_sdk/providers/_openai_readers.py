"""Reading usage out of OpenAI's answers, interface by interface. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fluxgate_sdk.bodies import Editor
from fluxgate_sdk.calls import Notes, Reading
from fluxgate_sdk.providers._answers import (
    AnswerReader,
    count,
    fields_of,
    get,
    is_well_formed,
    noted,
    plain,
    sent_fields,
    text,
)
from fluxgate_sdk.providers._openai_bytes import UsageEraser
from fluxgate_sdk.statuses import openai_response_status, openai_status
from fluxgate_sdk.streams import Verdict

# Whose usage objects the server can read by itself, by interface; others are sent as counters.
READ_BY_THE_SERVER: Final = {
    "chat": frozenset({"openai", "azure", "deepseek", "mistral", "x-ai", "groq", "openrouter", "fireworks", "google"}),
    "responses": frozenset({"openai", "azure", "x-ai"}),
    "embeddings": frozenset({"openai", "azure"}),
}
_ENDED_BATCHES: Final = frozenset({"completed", "expired", "cancelled"})
_UNFINISHED: Final = frozenset({"queued", "in_progress"})
_LAST_EVENTS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_TELLING_EVENTS: Final = _LAST_EVENTS | {"response.created", "error"}


class OpenAIReader(AnswerReader):
    """Reads one answer of a provider that speaks OpenAI's interface; `body` is what was asked."""

    def __init__(self, provider: str, body: Mapping[str, Any]) -> None:
        self.model = text(body.get("model"))
        self.provider = provider

    def _read(self, answer: Any, flavor: str) -> None:
        """What all answers have: the model that answered, the tier that served it, and the usage."""
        said = fields_of(answer)
        self._identify(said.get("model"), said.get("id"), said.get("service_tier"))
        self._read_usage(said.get("usage"), flavor)

    def _identify(self, model: Any, response_id: Any, service_tier: Any) -> None:
        reading = self.reading
        reading.model = text(model) or reading.model
        reading.response_id = text(response_id) or reading.response_id
        reading.service_tier = text(service_tier) or reading.service_tier
        self._has_begun = reading.response_id is not None

    def _read_usage(self, usage: Any, flavor: str) -> None:
        if usage is not None:
            read_usage(self.reading, usage, flavor, self.provider)


def read_usage(reading: Reading, usage: Any, flavor: str, provider: str) -> None:
    """Fill in the usage object where the server reads it for this provider and interface, else all the counters."""
    sent = sent_fields(usage)
    said = fields_of(usage) if sent is None else sent
    reading.input_tokens = _first_count(said, "prompt_tokens", "input_tokens")
    reading.output_tokens = _first_count(said, "completion_tokens", "output_tokens")
    if reading.input_tokens is None:
        return
    if sent is not None and provider in READ_BY_THE_SERVER.get(flavor, ()) and is_well_formed(sent):
        reading.provider_usage, reading.api_flavor = sent, flavor
        return
    prompt = _details(said, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    answer = _details(said, "completion_tokens_details", "output_tokens_details", "output_token_details")
    reading.cached_tokens = count(get(prompt, "cached_tokens"))
    reading.cache_write_tokens = count(get(prompt, "cache_write_tokens"))
    reading.reasoning_tokens = count(get(answer, "reasoning_tokens"))


def _details(usage: Mapping[str, Any], *names: str) -> Any:
    return next((found for name in names if (found := usage.get(name)) is not None), None)


def _first_count(usage: Mapping[str, Any], name: str, other_name: str) -> int | None:
    found = count(usage.get(name))
    return count(usage.get(other_name)) if found is None else found


class ChatReader(OpenAIReader):
    """Chat completions, and the older text completions.

    `was_injected` says that the caller did not ask for the usage of the stream and must not see it; `expects_usage`,
    that a chunk with it will follow the last words.
    """

    _reasons: tuple[str, ...] = ()

    def __init__(
        self, provider: str, body: Mapping[str, Any], was_injected: bool = False, expects_usage: bool = False
    ) -> None:
        self.model = text(body.get("model"))
        self.provider = provider
        self._was_injected = was_injected
        self._expects_usage = expects_usage

    def is_quiet(self, item: Any) -> bool:
        """A chunk of words after the first one."""
        try:
            if item.usage is not None:
                return False
            (choice,) = item.choices
            if choice.finish_reason is not None:
                return False
            if self._was_injected:
                item.__pydantic_fields_set__.discard("usage")
        except Exception:  # Something else than a chunk of one choice.
            return False
        return self._has_begun

    def take(self, item: Any) -> Verdict:
        choices, usage = get(item, "choices"), get(item, "usage")
        if self.reading.response_id is None or usage is not None:
            self._read(item, "chat")
        if usage is not None and not choices:
            self.complete = True
            return Verdict.SWALLOW if self._was_injected else Verdict.PASS
        if self._was_injected and usage is None:
            _forget_field(item, "usage")
        is_last = bool(choices) and self._is_last(choices)
        return Verdict.HOLD if is_last and self._expects_usage else Verdict.PASS

    def editor(self, headers: Mapping[str, str]) -> Editor | None:
        """None for bytes that are packed, though asked not to be: the HTTP library unpacks them only after us."""
        if not self._was_injected or headers.get("content-encoding") or not _are_events(headers):
            return None
        return UsageEraser(self.take)

    def whole(self, answer: Any) -> None:
        self._read(answer, "chat")
        self._is_last(get(answer, "choices"))

    def note(self, answer: Any) -> Reading | Notes:
        try:
            # Asking a model for its fields one by one takes longer.
            said = answer.__dict__
            usage = noted(said["usage"])
            if usage is not None:
                reasons = [choice.finish_reason for choice in said["choices"]]
                return self._understood, (said["model"], said["id"], said.get("service_tier"), usage, reasons)
        except (AttributeError, KeyError, TypeError):  # Another kind of answer, or one with something left out.
            pass
        return super().note(answer)

    def _understood(self, notes: tuple[Any, ...]) -> Reading:
        *identity, usage, reasons = notes
        self._identify(*identity)
        self._read_usage(usage, "chat")
        self._end(reasons)
        return self.reading

    def _is_last(self, choices: Any) -> bool:
        """Whether one of the choices ends here."""
        return self._end([get(choice, "finish_reason") for choice in choices or ()])

    def _end(self, reasons: list[Any]) -> bool:
        given = tuple(reason for reason in reasons if isinstance(reason, str))
        self._reasons += given
        if given:
            self.reading.stop_reason = self._reasons[0]
            self.reading.status = openai_status(self._reasons)
        return bool(given)


def _are_events(headers: Mapping[str, str]) -> bool:
    return "event-stream" in headers.get("content-type", "")


def _forget_field(model: Any, name: str) -> None:
    """Have a model dump as if the provider had not sent this field."""
    names = getattr(model, "__pydantic_fields_set__", None) or getattr(model, "__fields_set__", None)
    if isinstance(names, set):
        names.discard(name)


class ResponseReader(OpenAIReader):
    """The Responses interface. An answer made in the background is recorded when it is first seen complete.

    `was_fetched` says that the answer was asked for earlier: then only one made in the background is still unrecorded.
    """

    def __init__(self, provider: str, body: Mapping[str, Any], *, was_fetched: bool = False) -> None:
        super().__init__(provider, body)
        self._was_fetched = was_fetched
        self._is_background = body.get("background") is True

    def is_quiet(self, item: Any) -> bool:
        """An event between the first and the last one."""
        try:
            return self._has_begun and item.type not in _TELLING_EVENTS
        except Exception:
            return False

    def take(self, item: Any) -> Verdict:
        kind = get(item, "type")
        if kind in _LAST_EVENTS:
            self.whole(get(item, "response"))
            self.complete = True
        elif kind == "response.created":
            self.whole(get(item, "response"))
        elif kind == "error":
            self.reading.status = "ERROR"
            self.reading.error_message = text(get(item, "message"))
            self.reading.stop_reason = text(get(item, "code")) or "error"
            self.complete = True
        return Verdict.PASS

    def note(self, answer: Any) -> Reading | Notes:
        """What is billed, and under which key, is known at once; the usage is what takes its time."""
        usage = noted(get(answer, "usage"))
        if usage is None:
            return super().note(answer)
        self._identify(get(answer, "model"), get(answer, "id"), get(answer, "service_tier"))
        self._read_end(answer)
        return self._understood, usage

    def _understood(self, usage: Any) -> Reading:
        self._read_usage(usage, "responses")
        return self.reading

    def whole(self, answer: Any) -> None:
        self._read(answer, "responses")
        self._read_end(answer)

    def _read_end(self, answer: Any) -> None:
        status = text(get(answer, "status"))
        self._is_background = self._is_background or get(answer, "background") is True
        is_unfinished = status in _UNFINISHED
        self.is_billable = self._is_background if self._was_fetched else True
        if is_unfinished:
            self.is_billable = self.is_billable and not self._is_background
            return
        incomplete, error = get(answer, "incomplete_details"), get(answer, "error")
        reason, code = text(get(incomplete, "reason")), text(get(error, "code"))
        reading = self.reading
        reading.status = openai_response_status(status, reason, code)
        reading.error_message = text(get(error, "message"))
        reading.stop_reason = reason or code or status
        # Web searches and the images of the image tool are billed apart from the tokens.
        tools = plain(get(answer, "tool_usage"))
        if tools:
            reading.metadata["toolUsage"] = tools

    def key(self) -> str | None:
        response_id = self.reading.response_id
        return f"openai:response:{response_id}"[:255] if self._is_background and response_id else None


class PlainReader(OpenAIReader):
    """Answers that have a usage object and nothing else to know: decisions, embeddings."""

    def __init__(self, provider: str, body: Mapping[str, Any], flavor: str = "responses") -> None:
        super().__init__(provider, body)
        self._flavor = flavor

    def whole(self, answer: Any) -> None:
        self._read(answer, self._flavor)


class EmbeddingReader(PlainReader):
    """Embeddings, which have no output."""

    def __init__(self, provider: str, body: Mapping[str, Any]) -> None:
        super().__init__(provider, body, "embeddings")


class ImageReader(OpenAIReader):
    """Images: by tokens where the model counts them, else by their number, size and quality."""

    def __init__(self, provider: str, body: Mapping[str, Any]) -> None:
        super().__init__(provider, body)
        for name in ("size", "quality"):
            if text(body.get(name)):
                self.reading.metadata[f"image{name.capitalize()}"] = body[name]

    def take(self, item: Any) -> Verdict:
        kind = get(item, "type")
        if isinstance(kind, str) and kind.endswith(".completed"):
            self._read(item, "responses")
            self.complete = True
        return Verdict.PASS

    def whole(self, answer: Any) -> None:
        self._read(answer, "responses")
        images = get(answer, "data")
        if isinstance(images, list):
            self.reading.metadata["imageCount"] = len(images)
        drawing = plain(get(answer, "svg_usage"))
        if drawing:
            self.reading.metadata["svgUsage"] = drawing


class TranscriptionReader(OpenAIReader):
    """Transcriptions and translations: by tokens, or by the seconds of sound."""

    def take(self, item: Any) -> Verdict:
        if get(item, "type") == "transcript.text.done":
            self.whole(item)
            self.complete = True
        return Verdict.PASS

    def whole(self, answer: Any) -> None:
        self._read(answer, "responses")
        seconds = get(get(answer, "usage"), "seconds")
        seconds = get(answer, "duration") if seconds is None else seconds
        if isinstance(seconds, (int, float, str)) and seconds:
            self.reading.metadata["audioSeconds"] = seconds


class SpeechReader(OpenAIReader):
    """Speech: by the characters that are spoken. The answer is sound and says nothing."""

    wants_body = False

    def __init__(self, provider: str, body: Mapping[str, Any]) -> None:
        super().__init__(provider, body)
        self.reading.metadata["inputCharacters"] = len(text(body.get("input")) or "")


class VideoReader(OpenAIReader):
    """Videos: by their seconds and size. They are made in the background, and billed as they were ordered."""

    def whole(self, answer: Any) -> None:
        self._read(answer, "responses")
        for ours, theirs in (("videoSeconds", "seconds"), ("videoSize", "size")):
            value = get(answer, theirs)
            if value is not None:
                self.reading.metadata[ours] = value


class BatchReader(OpenAIReader):
    """A batch, recorded as one event when it is first seen ended with its usage."""

    is_billable = False

    def whole(self, answer: Any) -> None:
        if get(answer, "status") not in _ENDED_BATCHES or get(answer, "usage") is None:
            return
        self._read(answer, "responses")
        self.reading.service_tier = "batch"
        self.reading.metadata["batchEndpoint"] = text(get(answer, "endpoint"))
        self.reading.metadata["batchRequests"] = plain(get(answer, "request_counts"))
        self.is_billable = bool(self.reading.input_tokens or self.reading.output_tokens)

    def key(self) -> str | None:
        return f"openai:batch:{self.reading.response_id}"[:255]
