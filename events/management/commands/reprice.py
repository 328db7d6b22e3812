"""manage.py reprice: brings stored costs to the current prices now, and shows how far that is."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from events import repricing
from events.command_console import console_of
from events.models import RepriceJob
from events.price_import_report import exact_usd
from pricing import catalog

_PAUSE_SECONDS = 0.5
_SHOWN_JOBS = 20


class Command(BaseCommand):
    """May be stopped and started at any time: what is done stays done."""

    help = "Price stored events anew where published prices have changed. `serve` does the same by itself."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--all", action="store_true", help="price every stored event anew, at the current prices")
        what.add_argument("--status", action="store_true", help="show the newest jobs, and do nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        console = console_of(self.stdout, no_color=options["no_color"])
        if options.get("status"):
            _show_jobs(console)
            return
        if options.get("all"):
            if catalog.current_revision() == 0:
                raise CommandError("There are no prices yet: run `manage.py import_prices` first.")
            repricing.request_all(datetime.now(UTC))
        try:
            _finish(console)
        except KeyboardInterrupt:
            console.print("Stopped. What is done stays done; `serve` or the next `manage.py reprice` goes on.")


def _finish(console: Console) -> None:
    """Run the jobs that are not finished, or watch whoever is at them."""
    wanted = _unfinished()
    if not wanted:
        console.print("Nothing to do: every event has the price of the current catalog.")
        return
    with _Shown.on(console) as shown:
        while True:
            repricing.run_pending(progress=shown.update)
            if not (left := _unfinished()):
                break
            # Somebody else holds the lock. Should they end before the work does, the next turn takes it over.
            shown.watch(left[0])
            time.sleep(_PAUSE_SECONDS)
    for job in RepriceJob.objects.filter(pk__in=[job.pk for job in wanted]).order_by("pk"):
        console.print(_told(job))


def _unfinished() -> list[RepriceJob]:
    return list(RepriceJob.objects.filter(finished_at=None).order_by("pk"))


def _told(job: RepriceJob) -> str:
    looked, changed = ("1 event" if n == 1 else f"{n:,} events" for n in (job.done, job.changed))
    cost = exact_usd(int(job.delta_picousd), signed=True)
    return f"Revision {job.to_revision}: looked at {looked}, changed the cost of {changed}, {cost} USD in all."


class _Shown:
    """How far the jobs are: a bar for each on a terminal; elsewhere only who does the work."""

    def __init__(self, console: Console, bar: Progress | None) -> None:
        self.console, self.bar = console, bar
        self.tasks: dict[int, Any] = {}
        self.is_watching = False

    @classmethod
    @contextmanager
    def on(cls, console: Console) -> Iterator["_Shown"]:
        if not console.is_terminal:
            yield cls(console, None)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[usd]} USD"), console=console, transient=True) as bar:
            yield cls(console, bar)

    def update(self, job: RepriceJob) -> None:
        if self.bar is None:
            return
        if job.pk not in self.tasks:
            self.tasks[job.pk] = self.bar.add_task(f"Revision {job.to_revision}", total=job.total, usd="")
        cost = exact_usd(int(job.delta_picousd), signed=True)
        self.bar.update(self.tasks[job.pk], total=job.total, completed=job.done, usd=cost)

    def watch(self, job: RepriceJob) -> None:
        """Show a job that another process is at."""
        if not self.is_watching:
            self.is_watching = True
            self.console.print("Another process is at it. Ctrl-C ends the watching, not the work.")
        self.update(job)


def _show_jobs(console: Console) -> None:
    jobs = RepriceJob.objects.all()[:_SHOWN_JOBS]
    if not jobs:
        console.print("No price change has touched stored events yet.")
        return
    table = Table("revision", "asked for (UTC)", "state", "looked at", "changed", "USD")
    for job in jobs:
        state = "done" if job.finished_at else "waiting" if job.started_at is None else f"{job.percent} %"
        figures = (f"{job.done:,} of {job.total:,}", f"{job.changed:,}", exact_usd(int(job.delta_picousd), signed=True))
        table.add_row(str(job.to_revision), f"{job.created_at:%Y-%m-%d %H:%M}", state, *figures)
    console.print(table)
