"""Invented traffic that looks like a real product's: rhythm, growth, prompts that grow and are cached, failures, plans.

Pure and deterministic: the same arguments give the same users and events, in every process. The company is in
`events/demo_company.py`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from events import demo_company as company
from events.demo_company import Account, Failure, Feature, Model, Step
from events.schema import IncomingEvent, IncomingUser

PLANNED_EVENTS_A_DAY: Final = 20_000 / 90
"""The traffic that the plans' prices were made for; more traffic scales them, so that the margin stays believable."""
GROWTH: Final = 2.0
WEEKEND: Final = 0.35
FAILURE_SHARE: Final = 0.027
INCIDENT_FAILURE_SHARE: Final = 0.75
TRIED_OUT_SHARE: Final = 0.1
NO_USER_SHARE: Final = 0.03
RETRY_SHARE: Final = 0.6
RETURN_SHARE: Final = 0.08
"""Answers in a chat after which the person goes on later, in a new session of the same conversation."""
# How busy each local hour of a working day is; the night's bump is the batch run.
HOURS: Final = (2, 5, 6, 5, 2, 2, 3, 8, 18, 27, 30, 28, 22, 26, 30, 29, 26, 20, 13, 10, 9, 7, 5, 3)
NIGHT: Final = range(1, 5)
_ANSWERED: Final = ("SUCCESS", "MAX_TOKENS")
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_COUNTERS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
)
_TURNS = {feature.name: len(feature.steps) + feature.turns - 1 for feature in company.FEATURES}
_DAY_AND_NIGHT = {
    feature.name: (feature.weight / _TURNS[feature.name], feature.night_weight / _TURNS[feature.name])
    for feature in company.FEATURES
}


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A tracked user with the monthly revenue in USD from each time on; no revenue at all while on trial."""

    external_id: str
    name: str
    email: str
    joined_at: datetime
    revenue: tuple[tuple[datetime, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is wanted: `number` events in `days` times 24 hours up to `now`, with the rhythm of the zone's days."""

    seed: int
    days: int
    number: int
    now: datetime
    zone: ZoneInfo

    @property
    def scale(self) -> float:
        """How much more traffic this is than the plans' prices were made for."""
        return self.number / self.days / PLANNED_EVENTS_A_DAY

    def at(self, part: float) -> datetime:
        """The time after this part of the days."""
        return self.now - timedelta(days=self.days * (1 - part))

    def day_at(self, part: float) -> datetime:
        """The local midnight before that time."""
        local = self.at(part).astimezone(self.zone)
        return datetime.combine(local.date(), time(), self.zone)


def chance(traffic: Traffic, purpose: str) -> Random:
    """A source of chance of its own for each purpose: what one draws does not shift what another does."""
    return Random(f"{traffic.seed} {traffic.days} {traffic.now.timestamp():.0f} {purpose}")  # noqa: S311  not a secret


def users(traffic: Traffic) -> list[DemoUser]:
    """The accounts behind the traffic, the most active one first."""
    random = chance(traffic, "users")
    return [_user(account, traffic, random.uniform(20, 400)) for account in company.ACCOUNTS]


def _user(account: Account, traffic: Traffic, days_before: float) -> DemoUser:
    joined_at = traffic.day_at(account.joined) if account.joined else traffic.at(0) - timedelta(days=days_before)
    changes = [(joined_at.astimezone(UTC), account.plan)]
    if account.changed_plan:
        changes.append((traffic.day_at(account.change_at).astimezone(UTC), account.changed_plan))
    return DemoUser(
        external_id=account.external_id,
        name=account.name,
        email=f"ai@{account.slug}.example",
        joined_at=joined_at.astimezone(UTC),
        revenue=tuple((at, price) for at, plan in changes if (price := plan_price(plan, traffic))),
    )


def plan_price(plan: str, traffic: Traffic) -> Decimal | None:
    """A plan's monthly price in USD for this much traffic: whole dollars of two digits that mean something."""
    amount_usd = company.PLANS_USD[plan]
    if amount_usd is None:
        return None
    scaled = max(1, round(amount_usd * traffic.scale))
    digits = 1 if 0.99 < traffic.scale < 1.01 else 10 ** max(0, len(str(scaled)) - 2)
    return Decimal(scaled // digits * digits)


def events(traffic: Traffic) -> Iterator[IncomingEvent]:
    """The calls, in order of time within each 24 hours, none after `now`, the last one at most an hour before it."""
    random, number, days = chance(traffic, "days"), traffic.number, traffic.days
    hours = [_hour_weight(traffic, hour) for hour in range(24 * days)]
    weights = [sum(hours[24 * day : 24 * day + 24]) * random.lognormvariate(0, 0.08) for day in range(days)]
    counts = _shares(number - 1, weights)
    counts[-1] += 1
    for day, count in enumerate(counts):
        if count:
            yield from _Day(traffic, day, hours[24 * day : 24 * day + 24]).calls(count)


def _hour_weight(traffic: Traffic, hour: int) -> float:
    at = (traffic.at(0) + timedelta(hours=hour)).astimezone(traffic.zone)
    weight = HOURS[at.hour] * math.exp(math.log(GROWTH) * hour / (24 * traffic.days))
    return weight * WEEKEND if at.isoweekday() > 5 and at.hour not in NIGHT else weight


def _shares(number: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to the weights that add up to `number`."""
    ends = [round(number * part / sum(weights)) for part in accumulate(weights)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


class _Call(NamedTuple):
    """What a call has in common with the others of its episode, and where it stands in it."""

    feature: Feature
    step: Step
    user: IncomingUser | None
    session_id: str
    conversation_id: str
    metadata: str
    history_tokens: int
    """What the prompt repeats of earlier turns; 0 in the first."""


class _Day:
    """24 hours of traffic with a source of chance of its own, so that days can be made one after the other."""

    def __init__(self, traffic: Traffic, day: int, hour_weights: list[float]) -> None:
        self.random = chance(traffic, f"day {day}")
        self.returns = chance(traffic, f"returns of day {day}")
        self.traffic = traffic
        self.hours = list(accumulate(hour_weights))
        self.end_ms = _ms(traffic.now) - (traffic.days - 1 - day) * _DAY_MS
        self.now_ms = _ms(traffic.now)
        self.is_last = day == traffic.days - 1
        self.switch_ms = _ms(traffic.day_at(0.6))
        self.tried_from_ms = _ms(traffic.day_at(0.75))
        self.incident = _incident(traffic)
        self.release = f"4.{12 + day // 7}.{day % 7 // 3}"
        self.accounts = _Accounts(traffic, self.end_ms - _DAY_MS)

    def calls(self, count: int) -> list[IncomingEvent]:
        """Exactly so many calls, in order of time, none of them after `now`."""
        found: list[IncomingEvent] = []
        if self.is_last:
            # A chat in the last minutes: whoever opens the demo finds something fresh.
            found += self._episode(self.now_ms - self.random.randint(120_000, 3_000_000), company.FEATURES[0])
        while len(found) < count:
            hour = self.random.choices(range(24), cum_weights=self.hours)[0]
            at_ms = self.end_ms - _DAY_MS + hour * _HOUR_MS + self.random.randrange(_HOUR_MS)
            found += self._episode(at_ms, self._feature(at_ms))
        return sorted(found[:count], key=lambda event: event.occurred_at_ms)

    def _feature(self, at_ms: int) -> Feature:
        local_hour = datetime.fromtimestamp(at_ms / 1000, self.traffic.zone).hour
        weights = [_DAY_AND_NIGHT[feature.name][local_hour in NIGHT] for feature in company.FEATURES]
        return self.random.choices(company.FEATURES, weights)[0]

    def _episode(self, at_ms: int, feature: Feature) -> Iterator[IncomingEvent]:
        """The calls of one visit: each step, then the last one again; a failure is tried again or ends it."""
        random, history = self.random, 0
        again = 1 - 1 / feature.turns
        call = self._first_call(feature)
        steps = [*feature.steps]
        while steps and at_ms < self.now_ms:
            event = self._event(at_ms, call._replace(step=steps[0], history_tokens=history))
            yield event
            at_ms += int(event.latency_ms or 1000)
            if event.status not in _ANSWERED:
                if random.random() > RETRY_SHARE:
                    return
                at_ms += random.randint(1_000, 9_000)
                continue
            if len(steps) == 1:
                history = 0 if feature.is_batch or not feature.has_session else event.input_tokens + event.output_tokens
            if len(steps) > 1 or random.random() > again:
                steps.pop(0)
            at_ms += int(1000 * random.lognormvariate(math.log(feature.pause_s), 0.8))
            if history and call.conversation_id and self.returns.random() < RETURN_SHARE:
                call = call._replace(session_id=f"sess_{self.returns.getrandbits(48):012x}")
                at_ms += self.returns.randint(20 * 60_000, 3 * _HOUR_MS)

    def _first_call(self, feature: Feature) -> _Call:
        random = self.random
        anonymous = random.random() < NO_USER_SHARE
        return _Call(
            feature=feature,
            step=feature.steps[0],
            user=None if anonymous else self.accounts.choose(random, feature),
            session_id=f"sess_{random.getrandbits(48):012x}" if feature.has_session else "",
            conversation_id=f"conv_{random.getrandbits(48):012x}" if feature.has_conversation else "",
            metadata=f'{{"release":"{self.release}","locale":"{random.choice(company.LOCALES)}"}}',
            history_tokens=0,
        )

    def _event(self, at_ms: int, call: _Call) -> IncomingEvent:
        step, model = call.step, self._model(at_ms, call.step)
        output, reasoning, is_cut = self._output(step)
        fresh = self._about(step.prompt_tokens if not call.history_tokens else step.prompt_tokens // 6, step.spread)
        before = call.history_tokens or step.system_tokens
        cached, writes, writes_1h = self._cache(model, step, before, fresh, call.history_tokens > 0)
        first_ms = self._about(model.first_token_ms, model.spread)
        answer_ms = self._about(model.token_ms * output, model.spread / 2)
        event = IncomingEvent(
            occurred_at_ms=at_ms,
            status="MAX_TOKENS" if is_cut else "SUCCESS",
            error_message=f"The answer met its limit of {step.max_output_tokens} tokens." if is_cut else None,
            service_tier="batch" if call.feature.is_batch else "standard",
            provider=model.provider,
            model=model.name,
            input_tokens=before + fresh,
            output_tokens=output,
            cached_tokens=cached,
            cache_write_tokens=writes,
            cache_write_1h_tokens=writes_1h,
            reasoning_tokens=reasoning,
            feature=call.feature.name,
            step=step.name,
            session_id=call.session_id,
            conversation_id=call.conversation_id,
            user=call.user,
            is_streamed=step.is_streamed,
            latency_ms=None if call.feature.is_batch else float(first_ms + answer_ms),
            streaming_duration_ms=float(answer_ms) if step.is_streamed else None,
            metadata=call.metadata,
        )
        return self._with_fate(event)

    def _model(self, at_ms: int, step: Step) -> Model:
        if step.is_tried_out and at_ms >= self.tried_from_ms and self.random.random() < TRIED_OUT_SHARE:
            return company.UNKNOWN
        return step.switched_to if step.switched_to and at_ms >= self.switch_ms else step.model

    def _output(self, step: Step) -> tuple[int, int, bool]:
        """All billed output, the hidden reasoning in it, and whether the answer was cut off at its limit."""
        wanted = self._about(step.output_tokens, step.spread)
        visible = min(wanted, step.max_output_tokens)
        reasoning = self._about(step.reasoning * visible, 0.6) if step.reasoning else 0
        return visible + reasoning, reasoning, wanted > visible

    def _cache(self, model: Model, step: Step, before: int, fresh: int, is_followed: bool) -> tuple[int, int, int]:
        """Tokens read from the cache, written to it, and written for an hour."""
        hit = self.random.random() < (0.93 if is_followed else 0.6)
        if model.caching == "none" or before < 1024:
            return 0, 0, 0
        if model.caching == "reads":
            # Providers that cache on their own do it in blocks.
            return (before // 128 * 128 if hit else 0), 0, 0
        rest = fresh if before + fresh > 8000 else 0
        if hit:
            return before, rest, 0
        return 0, before + rest, before if step.writes_1h else 0

    def _with_fate(self, event: IncomingEvent) -> IncomingEvent:
        """The event as it was, or slowed down, or failed; batches wait until a call succeeds."""
        if event.service_tier == "batch":
            return event
        chance = self.random.random()
        if _is_within(self.incident, event):
            event = msgspec.structs.replace(event, latency_ms=(event.latency_ms or 0) * 3.5)
            if chance < INCIDENT_FAILURE_SHARE:
                return _failed(event, company.INCIDENT)
        if chance < FAILURE_SHARE:
            failures = company.FAILURES.get(event.provider, company.OTHER_FAILURES)
            return _failed(event, self.random.choices(failures, [failure.weight for failure in failures])[0])
        return event

    def _about(self, median: float, spread: float) -> int:
        return max(1, round(self.random.lognormvariate(math.log(max(median, 1)), spread)))


class _Accounts:
    """Who calls on a day: Zipf's law over those who have joined, bent by what an account uses the product for."""

    def __init__(self, traffic: Traffic, from_ms: int) -> None:
        joined = [
            (number, account)
            for number, account in enumerate(company.ACCOUNTS)
            if not account.joined or _ms(traffic.day_at(account.joined)) <= from_ms
        ]
        self._users = [IncomingUser(account.external_id) for _, account in joined]
        self._weights = {
            feature.name: list(
                accumulate(_liking(account, feature) / (number + 1) ** 0.8 for number, account in joined)
            )
            for feature in company.FEATURES
        }

    def choose(self, random: Random, feature: Feature) -> IncomingUser:
        return random.choices(self._users, cum_weights=self._weights[feature.name])[0]


def _liking(account: Account, feature: Feature) -> float:
    if feature.taste == "any":
        return 1.0
    return 4.0 if feature.taste == account.taste else 0.4


def _incident(traffic: Traffic) -> tuple[int, int]:
    """Seven hours of a working day late in the period; none when the period is short."""
    day = traffic.day_at(0.87)
    while day.isoweekday() > 5:
        day -= timedelta(days=1)
    start_ms = _ms(day.replace(hour=9))
    return (start_ms, start_ms + 7 * _HOUR_MS) if traffic.days >= 7 else (0, 0)


def _is_within(incident: tuple[int, int], event: IncomingEvent) -> bool:
    return incident[0] <= event.occurred_at_ms < incident[1] and event.provider == company.INCIDENT_PROVIDER


def _failed(event: IncomingEvent, failure: Failure) -> IncomingEvent:
    """A failure before the first token costs nothing; a filtered answer was paid for until it was stopped."""
    reached_model = failure.status in ("CONTENT_FILTER", "RECITATION", "BLOCKED")
    counters = (
        {"output_tokens": event.output_tokens // 5 + event.reasoning_tokens}
        if reached_model
        else dict.fromkeys(_COUNTERS, 0)
    )
    latency_ms = 60_000.0 if "timed out" in failure.message else (event.latency_ms or 0) // 5
    return msgspec.structs.replace(
        event,
        status=failure.status,
        error_message=failure.message.format(model=event.model),
        latency_ms=latency_ms,
        streaming_duration_ms=None,
        **counters,
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
