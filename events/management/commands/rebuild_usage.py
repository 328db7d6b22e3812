"""manage.py rebuild_usage: makes every sum anew from the events."""

from typing import Any

from django.core.management.base import BaseCommand

from events import rollups


class Command(BaseCommand):
    help = "Make the usage rollups anew from the events. Events may arrive meanwhile."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        events = rollups.rebuild()
        self.stdout.write(f"The usage was made anew from {events:,} {'event' if events == 1 else 'events'}.")
