"""manage.py import_prices: brings the price catalog to what the installed genai-prices says."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import IO, Any, cast

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from pricing.importers.store import Imported, import_genai_prices

_SHOWN_MODELS = 30


class Command(BaseCommand):
    """Safe to run at every start: the same prices twice change nothing."""

    help = "Import the prices of the installed genai-prices package into the catalog."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")

    def handle(self, *args: Any, dry_run: bool = False, **options: Any) -> None:
        console = Console(
            file=cast(IO[str], self.stdout), highlight=False, soft_wrap=True, no_color=options["no_color"]
        )
        with console.status("Reading genai-prices and comparing it with the catalog"):
            imported = import_genai_prices(now=datetime.now(UTC), dry_run=dry_run)
        if imported.difference.is_empty():
            console.print("The catalog is up to date.")
            return
        self._show(console, imported)
        if imported.revision is None:
            console.print("Dry run: nothing was written.")
        else:
            console.print(f"Written as revision {imported.revision}.")

    def _show(self, console: Console, imported: Imported) -> None:
        table = Table("change", "rows")
        for name, count in imported.difference.counts().items():
            if count:
                table.add_row(name.replace("_", " "), f"{count:,}")
        console.print(table)
        summary = imported.difference.summary()
        for title in ("repriced_models", "dropped_models"):
            models: list[str] = summary[title]
            if models:
                shown = ", ".join(models[:_SHOWN_MODELS])
                more = f" and {len(models) - _SHOWN_MODELS:,} more" if len(models) > _SHOWN_MODELS else ""
                console.print(f"{title.replace('_', ' ')}: {shown}{more}", markup=False)
        for note in imported.notes:
            console.print(f"not taken over: {note}", markup=False)
