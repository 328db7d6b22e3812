"""Queueing: with the caller's rows or not at all, once, and never too early."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from events.jobs import continue_unfinished, defer_reprice, reprice
from events.models import Organization
from events.runtime import database_conninfo

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def other() -> Iterator[psycopg.Connection[Any]]:
    """Another process's connection: a worker's, or that of somebody who publishes as well."""
    with psycopg.connect(database_conninfo(), autocommit=True) as connection:
        yield connection


def waiting() -> list[str]:
    return list(ProcrastinateJob.objects.filter(status="todo").values_list("task_name", flat=True))


def fetch(worker: psycopg.Connection[Any]) -> int | None:
    """The job that a worker gets, or None."""
    row = worker.execute("SELECT id FROM procrastinate_fetch_job_v2(NULL, NULL)").fetchone()
    assert row is not None
    found: int | None = row[0]
    return found


def test_a_job_is_committed_with_what_the_caller_wrote(other: psycopg.Connection[Any]) -> None:
    with transaction.atomic():
        Organization.objects.create(name="Acme", slug="acme")
        defer_reprice()
        assert fetch(other) is None
    assert Organization.objects.exists()
    assert fetch(other) is not None


def test_a_job_of_a_transaction_rolled_back_is_not_queued() -> None:
    with transaction.atomic():
        defer_reprice()
        transaction.set_rollback(True)
    assert waiting() == []


def test_queued_twice_is_queued_once_and_the_callers_transaction_survives() -> None:
    defer_reprice()
    with transaction.atomic():
        defer_reprice()
        Organization.objects.create(name="Acme", slug="acme")
    assert Organization.objects.exists()
    assert waiting() == ["events.reprice"]


def test_a_job_that_waits_is_not_taken_before_the_second_who_queued_it_commits(
    other: psycopg.Connection[Any],
) -> None:
    defer_reprice()
    with transaction.atomic():
        defer_reprice()
        assert fetch(other) is None, "it would run without seeing what this transaction wrote"
    assert fetch(other) is not None


def test_while_one_runs_another_can_be_queued(other: psycopg.Connection[Any]) -> None:
    defer_reprice()
    running = fetch(other)
    defer_reprice()
    assert waiting() == ["events.reprice"]
    assert fetch(other) not in (None, running)


def test_without_a_transaction_the_job_is_queued_at_once(other: psycopg.Connection[Any]) -> None:
    assert not connection.in_atomic_block
    defer_reprice()
    assert fetch(other) is not None


def test_what_is_unfinished_is_looked_for_every_minute() -> None:
    planned = app.periodic_registry.periodic_tasks.values()
    assert {(each.task.name, each.cron) for each in planned if each.task.name.startswith("events.")} == {
        (continue_unfinished.name, "* * * * *")
    }


@pytest.mark.parametrize("task", [reprice, continue_unfinished], ids=lambda task: task.name)
def test_no_lock_lets_the_job_of_a_killed_worker_block_later_ones(task: Any) -> None:
    assert task.lock is None
    assert task.queueing_lock == task.name
