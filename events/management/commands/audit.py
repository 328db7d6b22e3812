"""manage.py audit: compares every sum with the events it stands for."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events import rollups


class Command(BaseCommand):
    help = "Compare the usage rollups with the events; exit code 1 when they differ."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        problems = rollups.audit()
        for problem in problems:
            self.stdout.write(problem)
        if problems:
            differ = "sum differs" if len(problems) == 1 else "sums differ"
            raise CommandError(f"{len(problems):,} {differ} from the events; `manage.py rebuild_usage` mends them.")
        self.stdout.write("All usage agrees with the events.")
