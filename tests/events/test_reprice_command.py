"""manage.py reprice: does what is pending, watches who is at it, and prices everything anew when asked."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from events.models import Organization, RepriceJob
from events.repricing import REPRICE_LOCK
from events.runtime import database_conninfo
from pricing.catalog import current_revision
from tests.events_table import Call, store_events

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RIGHT = Decimal(5_250_000_000)  # what the calls of these tests cost at gpt-4o's prices; they are stored at 1 USD
TOLD = "looked at 3 events, changed the cost of 3 events, -2.98425 USD in all."


def run(**options: Any) -> str:
    out = StringIO()
    call_command("reprice", stdout=out, no_color=True, **options)
    return out.getvalue()


def costs() -> list[Decimal]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cost_picousd FROM event")
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture
def calls() -> None:
    acme = Organization.objects.create(name="Acme", slug="acme")
    store_events(acme, [Call(at=NOW - timedelta(days=days)) for days in range(3)])


@pytest.fixture
def other() -> Iterator[psycopg.Connection[Any]]:
    """Another process that is re-pricing."""
    with psycopg.connect(database_conninfo(), autocommit=True) as connected:
        connected.execute("SELECT pg_advisory_lock(%s)", [REPRICE_LOCK])
        yield connected


def wanted() -> RepriceJob:
    return RepriceJob.objects.create(to_revision=current_revision(), created_at=NOW)


def test_nothing_to_do(calls: None) -> None:
    assert run().startswith("Nothing to do")
    assert "No price change" in run(status=True)
    assert RIGHT not in costs()


def test_what_is_pending_is_done_and_told(calls: None) -> None:
    wanted()
    assert run().strip() == f"Revision {current_revision()}: {TOLD}"
    assert costs() == [RIGHT] * 3
    assert run().startswith("Nothing to do")


def test_all_prices_every_event_anew(calls: None) -> None:
    assert TOLD in run(all=True)
    assert costs() == [RIGHT] * 3
    again = run(all=True)
    assert "looked at 3 events, changed the cost of 0 events, +0.00 USD in all." in again


def test_status_lists_the_jobs_and_does_nothing(calls: None) -> None:
    wanted()
    assert "waiting" in run(status=True)
    assert RIGHT not in costs()
    run()
    shown = run(status=True)
    assert "done" in shown
    assert "-2.98425" in shown


def test_a_job_that_another_process_is_at_is_watched_to_its_end(
    calls: None, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = wanted()
    pauses: list[float] = []

    def others_work(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            RepriceJob.objects.filter(pk=job.pk).update(done=7, changed=1, finished_at=NOW)

    monkeypatch.setattr("events.management.commands.reprice.time.sleep", others_work)
    shown = run()
    assert shown.count("Another process is at it") == 1
    assert "looked at 7 events, changed the cost of 1 event," in shown
    assert RIGHT not in costs(), "it was the other one's work"


def test_work_of_a_process_that_died_is_taken_over(
    calls: None, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted()
    monkeypatch.setattr("events.management.commands.reprice.time.sleep", lambda seconds: other.close())
    shown = run()
    assert "Another process is at it" in shown
    assert TOLD in shown
    assert costs() == [RIGHT] * 3


def test_ctrl_c_ends_the_watching(calls: None, other: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted()

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("events.management.commands.reprice.time.sleep", interrupted)
    assert "What is done stays done" in run()
    assert RepriceJob.objects.filter(finished_at=None).exists()


def test_a_terminal_gets_a_bar(calls: None) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    wanted()
    out = Terminal()
    call_command("reprice", stdout=out)
    assert "3/3" in out.getvalue()
    assert "-2.98425 USD" in out.getvalue()
