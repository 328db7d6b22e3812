"""Each page asks the database equally often, however much there is to show."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from events.models import Organization
from events.models.event import public_id
from tests.events_table import Call, store_events

PAGES = {
    "/": 18,
    "/?feature=f1": 18,
    "/requests/": 10,
    "/requests/?q=u-1": 10,
    "/requests/{event}/": 9,
    "/rejected/": 5,
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
        return public_id(store_events(organization, calls)[0])

    counts = []
    for events in (10, 90):
        address = path.format(event=store(events))
        with CaptureQueriesContext(connection) as queries:
            assert member.get(address).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= PAGES[path]
