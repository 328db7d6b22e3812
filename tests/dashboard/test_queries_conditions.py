"""Each word of the filter language finds the events that it names, and no others."""

from datetime import UTC, datetime

import pytest

from dashboard.filters import Filters
from dashboard.queries import usage
from events.models import Organization
from pricing.costs import Usage
from tests.events_table import USD, Call, store_events

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)


@pytest.fixture
def calls(organization: Organization) -> None:
    metadata = ('{"plan": "pro", "seats": 3, "on": true}', '{"plan": "free"}', None, '{"plan": null, "list": [1, 2]}')
    store_events(
        organization,
        [
            Call(
                at=NOW,
                cost=(None, USD // 10, USD, 2 * USD)[number],
                latency_ms=(None, 100.0, 200.5, 300.0)[number],
                usage=Usage(100 * number, 10),
                metadata=metadata[number],
            )
            for number in range(4)
        ],
    )


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({"min_cost": "0.1"}, 3),
        ({"min_cost": "0.100000000001"}, 2),
        ({"max_cost": "1"}, 2),
        ({"min_cost": "0.5", "max_cost": "1.5"}, 1),
        ({"priced": "no"}, 1),
        ({"min_latency": "200.5"}, 2),
        ({"max_latency": "200.4"}, 1),
        ({"min_tokens": "110"}, 3),
        ({"max_tokens": "110"}, 2),
        ({"min_tokens": "1.5"}, 4),  # not a whole number: left out
        ({"meta.plan": "pro"}, 1),
        ({"meta.seats": "3"}, 1),
        ({"meta.on": "true"}, 1),
        ({"meta.list": "[1, 2]"}, 1),
        ({"meta.plan": "(none)"}, 2),
        ({"meta.plan": "pro", "meta.seats": "4"}, 0),
        ({"meta.'; DROP TABLE event; --": "x"}, 0),
        ({"meta.%s": "%s"}, 0),
        ({"key": "org_live_nobody"}, 0),
    ],
)
def test_a_word_finds_what_it_says(organization: Organization, words: dict[str, str], found: int) -> None:
    assert usage.totals(organization.pk, Filters.from_query(words, NOW, organization.zone)).events == found
