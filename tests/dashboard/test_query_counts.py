"""Each page asks the database equally often, however much there is to show."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from events.models import Organization
from events.models.event import public_id
from pricing import catalog
from tests.dashboard import price_rows
from tests.events_table import Call, store_events

PAGES = {
    "/": 18,
    "/?feature=f1": 18,
    "/requests/": 10,
    "/requests/?q=u-1": 10,
    "/requests/{event}/": 9,
    "/costs/": 12,
    "/costs/?by=user": 12,
    "/costs/?by=model&feature=f1": 12,
    "/costs/user/?user=u-1": 18,
    "/costs/feature/?feature=f1": 18,
    "/rejected/": 5,
    "/pricing/": 13,
    "/pricing/?used=yes&q=m": 13,
    "/pricing/openai/gpt-4o/": 12,
}


@pytest.mark.parametrize("path", PAGES)
def test_ten_and_a_hundred_events_take_the_same_queries(
    member: Client, organization: Organization, now: datetime, path: str
) -> None:
    def store(count: int) -> str:
        calls = [
            Call(
                at=now - timedelta(hours=1700 * number / count),
                feature=f"f{number}",
                model=f"m{number}",
                user=f"u-{number}",
            )
            for number in range(count)
        ]
        calls += [Call(at=call.at, model=f"unpriced-{call.model}", cost=None) for call in calls]
        for number in range(count):
            made = price_rows.model(f"m{count}-{number}", names=(f"m{count}-{number}",))
            price_rows.card(made, {"input": "1", "output": "2"})
        return public_id(store_events(organization, calls)[0])

    counts = []
    for events in (10, 90):
        address = path.format(event=store(events))
        catalog.current()  # read once a process and revision, for all pages
        with CaptureQueriesContext(connection) as queries:
            assert member.get(address).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= PAGES[path]
