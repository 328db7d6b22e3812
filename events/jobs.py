"""Background tasks of this app, and how they are queued. The process `jobs` runs them (fluxgate_site/job_worker.py).

A job only says that there is something to do; what it is, and how far it has come, stands in the app's own tables.
"""

from django.db import transaction
from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import JobDeferrer
from procrastinate.manager import JobManager

from events import repricing

_in_callers_transaction = JobManager(DjangoConnector())
"""Queues through Django's connection. In the worker the app itself has another one, which commits on its own."""


@app.task(name="events.reprice", queueing_lock="events.reprice", pass_context=True)
def reprice(context: JobContext) -> None:
    """Re-price what published revisions have changed; stops at its next page when the worker is told to stop."""
    repricing.run_pending(context.should_abort)


@app.periodic(cron="* * * * *")
@app.task(name="events.continue_unfinished", queueing_lock="events.continue_unfinished", pass_context=True)
def continue_unfinished(context: JobContext, timestamp: int) -> None:
    """Once a minute: go on with a re-pricing whose worker died or was stopped. `timestamp` is the minute's."""
    repricing.run_pending(context.should_abort)


def defer_reprice() -> None:
    """Queue `reprice` as part of the caller's transaction, or after the caller's commit if there is none."""
    with transaction.atomic():
        while not (_queued() or _holds_queued()):
            pass


def _queued() -> bool:
    try:
        # A savepoint: the caller's transaction must survive the violated constraint.
        with transaction.atomic():
            JobDeferrer(_in_callers_transaction, reprice.configure().job).defer()
    except AlreadyEnqueued:
        return False
    return True


def _holds_queued() -> bool:
    """Lock the waiting job: a worker that took it before the caller commits would not see what the caller wrote.

    False when a worker has just taken it.
    """
    waiting = ProcrastinateJob.objects.filter(queueing_lock=reprice.queueing_lock, status="todo")
    return bool(waiting.select_for_update(no_key=True).values_list("pk"))
