"""Background tasks of billing, and how they are queued; see events/jobs.py for what a job is."""

from datetime import UTC, datetime

from procrastinate import JobContext
from procrastinate.contrib.django import app

from metering import closing


@app.periodic(cron="7 * * * *")
@app.task(name="metering.close_periods", queueing_lock="metering.close_periods", pass_context=True)
def close_periods(context: JobContext, timestamp: int) -> None:
    """Once an hour: drafts for what is used, and the finalizing of those that are due. `timestamp` is the hour's."""
    closing.run(datetime.now(UTC), context.should_abort)
