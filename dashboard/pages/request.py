"""One request: its facts, its receipt, what the server had to mend, and the JSON as it was sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from dashboard import formats
from dashboard.filters import Filters
from dashboard.formats import count, duration, moment, money, money_exact
from dashboard.pages.links import model_name, named, price_href, requests_href, session_href
from dashboard.pages.parts import Frame
from dashboard.pages.request_rows import STATUS_WORDS, tone_of
from dashboard.queries import events
from dashboard.queries.events import EventDetail, FormerCost
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit
from events.models import Environment, Flag
from events.models.event import public_id
from pricing.costs import Meter
from pricing.receipts import Receipt

METERS: dict[Meter, str] = {
    "input": "Input tokens",
    "cache_read": "Cached input",
    "cache_write_5m": "Cache write",
    "cache_write_1h": "Cache write, 1 hour",
    "output": "Output tokens",
    "reasoning": "Reasoning tokens",
}
FLAGS = {
    Flag.TIMESTAMP_OUT_OF_RANGE: "Its timestamp was too old or in the future, so the server's time was used.",
    Flag.INPUT_TOKENS_EXCLUSIVE: "Cached tokens were sent beside the input tokens, so the input is their sum.",
    Flag.REASONING_TOKENS_EXCLUSIVE: "Reasoning tokens were sent beside the output tokens, so the output is their sum.",
    Flag.CACHE_WRITE_1H_TOKENS_EXCLUSIVE: "One-hour cache writes were sent beside the others, so the writes are a sum.",
    Flag.TEXT_CUT: "A text was longer than its limit and was cut.",
    Flag.TEXT_CLEANED: "A text held a character that cannot be stored; it was replaced.",
}
UNPRICED = {
    "unpriced_provider": "no prices are known for this provider",
    "unpriced_model": "no price was known for this model when the call happened",
    "unpriced_tier": "no price is known for this service tier of the model",
    "no_usage": "the call reported no tokens",
}


@dataclass(frozen=True)
class Fact:
    """One fact; `href` leads to all requests that share it."""

    label: str
    value: str
    href: str = ""
    copy: str = ""


@dataclass(frozen=True)
class ReceiptLine:
    """One line of the receipt, exact, so that the column adds up in front of the reader."""

    item: str
    tokens: str
    rate: str
    cost: str


@dataclass(frozen=True)
class Request:
    """All that `request.html` prints."""

    frame: Frame
    id: str
    tone: str
    status: str
    error_message: str
    facts: Sequence[Fact]
    lines: Sequence[ReceiptLine]
    total: str
    priced_as: str
    """The catalog's model whose rates they are: "openai/gpt-4o"."""
    priced_as_href: str
    source: str
    source_href: str
    unpriced_text: str
    """Why there is no cost; '' when there is one."""
    prices_href: str
    """Where models without a price are listed; '' where there is a cost."""
    former_costs: Sequence[str]
    """What it cost before, a sentence each, the latest first."""
    flags: Sequence[str]
    metadata: str
    provider_usage: str
    list_href: str


def build(visit: Visit, event_id: UUID) -> Request | None:
    """The request, or None when the organization has none with this id."""
    with snapshot():
        found = events.detail(visit.organization_id, event_id)
        if found is None:
            return None
        receipt = events.receipt_of(found)
        former = events.cost_history(visit.organization_id, event_id)
    filters = Filters.from_query({"environment": Environment(found.environment).label}, visit.now, visit.zone)
    return Request(
        frame=visit.frame("Request", "requests", filters.environment),
        id=public_id(found.id),
        tone=tone_of(found.status),
        status=STATUS_WORDS[found.status],
        error_message=found.error_message,
        facts=_facts(found, filters, visit),
        lines=_lines(receipt),
        total=money_exact(found.cost_picousd),
        priced_as=model_name(receipt.provider, receipt.model) if receipt else "",
        priced_as_href=price_href(receipt.provider, receipt.model) if receipt else "",
        source=_source(receipt, visit) if receipt else "",
        source_href=receipt.source_url if receipt and receipt.source_url.startswith("https://") else "",
        unpriced_text=_unpriced(found),
        prices_href=reverse("dashboard:prices") if found.cost_picousd is None else "",
        former_costs=tuple(_former(cost, visit) for cost in former),
        flags=tuple(FLAGS[flag] for flag in found.flags),
        metadata=found.metadata,
        provider_usage=found.provider_usage,
        list_href=requests_href(filters),
    )


def _facts(found: EventDetail, filters: Filters, visit: Visit) -> tuple[Fact, ...]:
    at, received, environment = found.occurred_at, found.received_at, filters.environment
    facts = [
        Fact("Time", f"{moment(at, visit.zone)} ({formats.ago(at, visit.now)})"),
        Fact("Model", found.model or named(""), requests_href(filters, model=found.model)),
        Fact("Provider", named(found.provider), requests_href(filters, provider=found.provider)),
        Fact("Feature", named(found.feature), requests_href(filters, feature=found.feature)),
        Fact("Step", found.step, requests_href(filters, step=found.step)),
        Fact("User", _user(found), requests_href(filters, user=found.user)),
        Fact("Session", found.session_id, session_href("session", found.session_id, environment)),
        Fact("Conversation", found.conversation_id, session_href("conversation", found.conversation_id, environment)),
        Fact("Tokens in", _tokens_in(found)),
        Fact("Tokens out", _tokens_out(found)),
        Fact("Latency", duration(found.latency_ms)),
        Fact("Streaming", _streaming(found)),
        Fact("Service tier", found.service_tier.label, requests_href(filters, tier=found.service_tier.label)),
        Fact("Region", "" if found.region == "global" else found.region),
        Fact("Received", moment(received, visit.zone)),
        Fact("API key", found.api_key),
        Fact("API flavor", found.api_flavor),
    ]
    return tuple(fact for fact in facts if fact.value)


def _user(found: EventDetail) -> str:
    if found.user_name and found.user_name != found.user:
        return f"{found.user_name} ({found.user})"
    return named(found.user)


def _tokens_in(found: EventDetail) -> str:
    parts = []
    if found.cached_tokens:
        parts.append(f"{count(found.cached_tokens)} cached")
    if found.cache_write_tokens:
        parts.append(f"{count(found.cache_write_tokens)} written to the cache")
    return count(found.input_tokens) + (f" ({', '.join(parts)})" if parts else "")


def _tokens_out(found: EventDetail) -> str:
    reasoning = f" ({count(found.reasoning_tokens)} reasoning)" if found.reasoning_tokens else ""
    return count(found.output_tokens) + reasoning


def _streaming(found: EventDetail) -> str:
    if found.streaming_duration_ms is not None:
        return duration(found.streaming_duration_ms)
    return "" if found.is_streamed is None else ("yes" if found.is_streamed else "no")


def _lines(receipt: Receipt | None) -> tuple[ReceiptLine, ...]:
    if receipt is None:
        return ()
    return tuple(
        ReceiptLine(
            METERS[line.meter],
            count(line.tokens),
            formats.usd_per_mtok(line.rate_picousd),
            money_exact(line.cost_picousd),
        )
        for line in receipt.cost.lines
    )


def _source(receipt: Receipt, visit: Visit) -> str:
    since = f" in force since {formats.day(receipt.valid_from.astimezone(visit.zone))}" if receipt.valid_from else ""
    derived = ", derived from its standard rates" if receipt.rate_from == "policy" else ""
    region = "" if receipt.region == "global" else f" of the region {receipt.region}"
    rates = f"{receipt.tier}{region}{since}{derived}."
    partial = " A lower bound: some charges have no rate." if receipt.cost.status == "partial" else ""
    replaced = " A later price list has replaced them." if receipt.superseded else ""
    return f"{rates} Source: {receipt.source}, revision {receipt.revision}.{partial}{replaced}"


def _former(cost: FormerCost, visit: Visit) -> str:
    """ "$0.0052 until 21 Nov 2026, replaced by revision 7: <its note>"; the cost is exact."""
    amount = "No price" if cost.cost_picousd is None else money_exact(cost.cost_picousd)
    note = f": {cost.note}" if cost.note else ""
    day = formats.day(cost.replaced_at.astimezone(visit.zone))
    return f"{amount} until {day}, replaced by revision {cost.revision}{note}"


def _unpriced(found: EventDetail) -> str:
    if found.cost_picousd is not None:
        return ""
    reason = UNPRICED.get(found.price_status, "no price is known")
    return f"Unpriced, because {reason}. The call is left out of every total ({money(None)}), not counted as free."
