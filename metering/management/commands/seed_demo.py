"""manage.py seed_demo: fills an organization with the invented traffic of a believable product, and bills it."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from events import demo_writer
from events.demo import Traffic
from events.demo_writer import Demo
from events.models import Organization
from metering import demo_writer as billing_writer
from pricing import catalog
from pricing.costs import usd

_PLAIN_LINES = 4


class Command(BaseCommand):
    """The same arguments give the same data up to the last full hour, and are written to an organization only once."""

    help = (
        "Write sample data: users with plans, priced events of the last days, and, where the organization has no meters"
        " yet, metered usage with its invoices. Deterministic for one seed and hour."
        " Running it again with the same arguments adds nothing."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG", help="where the data goes")
        parser.add_argument(
            "--events", type=_from_1_to(50_000_000), default=20_000, metavar="N", help="default: 20,000"
        )
        parser.add_argument("--days", type=_from_1_to(3_650), default=90, metavar="D", help="default: 90")
        parser.add_argument("--seed", type=int, default=1, metavar="K", help="another number, other data; default: 1")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"--organization: there is no organization '{options['organization']}'.")
        if catalog.current_revision() == 0:
            raise CommandError("There are no prices yet: run `manage.py import_prices` first.")
        wanted = Demo(organization, options["events"], options["days"], options["seed"])
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        console = Console(
            file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True, no_color=options["no_color"]
        )
        _write_events(wanted, now, console)
        _write_billing(wanted, now, console)


def _write_events(wanted: Demo, now: datetime, console: Console) -> None:
    with _progress(console, "events", wanted.number) as progress:
        try:
            written = demo_writer.write(wanted, now=now, progress=lambda count: progress(count, wanted.number))
        except demo_writer.PricesChanged as error:
            raise CommandError(str(error)) from None
    if written is None:
        console.print(f"{wanted.organization.slug} has this sample data already; nothing was added.", markup=False)
        return
    console.print(
        f"Wrote {written.events:,} events of {written.users} users from {wanted.days} days"
        f" up to {now:%Y-%m-%d %H:%M} UTC, worth {usd(written.spend_picousd):,.2f} USD.",
        markup=False,
    )


def _write_billing(wanted: Demo, now: datetime, console: Console) -> None:
    organization = wanted.organization
    traffic = Traffic(wanted.seed, wanted.days, wanted.number, now, organization.zone)
    with _progress(console, "usage records and invoices", None) as progress:
        written = billing_writer.write(organization, traffic, progress=progress)
    if written is None:
        console.print(f"{organization.slug} has meters already; no metered usage was added.", markup=False)
        return
    console.print(f"Wrote {written.records:,} usage records and {written.invoices} invoices.", markup=False)


@contextmanager
def _progress(console: Console, what: str, total: int | None) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a few lines elsewhere. It is told how many are done, of how many."""
    if not console.is_terminal:
        yield _plain_progress(console, what)
        return
    columns = (TextColumn(f"Writing {what}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count, of: bar.update(task, completed=count, total=of)


def _plain_progress(console: Console, what: str) -> Callable[[int, int], None]:
    shown = 0

    def show(count: int, total: int) -> None:
        nonlocal shown
        if count * _PLAIN_LINES // total > shown and count < total:
            shown = count * _PLAIN_LINES // total
            console.print(f"{count:,} of {total:,} {what}", markup=False)

    return show


def _from_1_to(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
            raise ArgumentTypeError(f"must be a whole number from 1 to {most:,}")
        return int(text)

    return parse
