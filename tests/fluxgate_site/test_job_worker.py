"""The worker: what it runs, what it stops, what it finds again. Its tasks' work is replaced by stand-ins."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from django.db import connection, transaction
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob, ProcrastinateWorker
from procrastinate.contrib.django.utils import connector_params
from procrastinate.manager import JobManager

from events.jobs import defer_reprice
from fluxgate_site import children, job_worker
from tests.real_server import wait_for

pytestmark = pytest.mark.usefixtures("committed_db")

ShouldStop = Callable[[], bool]
RunPending = Callable[[ShouldStop], None]
SECRET = "owner@acme.example"


@pytest.fixture(autouse=True)
def no_periodic_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens is not to depend on where in its minute the test runs."""
    monkeypatch.setattr(app.periodic_registry, "periodic_tasks", {})


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[RunPending], None]:
    """Puts a function in the place of `events.repricing.run_pending`."""
    # Asked in the worker's thread, whose connection would keep the database from being dropped.
    monkeypatch.setattr("events.time_zones.is_waiting", lambda: False)
    return lambda run_pending: monkeypatch.setattr("events.repricing.run_pending", run_pending)


@contextmanager
def worker() -> Iterator[None]:
    """The worker while the body runs; afterwards it is stopped as SIGTERM stops it."""
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def run() -> None:
        task = asyncio.ensure_future(job_worker.run())
        loops.append((asyncio.get_running_loop(), task))
        with suppress(asyncio.CancelledError):
            await task

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        wait_for(lambda: bool(loops), 20)
        yield
    finally:
        for loop, task in loops:
            loop.call_soon_threadsafe(task.cancel)
        thread.join(children.STOP_SECONDS)  # then `serve` would kill it
    assert not thread.is_alive()


def insert_job(*, worker_id: int | None, queueing_lock: str | None = None, status: str = "doing") -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status, worker_id)"
            " VALUES ('default', 'events.reprice', %s, %s, %s) RETURNING id",
            [queueing_lock, status, worker_id],
        )
        return int(cursor.fetchone()[0])


def insert_worker(*, silent_seconds: float) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => %s))"
            " RETURNING id",
            [silent_seconds],
        )
        return int(cursor.fetchone()[0])


def requeue_stalled() -> int:
    async def run() -> int:
        connector = PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=1)
        await connector.open_async()
        try:
            return await job_worker.requeue_stalled(JobManager(connector))
        finally:
            await connector.close_async()

    return asyncio.run(run())


def statuses() -> dict[int, str]:
    return dict(ProcrastinateJob.objects.values_list("id", "status"))


def test_a_job_is_run_once_and_removed(stand_in: Callable[[RunPending], None]) -> None:
    calls: list[bool] = []
    stand_in(lambda should_stop: calls.append(should_stop()))
    defer_reprice()
    defer_reprice()
    with worker():
        wait_for(lambda: not ProcrastinateJob.objects.exists(), 20)
    assert calls == [False]


def test_a_worker_that_starts_goes_on_with_what_was_begun(stand_in: Callable[[RunPending], None]) -> None:
    calls: list[bool] = []
    stand_in(lambda should_stop: calls.append(should_stop()))
    with worker():
        wait_for(lambda: bool(calls), 20)


def test_a_running_job_is_told_to_stop_and_the_worker_leaves_nothing_behind(
    stand_in: Callable[[RunPending], None],
) -> None:
    started, stopped = threading.Event(), threading.Event()

    def run_pending(should_stop: ShouldStop) -> None:
        started.set()
        while not should_stop():
            time.sleep(0.01)
        stopped.set()

    stand_in(run_pending)
    with worker():
        assert started.wait(20)
        assert ProcrastinateWorker.objects.count() == 1
    assert stopped.is_set()
    assert statuses() == {}
    assert not ProcrastinateWorker.objects.exists()


def test_a_task_that_queues_does_so_in_its_own_transaction(stand_in: Callable[[RunPending], None]) -> None:
    queued: list[bool] = []

    def run_pending(should_stop: ShouldStop) -> None:
        with transaction.atomic():
            defer_reprice()
            transaction.set_rollback(True)
        queued.append(ProcrastinateJob.objects.filter(status="todo").exists())
        connection.close()  # of the worker's thread; the database could not be dropped

    stand_in(run_pending)
    with worker():
        wait_for(lambda: bool(queued), 20)
    assert queued == [False]


def test_of_a_failure_the_log_has_the_place_but_no_values(
    stand_in: Callable[[RunPending], None], caplog: pytest.LogCaptureFixture
) -> None:
    def run_pending(should_stop: ShouldStop) -> None:
        raise ValueError(f"duplicate key\nDETAIL: Key (email)=({SECRET}) already exists.")

    stand_in(run_pending)
    with worker():
        wait_for(lambda: list(statuses().values()) == ["failed"], 20)
    assert "JobFailed: ValueError: duplicate key" in caplog.text
    assert "in run_pending" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("silent_seconds", "found"), [(0, 0), (job_worker.HEARTBEAT_SECONDS * 2, 0), (job_worker.STALLED_SECONDS + 1, 1)]
)
def test_jobs_of_a_worker_that_went_silent_are_queued_again(silent_seconds: float, found: int) -> None:
    job = insert_job(worker_id=insert_worker(silent_seconds=silent_seconds))
    assert requeue_stalled() == found
    assert statuses() == {job: "todo" if found else "doing"}


def test_a_job_whose_worker_is_forgotten_is_queued_again() -> None:
    job = insert_job(worker_id=None)
    assert requeue_stalled() == 1
    assert statuses() == {job: "todo"}


def test_of_a_stalled_job_and_one_that_waits_for_the_same_one_is_left() -> None:
    insert_job(worker_id=None, queueing_lock="same")
    queued = insert_job(worker_id=None, queueing_lock="same", status="todo")
    requeue_stalled()
    assert statuses() == {queued: "todo"}
    assert requeue_stalled() == 0
