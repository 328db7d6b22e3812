"""Queueing a task once: with the caller's rows or not at all, and never so early that its run could miss them."""

from datetime import datetime
from typing import Any

from django.db import transaction
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import JobDeferrer
from procrastinate.manager import JobManager
from procrastinate.tasks import Task

_in_callers_transaction = JobManager(DjangoConnector())
"""Queues through Django's connection. In the worker the app itself has another one, which commits on its own."""


def defer_once(task: Task[Any, Any, Any], at: datetime | None = None) -> None:
    """Queue a task with a queueing lock as part of the caller's transaction, or at once if there is none.

    It runs at the time `at` or soon; when it is queued already, at the time at which it was to run anyway.
    """
    with transaction.atomic():
        while not (_queued(task, at) or _holds_queued(task)):
            pass


def _queued(task: Task[Any, Any, Any], at: datetime | None) -> bool:
    try:
        # A savepoint: the caller's transaction must survive the violated constraint.
        with transaction.atomic():
            JobDeferrer(_in_callers_transaction, task.configure(schedule_at=at).job).defer()
    except AlreadyEnqueued:
        return False
    return True


def _holds_queued(task: Task[Any, Any, Any]) -> bool:
    """Lock the waiting job: a worker that took it before the caller commits would not see what the caller wrote.

    False when a worker has just taken it.
    """
    waiting = ProcrastinateJob.objects.filter(queueing_lock=task.queueing_lock, status="todo")
    return bool(waiting.select_for_update(no_key=True).values_list("pk"))
