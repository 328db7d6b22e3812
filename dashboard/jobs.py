"""Background tasks of the pages, and how they are queued; see events/jobs.py for what a job is."""

from datetime import UTC, datetime

from procrastinate import JobContext
from procrastinate.contrib.django import app

from dashboard import export_work
from events.queueing import defer_once


@app.task(name="dashboard.write_exports", queueing_lock="dashboard.write_exports", pass_context=True)
def write_exports(context: JobContext) -> None:
    """Write the files that people asked for; stops at the next batch when the worker is told to stop."""
    export_work.run_pending(context.should_abort, _now)


@app.periodic(cron="* * * * *")
@app.task(name="dashboard.tend_exports", queueing_lock="dashboard.tend_exports", pass_context=True)
def tend_exports(context: JobContext, timestamp: int) -> None:
    """Once a minute: remove what has expired, and go on with what a worker left. `timestamp` is the minute's."""
    export_work.remove_old(_now())
    export_work.run_pending(context.should_abort, _now)


def defer_write_exports() -> None:
    """Queue `write_exports` as part of the caller's transaction, or after the caller's commit if there is none."""
    defer_once(write_exports)


def _now() -> datetime:
    return datetime.now(UTC)
