"""`POST /api/v1/price`: what calls cost, without recording them. Bytes in, questions out; questions in, JSON out. Pure.

The shapes and words are those of `POST /api/events`; the prices are those of the key's organization.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from events import field_errors, wire
from events.price_sources import Sources
from events.schema import MAX_LABEL_CHARACTERS, InvalidEvent, explained, split_list, time_ms
from events.usage import COUNTERS, UsageReader, read_counters, read_region, read_served_tier, read_tier
from events.wire import FieldError
from pricing.costs import Cost, Line, Usage, normalise, usd, usd_per_mtok
from pricing.resolution import Catalog, Resolution

MAX_ITEMS: Final = 1_000
ITEMS_AT_ONCE: Final = 50
"""After so many, whoever answers lets events go first: the longest list takes a fifth of a second."""

# The years 1 and 9999 without the days on whose edges a zone leads out of the calendar; no price list reaches there.
EARLIEST_MS: Final = -62_135_596_800_000 + 2 * 24 * 3600 * 1000
LATEST_MS: Final = 253_402_300_799_000 - 2 * 24 * 3600 * 1000

_decode_item = msgspec.json.Decoder(wire.PriceItem).decode


class Question(NamedTuple):
    """One call to be priced. `usage` is normalised, by `flags`; None when no counters were sent."""

    provider: str
    model: str
    at_ms: int
    tier: str
    region: str
    usage: Usage | None
    flags: tuple[str, ...] = ()


class Answer(NamedTuple):
    """A question, what prices it and what it costs; `cost` is None when there were no counters."""

    question: Question
    found: Resolution
    cost: Cost | None


def split_items(body: bytes) -> list[bytes]:
    """The calls of a body `{"items": […]}`, each as bytes of its own.

    Raises MalformedBody for what is not JSON, InvalidEvent for another shape, TooManyEvents beyond MAX_ITEMS.
    """
    items = split_list(body, "items", MAX_ITEMS)
    if not items:
        raise InvalidEvent([FieldError("items", f"must hold 1 to {MAX_ITEMS} calls")])
    return items


def parse_items(
    items: Sequence[bytes], first: int, now_ms: int, read_usage: UsageReader, errors: list[FieldError]
) -> list[Question]:
    """The calls of a part of the list that begins at the index `first`, in order, without those that are wrong.

    Every wrong field is added to `errors`. `now_ms` is the time of calls that name none. Raises MalformedBody.
    """
    questions: list[Question] = []
    for number, item in enumerate(items, first):
        try:
            questions.append(_parse_item(item, now_ms, read_usage))
        except InvalidEvent as invalid:
            errors += [_placed(error, f"items[{number}]") for error in invalid.errors]
    return questions


def _placed(error: FieldError, item: str) -> FieldError:
    return FieldError(f"{item}.{error.field}" if error.field else item, error.message)


def _parse_item(body: bytes, now_ms: int, read_usage: UsageReader) -> Question:
    read = partial(_read_item, now_ms=now_ms, read_usage=read_usage)
    try:
        return read(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise explained(body, error, field_errors.price_item_errors, read, what="") from None


def _read_item(body: bytes, now_ms: int, read_usage: UsageReader) -> Question:
    item = _decode_item(body)
    errors: list[FieldError] = []
    provider = _named_once(item.provider, item.usage.provider, "provider", errors)
    model = _named_once(item.model, item.usage.model, "model", errors)
    sent_tier = item.usage.service_tier
    question = Question(
        provider=provider,
        model=model,
        at_ms=_at_ms(item.timestamp, now_ms, errors),
        tier=read_served_tier(item.usage) if sent_tier is None else read_tier(sent_tier, "usage.serviceTier", errors),
        region=(item.region or "")[:MAX_LABEL_CHARACTERS].strip().lower() or read_region(item.usage, provider),
        usage=None,
    )
    if _has_counters(item.usage):
        usage, flags = normalise(Usage(**read_counters(item.usage, provider, read_usage, errors)))
        question = question._replace(usage=usage, flags=flags)
    if errors:
        raise InvalidEvent(errors)
    return question


def _named_once(of_item: str | None, of_usage: str | None, word: str, errors: list[FieldError]) -> str:
    """The name from the item, or from its usage, where the event API has it; the two must not contradict each other."""
    if of_item and of_usage and of_item.strip() != of_usage.strip():
        errors.append(FieldError(f"usage.{word}", f"is not the {word} of the item; send one of them"))
    # Cut as an event's are: the catalog remembers the names that it was asked for.
    return (of_item or of_usage or "")[:MAX_LABEL_CHARACTERS]


def _at_ms(text: str | None, now_ms: int, errors: list[FieldError]) -> int:
    if text is None:
        return now_ms
    try:
        return min(max(time_ms(text), EARLIEST_MS), LATEST_MS)
    except ValueError as error:
        errors.append(FieldError("timestamp", str(error)))
        return now_ms


def _has_counters(usage: wire.Usage) -> bool:
    return usage.provider_usage is not None or any(getattr(usage, name) not in (UNSET, None) for name in COUNTERS)


def answer(question: Question, catalog: Catalog, organization_id: int) -> Answer:
    """What the call costs by this catalog, with the organization's own prices before everybody's."""
    provider, model, at_ms, tier, region, usage, _ = question
    found = catalog.resolve(provider, model, at_ms, tier, region, organization_id)
    if usage is None:
        return Answer(question, found, None)
    return Answer(question, found, catalog.price(provider, model, at_ms, usage, tier, region, organization_id))


def rows_used(answers: Iterable[Answer]) -> tuple[set[int], set[int]]:
    """The ids of the rate cards and of the tier policies whose sources the answers quote."""
    costs = [answer.cost for answer in answers if answer.cost]
    cards = {cost.card_id for cost in costs if cost.card_id is not None}
    return cards, {cost.tier_policy_id for cost in costs if cost.tier_policy_id is not None}


def answer_body(answers: Iterable[Answer], sources: Sources, revision: int) -> dict[str, Any]:
    """The JSON answer: amounts are strings, in USD with 12 decimals and in USD per million tokens with six."""
    return {"items": [_item(answer, sources, revision) for answer in answers]}


def _item(answer: Answer, sources: Sources, revision: int) -> dict[str, Any]:
    question, found, cost = answer
    picousd = cost.picousd if cost else None
    return {
        "cost": None if picousd is None else f"{usd(picousd):f}",
        "status": cost.status if cost else "no_usage",
        "lines": [_line(line, sources.cards.get(cost.card_id or 0)) for line in cost.lines] if cost else [],
        "revision": revision,
        "model": f"{found.model_provider}/{found.model}" if found.model else None,
        "match_kind": found.match_kind,
        "tier": question.tier,
        "region": question.region,
        "rate_from": found.rate_from,
        "policy_source": sources.policies.get(cost.tier_policy_id or 0) if cost else None,
        "flags": question.flags,
        "missing": _missing(answer),
    }


def _line(line: Line, source: str | None) -> dict[str, Any]:
    return {
        "meter": line.meter,
        "tokens": line.tokens,
        "usd_per_mtok": f"{usd_per_mtok(line.rate_picousd):f}",
        "cost": f"{usd(line.cost_picousd):f}",
        "source": source,
        "rate_from": line.rate_from,
    }


def _missing(answer: Answer) -> str | None:
    """What is missing for a cost, or for a whole one, as a sentence; None when nothing is."""
    question, found, cost = answer
    if cost is None:
        return "no counters: send inputTokens and outputTokens, or providerUsage"
    if cost.status == "priced":
        return None
    if cost.status == "partial":
        return _missing_of_partial(found)
    if cost.missing_meters:
        return f"{found.model_provider}/{found.model} has no rate for {', '.join(cost.missing_meters)} at that time"
    return _missing_price(question, found)


def _missing_of_partial(found: Resolution) -> str:
    if found.card is not None and found.card.has_other_charges:
        return "the provider also charges for other things than tokens; the cost is that of the tokens"
    return "the price list has no rate for one-hour cache writes; the cost counts them as five-minute ones"


def _missing_price(question: Question, found: Resolution) -> str:
    if found.status == "unpriced_provider":
        if question.provider.strip():
            return f"no provider is known as {question.provider[:100]!r}"
        return "no provider was named, and the model does not tell which one it was"
    name = f"{found.model_provider}/{found.model}"
    if found.status == "unpriced_tier":
        return f"{name} has no price for the tier {question.tier} at that time"
    if found.model:
        return f"{name} has no price at that time"
    if not question.model.strip():
        return "no model was named"
    return f"{found.provider} has no model {question.model[:100]!r} at that time"
