"""manage.py import_events: history from a file, with its own times."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec
import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from events import event_import
from events.command_console import console_of
from events.event_import import Busy, Imported, Rejected
from events.history_files import Unreadable
from events.models import Environment, Organization
from pricing import catalog
from pricing.costs import usd

_SHOWN = 20


class Command(BaseCommand):
    """May be stopped and run again at any time: what is stored stays stored, and nothing is stored twice."""

    help = (
        "Store past events from a file: JSON lines in the shape of POST /api/events (.jsonl), or a table in the columns"
        " of exports (.csv, .parquet). Each is priced at its own time. Running it again adds only what is missing."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help=".jsonl, .csv (both also .gz) or .parquet")
        parser.add_argument("--organization", required=True, metavar="SLUG", help="where the events go")
        parser.add_argument(
            "--environment",
            choices=[one.label for one in Environment],
            default="live",
            help="of lines that name none",
        )
        parser.add_argument(
            "--rejects", type=Path, metavar="FILE", help="where refused lines go; default: FILE.rejected.jsonl"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"--organization: there is no organization '{options['organization']}'.")
        if catalog.current_revision() == 0:
            raise CommandError("There are no prices yet: run `manage.py import_prices` first.")
        path: Path = options["file"]
        rejects = options["rejects"] or path.with_name(f"{path.name}.rejected.jsonl")
        console = console_of(self.stdout, no_color=options["no_color"])
        imported = _imported(path, organization, Environment[options["environment"].upper()], rejects, console)
        console.print(_told(imported, organization))
        if imported.rejected:
            raise CommandError(f"{_lines(imported.rejected)} refused; they stand with the reasons in {rejects}.")


def _imported(
    path: Path, organization: Organization, environment: Environment, rejects: Path, console: Console
) -> Imported:
    now = datetime.now(UTC)
    try:
        with _progress(console) as progress, _rejects(rejects, console) as reject:
            return event_import.run(path, organization, environment, now=now, progress=progress, reject=reject)
    except Unreadable as error:
        raise CommandError(str(error)) from None
    except Busy:
        raise CommandError(f"Another import into {organization.slug} is running.") from None
    except OSError as error:
        raise CommandError(f"{error.filename or path}: {error.strerror}.") from None
    except (Error, psycopg.Error) as error:
        # The first line alone: details quote rows, and rows hold customers' values.
        reason = str(error).strip().partition("\n")[0]
        raise CommandError(f"The database was lost ({reason}). Run it again: it goes on where it was.") from None
    except KeyboardInterrupt:
        raise CommandError("Stopped. Run it again: it goes on where it was.") from None


def _told(imported: Imported, organization: Organization) -> str:
    events = "1 event" if imported.stored == 1 else f"{imported.stored:,} events"
    known = f", {imported.known:,} were there already" if imported.known else ""
    unpriced = f", {imported.unpriced:,} of them without a price" if imported.unpriced else ""
    worth = f"{usd(imported.spend_picousd):,.2f} USD"
    return f"Stored {events} in {organization.slug}, worth {worth}{unpriced}{known}."


def _lines(number: int) -> str:
    return "1 line was" if number == 1 else f"{number:,} lines were"


@contextmanager
def _rejects(path: Path, console: Console) -> Iterator[Callable[[Rejected], None]]:
    """Writes refused lines to the file, which is made with the first one, and shows some of them."""
    file: TextIO | None = None
    shown = 0

    def reject(rejected: Rejected) -> None:
        nonlocal file, shown
        file = file or path.open("w", encoding="utf-8")
        errors = [{"field": error.field, "message": error.message} for error in rejected.errors]
        line = {"line": rejected.line.number, "errors": errors, "text": rejected.line.text}
        file.write(msgspec.json.encode(line).decode() + "\n")
        shown += 1
        if shown <= _SHOWN:
            said = "; ".join(f"{one['field']} {one['message']}".strip() for one in errors)
            console.print(f"line {rejected.line.number}: {said}")
        elif shown == _SHOWN + 1:
            console.print("More lines are refused; they stand in the file of rejects.")

    try:
        yield reject
    finally:
        if file is not None:
            file.close()


@contextmanager
def _progress(console: Console) -> Iterator[event_import.Progress]:
    """A bar on a terminal, nothing elsewhere."""
    if not console.is_terminal:
        yield lambda read, size: None
        return
    columns = (TextColumn("Importing events"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda read, size: bar.update(task, completed=read, total=size)
