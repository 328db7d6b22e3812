"""The demo: the same arguments give the same data, it looks like a product's, and the command writes it once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events import demo, demo_company, rollups
from events.demo import Traffic
from events.models import ApiKey, Event, Organization, RevenueChange, TrackedUser
from events.schema import IncomingEvent
from pricing import catalog, costs
from pricing.costs import Cost, Usage

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 15, tzinfo=UTC)
HOUR_MS = 3_600_000
MONTH = timedelta(days=365) / 12


def traffic(seed: int = 7, days: int = 90, number: int = 20_000, now: datetime = NOW) -> Traffic:
    return Traffic(seed, days, number, now, BERLIN)


@pytest.fixture(scope="module")
def events() -> list[IncomingEvent]:
    """What the default arguments give."""
    return list(demo.events(traffic()))


def local(event: IncomingEvent) -> datetime:
    return datetime.fromtimestamp(event.occurred_at_ms / 1000, BERLIN)


def usage_of(event: IncomingEvent) -> Usage:
    return Usage(
        event.input_tokens,
        event.output_tokens,
        event.cached_tokens,
        event.cache_write_tokens,
        event.cache_write_1h_tokens,
        event.reasoning_tokens,
    )


def share(part: int, whole: int) -> float:
    return part / whole


def test_the_same_arguments_give_the_same_data(events: list[IncomingEvent]) -> None:
    assert list(demo.events(traffic())) == events
    assert demo.users(traffic()) == demo.users(traffic())


@pytest.mark.parametrize("other", [traffic(seed=8), traffic(days=60), traffic(now=NOW + timedelta(hours=1))])
def test_each_argument_matters(events: list[IncomingEvent], other: Traffic) -> None:
    assert next(demo.events(other)) != events[0]


@pytest.mark.parametrize("number", [1, 2, 17, 1_000])
@pytest.mark.parametrize("days", [1, 6, 30, 400])
def test_exactly_so_many_events_in_the_period_and_one_of_the_last_hour(number: int, days: int) -> None:
    times = [event.occurred_at_ms for event in demo.events(traffic(days=days, number=number))]
    now_ms = int(NOW.timestamp() * 1000)
    assert len(times) == number
    assert now_ms - HOUR_MS < max(times) < now_ms
    assert min(times) >= now_ms - days * 24 * HOUR_MS


def test_the_rhythm_is_that_of_working_days_and_grows(events: list[IncomingEvent]) -> None:
    hours = Counter(local(event).hour for event in events)
    assert hours[10] > 5 * hours[5]
    days = Counter(local(event).isoweekday() for event in events)
    assert days[3] > 2 * days[6]
    weeks = Counter((int(NOW.timestamp() * 1000) - event.occurred_at_ms) // (7 * 24 * HOUR_MS) for event in events)
    assert weeks[0] > 1.5 * weeks[11]


def test_activity_is_uneven_and_few_calls_have_no_user(events: list[IncomingEvent]) -> None:
    calls = Counter(event.user.external_id if event.user else "" for event in events)
    assert set(calls) == {user.external_id for user in demo.users(traffic())} | {""}
    assert calls["user-northwind"] > 5 * calls["user-ollivander"]
    assert 0.01 < share(calls[""], len(events)) < 0.06


def test_nobody_calls_before_joining(events: list[IncomingEvent]) -> None:
    joined = {user.external_id: user.joined_at for user in demo.users(traffic())}
    assert all(local(event) >= joined[event.user.external_id] for event in events if event.user)


def test_features_steps_sessions_and_conversations(events: list[IncomingEvent]) -> None:
    features = Counter(event.feature for event in events)
    assert set(features) == {feature.name for feature in demo_company.FEATURES}
    assert min(features.values()) > 200
    assert {event.step for event in events if event.feature == "onboarding"} == {"extract-profile", "plan", "welcome"}
    turns = Counter(event.conversation_id for event in events if event.conversation_id)
    assert max(turns.values()) > 5
    assert all(event.session_id for event in events if event.conversation_id)
    one_user = defaultdict(set)
    for event in events:
        one_user[event.session_id].add(event.user)
    del one_user[""]
    assert all(len(users) == 1 for users in one_user.values())
    sessions = defaultdict(set)
    for event in events:
        sessions[event.conversation_id].add(event.session_id)
    del sessions[""]
    assert 0.1 < share(sum(len(found) > 1 for found in sessions.values()), len(sessions)) < 0.4


def test_a_conversation_repeats_what_was_said(events: list[IncomingEvent]) -> None:
    answers = defaultdict(list)
    for event in events:
        if event.step == "answer" and event.conversation_id and event.status == "SUCCESS":
            answers[event.conversation_id].append(event.input_tokens)
    assert all(first < second for prompts in answers.values() for first, second in pairwise(prompts))


def test_counters_are_parts_of_their_wholes_and_every_kind_occurs(events: list[IncomingEvent]) -> None:
    for event in events:
        assert costs.normalise(usage_of(event)) == (usage_of(event), ())
    claude = [event for event in events if event.provider == "anthropic"]
    assert any(event.cache_write_1h_tokens for event in claude)
    assert any(event.cache_write_tokens > event.cache_write_1h_tokens for event in claude)
    assert any(event.cached_tokens for event in claude)
    assert any(event.reasoning_tokens for event in events)
    assert 0.02 < share(sum(event.service_tier == "batch" for event in events), len(events)) < 0.1
    assert 0.2 < share(sum(event.is_streamed or False for event in events), len(events)) < 0.8


def test_a_model_is_replaced_on_one_day(events: list[IncomingEvent]) -> None:
    reviews = [event for event in events if event.step == "review"]
    before = max(event.occurred_at_ms for event in reviews if event.model.startswith("claude-opus"))
    after = min(event.occurred_at_ms for event in reviews if event.model.startswith("claude-sonnet"))
    assert before < after
    assert local(reviews[0]).date() < datetime.fromtimestamp(after / 1000, BERLIN).date() < NOW.date()


def test_about_three_percent_fail_with_a_message_and_one_day_is_bad(events: list[IncomingEvent]) -> None:
    failed = [event for event in events if event.status not in ("SUCCESS", "MAX_TOKENS")]
    assert 0.02 < share(len(failed), len(events)) < 0.04
    assert {event.status for event in events} >= {"SUCCESS", "ERROR", "MAX_TOKENS", "CONTENT_FILTER"}
    assert all((event.error_message is None) == (event.status == "SUCCESS") for event in events)
    assert not any("{" in (event.error_message or "") for event in events)
    calls = Counter(local(event).date() for event in events)
    bad = Counter(local(event).date() for event in failed).most_common(1)[0]
    assert bad[1] > 0.07 * calls[bad[0]]
    assert bad[0].isoweekday() <= 5


def test_latencies_are_positive_and_longer_than_the_stream(events: list[IncomingEvent]) -> None:
    for event in events:
        assert (event.latency_ms is None) == (event.service_tier == "batch")
        assert event.latency_ms is None or event.latency_ms >= (event.streaming_duration_ms or 0)


def test_plans_have_a_history() -> None:
    users = {user.external_id: user for user in demo.users(traffic())}
    assert 35 <= len(users) <= 45
    assert sum(not user.revenue for user in users.values()) == 5
    assert [amount for _, amount in users["user-globex"].revenue] == [29, 79]
    assert [amount for _, amount in users["user-adventure-works"].revenue] == [79, 29]
    assert sum(len(user.revenue) > 1 for user in users.values()) == 2
    assert all(user.email.endswith(".example") for user in users.values())
    assert all(at <= NOW for user in users.values() for at, _ in user.revenue)


def test_more_traffic_comes_with_larger_plans() -> None:
    few, many = (
        sum(user.revenue[0][1] for user in demo.users(traffic(number=n)) if user.revenue) for n in (20_000, 200_000)
    )
    assert 9 * few < many <= 10 * few


@pytest.fixture
def prices() -> catalog.Catalog:
    return catalog.load()


def priced(prices: catalog.Catalog, events: list[IncomingEvent]) -> Iterator[tuple[IncomingEvent, Cost]]:
    for event in events:
        yield (
            event,
            prices.price(
                event.provider,
                event.model,
                event.occurred_at_ms,
                usage_of(event),
                tier=event.service_tier,
                organization_id=None,
            ),
        )


@pytest.mark.django_db
def test_all_but_the_unknown_model_has_a_price(prices: catalog.Catalog, events: list[IncomingEvent]) -> None:
    found = list(priced(prices, events))
    assert {cost.status for event, cost in found if event.provider != "acme"} == {"priced"}
    unknown = [cost for event, cost in found if event.provider == "acme"]
    assert {cost.status for cost in unknown} == {"unpriced_provider"}
    assert 0.001 < share(len(unknown), len(found)) < 0.02


@pytest.mark.django_db
@pytest.mark.parametrize("now", [datetime(2026, 1, 31, 23, tzinfo=UTC), datetime(2027, 6, 1, 0, tzinfo=UTC)])
def test_prices_are_known_whenever_the_demo_is_made(prices: catalog.Catalog, now: datetime) -> None:
    events = list(demo.events(traffic(number=3_000, now=now)))
    assert {cost.status for event, cost in priced(prices, events) if event.provider != "acme"} == {"priced"}


def revenue_usd(user: demo.DemoUser, start: datetime) -> float:
    """Near enough for a comparison: every month as long as the average one."""
    return sum(
        float(amount) * (max(end, start) - max(at, start)) / MONTH
        for (at, amount), (end, _) in pairwise([*user.revenue, (NOW, None)])
        if amount is not None
    )


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2, 7])
def test_the_company_earns_money_but_not_with_everybody(prices: catalog.Catalog, seed: int) -> None:
    spend: defaultdict[str, float] = defaultdict(float)
    for event, cost in priced(prices, list(demo.events(traffic(seed=seed)))):
        spend[event.user.external_id if event.user else ""] += (cost.picousd or 0) / 1e12
    users = demo.users(traffic(seed=seed))
    revenue = {user.external_id: revenue_usd(user, NOW - timedelta(days=90)) for user in users}
    assert 300 < sum(spend.values()) < 3_000
    assert 0.5 < 1 - sum(spend.values()) / sum(revenue.values()) < 0.75
    assert 3 <= sum(spend[user] > paid > 0 for user, paid in revenue.items()) <= 5


def seed_demo(**options: int | str) -> str:
    output = StringIO()
    call_command("seed_demo", organization="demo", stdout=output, **options)
    return output.getvalue()


@pytest.fixture
def organization(committed_db: None) -> Organization:
    return Organization.objects.create(name="Demo", slug="demo", time_zone="Asia/Kolkata")


def test_the_command_writes_events_users_and_usage(organization: Organization) -> None:
    before = datetime.now(UTC)
    output = seed_demo(events=6_000, days=40, seed=3)
    assert "Wrote 6,000 events of 40 users from 40 days" in output
    assert Event.objects.filter(organization_id=organization.pk).count() == 6_000
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(event_time(id)), max(event_time(id)), count(*) FROM event_default")
        assert cursor.fetchone() == (None, None, 0)
        cursor.execute("SELECT min(event_time(id)), max(event_time(id)) FROM event")
        oldest, newest = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM usage_delta")
        assert cursor.fetchone() == (0,)
    assert timedelta(0) < before - newest < timedelta(hours=2)
    assert timedelta(days=30) < before - oldest < timedelta(days=40, hours=1)
    assert TrackedUser.objects.filter(organization=organization).count() == 40
    assert RevenueChange.objects.count() == 37
    users = set(Event.objects.exclude(tracked_user_id=None).values_list("tracked_user_id", flat=True))
    assert users <= set(TrackedUser.objects.values_list("pk", flat=True))
    assert rollups.audit() == []


def test_a_second_run_adds_nothing_and_another_seed_adds_its_own(organization: Organization) -> None:
    seed_demo(events=300, days=5, seed=3)
    assert "nothing was added" in seed_demo(events=300, days=5, seed=3)
    assert (Event.objects.count(), TrackedUser.objects.count()) == (300, 40)
    history = RevenueChange.objects.count()
    seed_demo(events=200, days=5, seed=4)
    assert (Event.objects.count(), TrackedUser.objects.count()) == (500, 40)
    assert RevenueChange.objects.count() == history
    assert rollups.audit() == []


def test_the_key_behind_the_events_opens_nothing(organization: Organization) -> None:
    seed_demo(events=10, days=2, seed=3)
    key = ApiKey.objects.get()
    assert Event.objects.values_list("api_key_id", flat=True).distinct().get() == key.pk
    assert not ApiKey.objects.in_force(datetime.now(UTC)).exists()


def test_two_organizations_can_have_the_same_demo(organization: Organization) -> None:
    Organization.objects.create(name="Other", slug="other")
    seed_demo(events=100, days=2, seed=3)
    call_command("seed_demo", organization="other", events=100, days=2, seed=3, stdout=StringIO())
    assert Event.objects.count() == 200


def test_an_unknown_organization_is_named(committed_db: None) -> None:
    with pytest.raises(CommandError, match="no organization 'demo'"):
        seed_demo(events=10, days=2)
