"""Percentiles of latency: how near the buckets come to the exact ones, and that each filter is answered."""

import random
from datetime import UTC, datetime, timedelta
from statistics import quantiles

import pytest

from dashboard.filters import Filters
from dashboard.pages.latency_table import latency_table
from dashboard.queries import latency
from events.models import Organization
from events.rollups import latency_bucket
from tests.events_table import Call, store_events

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)


def counted(values: list[float]) -> list[tuple[int, int]]:
    found: dict[int, int] = {}
    for value in values:
        number = latency_bucket(value)
        assert number is not None
        found[number] = found.get(number, 0) + 1
    return sorted(found.items())


@pytest.mark.parametrize(("mu", "sigma"), [(6.5, 0.3), (6.5, 0.8), (8.0, 1.2), (3.0, 0.5)])
def test_buckets_tell_percentiles_within_one_percent_and_two_at_the_end(mu: float, sigma: float) -> None:
    """The budget P11: p50 and p95 within 1 %, p99 within 2 %."""
    rng = random.Random(20261121)
    values = [rng.lognormvariate(mu, sigma) for _ in range(40_000)]
    exact = quantiles(values, n=100, method="inclusive")
    for share, limit in ((0.5, 0.01), (0.95, 0.01), (0.99, 0.02)):
        found = latency.percentile(counted(values), share)
        assert abs(found / exact[round(share * 100) - 1] - 1) <= limit


def test_the_edges_of_a_bucket_hold_what_lies_in_it() -> None:
    assert latency.percentile([(100, 10)], 1) == pytest.approx(1.05**101)
    assert 1.05**100 <= latency.percentile([(100, 10), (200, 1)], 0.5) <= 1.05**101
    assert latency.percentile([(100, 98), (200, 2)], 0.99) >= 1.05**200


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"feature": "chat"},
        {"model": "gpt-4o", "provider": "openai"},
        {"user": "u"},
        {"period": "24h"},
        {"step": "(none)"},
    ],
)
def test_every_filter_is_answered(organization: Organization, words: dict[str, str]) -> None:
    """200 calls of 100 ms to 298 ms, half of them streams that took half of it, and others that no filter finds."""
    calls = [
        Call(
            at=NOW - timedelta(minutes=number),
            user="u",
            latency_ms=100.0 + number,
            streaming_duration_ms=50.0 + number / 2 if number % 2 else None,
        )
        for number in range(200)
    ]
    others = [Call(at=NOW, feature="x", model="y", step="z", latency_ms=9e5)] if words and "period" not in words else []
    store_events(organization, [*calls, *others, Call(at=NOW, latency_ms=None)])
    found = latency.of_period(organization.pk, Filters.from_query(words, NOW, organization.zone))
    assert found.answer
    assert found.last_token
    assert (found.answer.calls, found.last_token.calls, found.latest) == (200, 100, 0)
    for measured, exact in (
        ((found.answer.p50, found.answer.p95, found.answer.p99), (199.5, 289, 297)),
        ((found.last_token.p50, found.last_token.p95, found.last_token.p99), (100, 144.5, 148.5)),
    ):
        assert measured == pytest.approx(exact, rel=0.02)


def test_where_nothing_was_told_nothing_is_claimed(organization: Organization) -> None:
    store_events(organization, [Call(at=NOW, latency_ms=None)])
    for words in ({}, {"user": "u"}, {"period": "24h"}):
        found = latency.of_period(organization.pk, Filters.from_query(words, NOW, organization.zone))
        assert found == latency.Latency(None, None)


def test_of_many_requests_the_matches_among_the_latest_are_looked_at(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "SCANNED", 4)
    calls = [
        Call(at=NOW - timedelta(minutes=number), user="u", step=f"s{number % 2}", latency_ms=100.0 + number)
        for number in range(9)
    ]
    store_events(organization, [*calls, *(Call(at=NOW, step="s0", latency_ms=9e5) for _ in range(9))])

    def notes(**words: str) -> tuple[int, str]:
        found = latency.of_period(organization.pk, Filters.from_query(words, NOW, organization.zone))
        return (found.answer.calls if found.answer else 0), latency_table(found).note

    assert notes(user="u", step="s0") == (2, "Matches among the user's latest 4 requests.")
    assert notes(step="s1") == (0, "Matches among the latest 4 requests.")
    assert notes(user="u", step="s0", q="nothing") == (0, "Matches among the user's latest 4 requests.")
    assert notes(user="nobody") == (0, "")
