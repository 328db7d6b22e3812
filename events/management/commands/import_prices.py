"""manage.py import_prices: brings the price catalog to what the installed lists say, and stored costs after it."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError
from rich.console import Console

from events import price_import_report as report
from events.command_console import console_of
from events.price_imports import CatalogMoved, Trial, publish_import, try_import
from pricing.catalog import current_revision
from pricing.importers.cross_check import load_second_list
from pricing.importers.rows import PriceList
from pricing.importers.store import price_lists


class NeedsApproval(CommandError):
    """The import was tried, and waits for somebody to approve it."""


class Command(BaseCommand):
    """Safe to run at every start: the same prices twice change nothing."""

    help = (
        "Import the prices of the installed genai-prices and of pricing/corrections.yaml. Shows first what changes and"
        " what that does to stored events. New models are added at once; what gives known models another price has to"
        " be approved."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
        parser.add_argument("--yes", action="store_true", help="approve the changes of known prices")
        parser.add_argument("--no-input", dest="interactive", action="store_false", help="never ask")
        check = parser.add_mutually_exclusive_group()
        check.add_argument("--no-cross-check", action="store_true", help="do not compare with metergraph-core")
        check.add_argument("--check-all", action="store_true", help="compare every model that both lists know")

    def handle(self, *args: Any, **options: Any) -> None:
        console = console_of(self.stdout, no_color=options["no_color"])
        now = datetime.now(UTC)
        try:
            self._import(console, now, options)
        except CatalogMoved:
            raise CommandError("The catalog was changed meanwhile; nothing was written. Run it again.") from None
        except IntegrityError as error:
            raise CommandError(f"The lists contradict themselves; nothing was written. {error}") from None

    def _import(self, console: Console, now: datetime, options: dict[str, Any]) -> None:
        lists = self._read(console)
        with _busy(console, "Comparing with the catalog and the stored events"):
            try:
                if options.get("no_cross_check") and not options.get("dry_run") and current_revision() == 0:
                    # The first start of a server: there is nothing to compare with, and somebody waits.
                    report.show_published(console, publish_import(lists, revision=0, now=now))
                    return
                trial = try_import(
                    lists,
                    now=now,
                    second=None if options.get("no_cross_check") else load_second_list(),
                    check_all=bool(options.get("check_all")),
                )
            except ValueError as error:
                raise CommandError(f"{error}. Nothing was written.") from None
        self._decide(console, lists, trial, now, options)

    def _decide(
        self, console: Console, lists: Sequence[PriceList], trial: Trial, now: datetime, options: dict[str, Any]
    ) -> None:
        if trial.changes_anything:
            report.show_lists(console, lists)
            report.show_changes(console, trial.imported, trial.effect)
        report.show_disagreements(console, trial.disagreements)
        if not trial.changes_anything:
            console.print("The catalog is up to date.")
        elif options.get("dry_run"):
            report.show_reasons(console, trial.reasons)
            console.print("Dry run: nothing was written.")
        elif self._is_approved(console, trial, options):
            report.show_published(console, publish_import(lists, revision=trial.revision, now=now))
        else:
            console.print("Nothing was written.")

    def _read(self, console: Console) -> tuple[PriceList, ...]:
        with _busy(console, "Reading the price lists"):
            try:
                return price_lists()
            except ValueError as error:
                raise CommandError(f"{error}. Nothing was written.") from None

    def _is_approved(self, console: Console, trial: Trial, options: dict[str, Any]) -> bool:
        """True, or the answer of whoever sits at the terminal. Raises NeedsApproval where nobody does."""
        if not trial.reasons:
            return True
        report.show_reasons(console, trial.reasons)
        if options.get("yes"):
            return True
        if not (options.get("interactive", True) and sys.stdin.isatty()):
            raise NeedsApproval(
                "Nothing was written: these prices need to be approved. To approve them, run:"
                " manage.py import_prices --yes"
            )
        return console.input("Import these prices? [y/N] ").strip().lower() in ("y", "yes")


def _busy(console: Console, what: str) -> AbstractContextManager[object]:
    """A spinner on a terminal; elsewhere it would be an empty line."""
    return console.status(what) if console.is_terminal else nullcontext()
