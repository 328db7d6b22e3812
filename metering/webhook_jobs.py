"""Background tasks that send webhooks, and how they are queued; see events/jobs.py for what a job is.

Apart from metering/jobs.py, which closes periods and so makes what webhooks tell of.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from procrastinate import JobContext
from procrastinate.contrib.django import app

from events.queueing import defer_once
from metering import webhook_sending

_MINUTE: Final = timedelta(minutes=1)


@app.task(name="metering.send_webhooks", queueing_lock="metering.send_webhooks", pass_context=True)
def send_webhooks(context: JobContext) -> None:
    """Send the webhooks that are due; stops when the worker is told to stop."""
    _send_webhooks(context)


@app.task(name="metering.retry_webhooks", queueing_lock="metering.retry_webhooks", pass_context=True)
def retry_webhooks(context: JobContext) -> None:
    """The same, a few seconds after a try that failed. A task of its own: while it waits, `send_webhooks` must not."""
    _send_webhooks(context)


@app.periodic(cron="* * * * *")
@app.task(name="metering.tend_webhooks", queueing_lock="metering.tend_webhooks", pass_context=True)
def tend_webhooks(context: JobContext, timestamp: int) -> None:
    """Once a minute: send what is due by now, or was left by a worker that died. `timestamp` is the minute's."""
    _send_webhooks(context)


def defer_send_webhooks() -> None:
    """Queue `send_webhooks` as part of the caller's transaction, or after the caller's commit if there is none."""
    defer_once(send_webhooks)


def _send_webhooks(context: JobContext) -> None:
    webhook_sending.run_pending(context.should_abort, _now)
    next_try_at = webhook_sending.next_try_at()
    if next_try_at and next_try_at < _now() + _MINUTE:
        defer_once(retry_webhooks, at=next_try_at)


def _now() -> datetime:
    return datetime.now(UTC)
