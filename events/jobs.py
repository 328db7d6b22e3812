"""Background tasks of this app, and how they are queued. The process `jobs` runs them (fluxgate_site/job_worker.py).

A job only says that there is something to do; what it is, and how far it has come, stands in the app's own tables.
"""

from procrastinate import JobContext
from procrastinate.contrib.django import app

from events import repricing, time_zones
from events.models import RepriceJob
from events.queueing import defer_once


@app.task(name="events.reprice", queueing_lock="events.reprice", pass_context=True)
def reprice(context: JobContext) -> None:
    """Re-price what published revisions have changed; stops at its next page when the worker is told to stop.

    Makes room for a change of time zone, which must have the usage for itself and queues this task again.
    """
    repricing.run_pending(lambda: context.should_abort() or time_zones.is_waiting())


@app.task(name="events.rebuild_for_time_zone", queueing_lock="events.rebuild_for_time_zone", pass_context=True)
def rebuild_for_time_zone(context: JobContext) -> None:
    """Make the usage of organizations anew whose time zone has changed, then let re-pricing go on."""
    time_zones.run_pending(context.should_abort)
    if RepriceJob.objects.filter(finished_at=None).exists():
        defer_reprice()


@app.periodic(cron="* * * * *")
@app.task(name="events.continue_unfinished", queueing_lock="events.continue_unfinished", pass_context=True)
def continue_unfinished(context: JobContext, timestamp: int) -> None:
    """Once a minute: go on with what a worker that died or was stopped has left. `timestamp` is the minute's."""
    time_zones.run_pending(context.should_abort)
    repricing.run_pending(lambda: context.should_abort() or time_zones.is_waiting())


def defer_reprice() -> None:
    """Queue `reprice` as part of the caller's transaction, or after the caller's commit if there is none."""
    defer_once(reprice)


def defer_time_zone_rebuild() -> None:
    """Queue `rebuild_for_time_zone` in the same way."""
    defer_once(rebuild_for_time_zone)
