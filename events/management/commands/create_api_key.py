"""manage.py create_api_key: prints the key and nothing else, so that a script can take it."""

import re
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError

from events import api_keys
from events.models import ApiKey, Environment, Organization, Scope

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Command(BaseCommand):
    help = "Create an API key of an organization; prints only the key, which cannot be shown again."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="the organization")
        parser.add_argument("--name", required=True, help="where the key is used")
        parser.add_argument(
            "--scope", action="append", choices=Scope.values, help="may be repeated; default: events:write"
        )
        parser.add_argument("--environment", choices=Environment.labels, default="live")
        parser.add_argument("--expires", help="30d, 12h, or a time such as 2027-01-31T00:00 (organization's zone)")

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        organization = Organization.objects.filter(slug=options["slug"]).first()
        if organization is None:
            raise CommandError(f"SLUG: there is no organization '{options['slug']}'.")
        expires = options["expires"]
        _, text = api_keys.create(
            organization=organization,
            name=_name(options["name"]),
            environment=Environment[options["environment"].upper()],
            scopes=sorted(set(options["scope"] or [Scope.EVENTS_WRITE.value])),
            expires_at=None if expires is None else parse_expiry(expires, organization.zone, now),
            created_by=None,
            now=now,
        )
        self.stdout.write(text)


def _name(name: str) -> str:
    longest = ApiKey._meta.get_field("name").max_length or 0
    if not name.strip() or len(name) > longest:
        raise CommandError(f"--name: must have 1 to {longest} characters.")
    return name.strip()


def parse_expiry(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """A span from `now` such as 30d, or an ISO 8601 date or time, in `zone` unless it names its own; in the future."""
    try:
        if span := re.fullmatch(r"(\d{1,6})([mhd])", text):
            expires_at = now + timedelta(**{_UNITS[span[2]]: int(span[1])})
        else:
            expires_at = datetime.fromisoformat(text)
            expires_at = (expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(f"--expires: '{text}' is neither a span like 30d nor a time like 2027-01-31.") from None
    if expires_at <= now:
        raise CommandError(f"--expires: {text} is not in the future.")
    return expires_at
