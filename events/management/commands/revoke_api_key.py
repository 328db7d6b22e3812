"""manage.py revoke_api_key: by what pages show of a key, or by the full text of one that leaked."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events import api_keys
from events.keys import SHOWN_CHARACTERS
from events.models import ApiKey


class Command(BaseCommand):
    help = "Revoke an API key: it is refused everywhere within 5 seconds."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("prefix", metavar="PREFIX", help="the key's first 15 characters, or the whole key")

    def handle(self, *args: Any, prefix: str, **options: Any) -> None:
        key = _find(prefix)
        named = f"{api_keys.shown(key)} ('{key.name}', organization '{key.organization.slug}')"
        if api_keys.revoke(key=key, now=datetime.now(UTC)):
            self.stdout.write(f"The key {named} is revoked: every call is refused within 5 seconds.")
        else:
            self.stdout.write(f"The key {named} was revoked before, on {key.revoked_at:%Y-%m-%d %H:%M} UTC.")


def _find(text: str) -> ApiKey:
    found = api_keys.find_by_prefix_or_key(text)
    if not found:
        # Only the beginning: the text may be a key that leaked, and output ends up in logs.
        beginning = text.strip()[:SHOWN_CHARACTERS]
        raise CommandError(
            f"PREFIX: there is no API key '{beginning}{'…' if len(text.strip()) > SHOWN_CHARACTERS else ''}'. "
            f"Give its first {SHOWN_CHARACTERS} characters or the whole key."
        )
    if len(found) > 1:
        listed = "\n".join(f"  {api_keys.shown(key)}  {key.name}  ({key.organization.slug})" for key in found)
        raise CommandError(f"PREFIX: {len(found)} API keys begin so; give one of these, or the whole key:\n{listed}")
    return found[0]
