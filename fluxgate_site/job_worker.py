"""The process that runs background jobs: procrastinate's worker, and the upkeep of its queue.

A job is a bell, not the work: what there is to do stands in the tables of the app that queued it, and every task can be
run again at any time. So a job that is lost, run twice or cut short costs time and nothing else.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.job_context import JobContext
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.middleware import SyncCallNext
from procrastinate.utils import utcnow
from procrastinate.worker import Worker

from events.jobs import reprice

logger = logging.getLogger("fluxgate.jobs")

CONCURRENCY = 2
"""One that takes long, and one beside it that does not."""
HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 20.0
UPKEEP_SECONDS = 10.0
KEPT_HOURS = 14 * 24
"""For how long a job that failed can be looked at. One that succeeded is removed at once."""


class JobFailed(Exception):
    """What a task raised: its kind and the first line of its text."""


async def run() -> None:
    """Run jobs until this is cancelled, which running jobs learn of at once; then wait for them.

    Raises ConnectorException or psycopg.Error when the database is lost.
    """
    connector = PsycopgConnector(kwargs=connector_params("default"), min_size=1, max_size=2)
    with app.replace_connector(connector):
        async with app.open_async():
            await _continue_unfinished()
            upkeep = asyncio.create_task(_keep_up(app.job_manager))
            try:
                await app.run_worker_async(
                    concurrency=CONCURRENCY,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=STALLED_SECONDS,
                    delete_jobs="successful",
                    shutdown_graceful_timeout=0,
                    install_signal_handlers=False,
                    task_middleware=[*app.worker_defaults.get("task_middleware", []), without_details],
                )
                raise ConnectorException("one of its connections was closed")
            finally:
                upkeep.cancel()


async def requeue_stalled(manager: JobManager) -> int:
    """Queue the jobs again whose worker has died, and return how many they were.

    One that waits in the queue already, under the same queueing lock, is dropped in its favour.
    """
    stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS))
    for job in stalled:
        assert job.id is not None, "stalled jobs come from the table"
        try:
            await manager.retry_job_by_id_async(job.id, retry_at=utcnow())
            logger.warning("job %s (%s) lost its worker; queued again", job.id, job.task_name)
        except UniqueViolation:
            await manager.finish_job_by_id_async(job.id, Status.ABORTED, delete_job=True)
    return len(stalled)


def without_details(call_next: SyncCallNext, context: JobContext, worker: Worker) -> Any:
    """Middleware of all tasks: the log shows where one failed, and no more of the error than its first line.

    The details of a database error quote rows, and rows hold customers' values.
    """
    try:
        return call_next()
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise JobFailed(f"{type(error).__name__}: {reason}").with_traceback(error.__traceback__) from None


async def _continue_unfinished() -> None:
    """Queue what a worker that died may have been at, without waiting until it counts as stalled."""
    with suppress(AlreadyEnqueued):
        await reprice.defer_async()


async def _keep_up(manager: JobManager) -> None:
    while True:
        try:
            await requeue_stalled(manager)
            await manager.delete_old_jobs(
                nb_hours=KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
            )
        except ConnectorException as error:
            logger.warning("the job queue's upkeep failed, will go on trying: %s", type(error.__cause__).__name__)
        await asyncio.sleep(UPKEEP_SECONDS)
