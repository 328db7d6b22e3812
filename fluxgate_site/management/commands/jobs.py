"""`manage.py jobs`: runs what is queued. `serve` starts it and keeps it alive."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError
from procrastinate.exceptions import ConnectorException

from fluxgate_site import job_worker

NICENESS = 5
"""Jobs may take a third of the time that a web process gets when both want it; alone they get all of it."""


class Command(BaseCommand):
    help = "Run background jobs until SIGTERM. `serve` starts this; the database must be running."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        os.nice(NICENESS)
        try:
            asyncio.run(_run_until_sigterm())
        except (ConnectorException, psycopg.Error) as error:
            cause = error.__cause__ or error
            # The first line alone: details quote rows, and rows hold customers' values.
            reason = str(cause).strip().partition("\n")[0] or type(cause).__name__
            raise CommandError(f"The job worker lost the database: {reason}") from None


async def _run_until_sigterm() -> None:
    work = asyncio.create_task(job_worker.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with suppress(asyncio.CancelledError):
        await work
