"""manage.py create_organization: an organization and its owner, as JSON for the program that asked for them."""

import json
import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from events.models import Membership, Organization, Role, User

_ARGUMENT_OF = {"name": "NAME", "slug": "--slug", "time_zone": "--timezone", "email": "--owner"}


class Command(BaseCommand):
    """Safe to run at every start: an organization that exists is printed and left as it is."""

    help = "Create an organization and its owner; prints JSON."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="what people call the organization")
        parser.add_argument("--slug", required=True, help="its short name in addresses and commands")
        parser.add_argument("--owner", required=True, metavar="EMAIL", help="who owns it; may have an account already")
        parser.add_argument("--password", help="of a new owner; left out: one is made up and printed")
        parser.add_argument("--timezone", default="UTC", help="where its days start, for example Europe/Berlin")
        parser.add_argument("--superuser", action="store_true", help="the owner operates the whole installation")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            organization, created = _organization(options)
            owner, password = _owner(options["owner"], options["password"])
            if created:
                Membership.objects.create(organization=organization, user=owner, role=Role.OWNER)
            _open_admin(owner, superuser=options["superuser"])
        printed = {
            "id": organization.pk,
            "slug": organization.slug,
            "name": organization.name,
            "timezone": organization.time_zone,
            "owner": owner.email,
            "created": created,
        }
        self.stdout.write(json.dumps(printed | ({"password": password} if password else {}), ensure_ascii=False))


def _organization(options: dict[str, Any]) -> tuple[Organization, bool]:
    found = Organization.objects.filter(slug=options["slug"]).first()
    if found is None:
        new = Organization(name=options["name"], slug=options["slug"], time_zone=options["timezone"])
        _check(new)
        new.save()
        return new, True
    owners = Membership.objects.filter(organization=found, role=Role.OWNER)
    if not owners.filter(user__email__iexact=options["owner"]).exists():
        raise CommandError(
            f"--owner: the organization '{found.slug}' exists, and {options['owner']} is not an owner of it."
        )
    return found, False


def _owner(email: str, password: str | None) -> tuple[User, str | None]:
    """The person, and the password that was made up for them, if one was. An account that exists keeps its own."""
    if password == "":
        raise CommandError("--password: must not be empty; leave it out to have one made up.")
    found = User.objects.filter(email__iexact=email).first()
    if found is not None:
        return found, None
    _check(User(email=email))
    made_up = None if password else secrets.token_urlsafe(12)
    return User.objects.create_user(email, password or made_up), made_up


def _open_admin(owner: User, *, superuser: bool) -> None:
    owner.is_staff = True
    owner.is_superuser = owner.is_superuser or superuser
    owner.save(update_fields=["is_staff", "is_superuser"])


def _check(instance: Organization | User) -> None:
    try:
        instance.full_clean(exclude=["password"])
    except ValidationError as error:
        sentences = [
            f"{_ARGUMENT_OF.get(field, field)}: {' '.join(said)}" for field, said in error.message_dict.items()
        ]
        raise CommandError("\n".join(sentences)) from error
