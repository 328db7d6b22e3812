"""Rows for tests: each factory saves what a test does not care about, and takes what it does."""

from datetime import UTC, datetime
from typing import Any

import factory
from factory.django import DjangoModelFactory

from events import keys
from events.models import ApiKey, Environment, Membership, Organization, Role, TrackedUser, User

PASSWORD = "correct horse battery staple"


class UserFactory(DjangoModelFactory):  # type: ignore[misc]
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = "Pat Person"
    password = factory.django.Password(PASSWORD)


class OrganizationFactory(DjangoModelFactory):  # type: ignore[misc]
    class Meta:
        model = Organization

    name = factory.Sequence(lambda n: f"Organization {n}")
    slug = factory.Sequence(lambda n: f"organization-{n}")


class MembershipFactory(DjangoModelFactory):  # type: ignore[misc]
    class Meta:
        model = Membership

    organization = factory.SubFactory(OrganizationFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.MEMBER


class ApiKeyFactory(DjangoModelFactory):  # type: ignore[misc]
    """A key whose text is in the attribute `text` of the row that was made, and nowhere else."""

    class Meta:
        model = ApiKey

    organization = factory.SubFactory(OrganizationFactory)
    name = "chat backend"
    environment = Environment.LIVE
    created_at = factory.LazyFunction(lambda: datetime.now(UTC))

    @classmethod
    def _create(cls, model_class: type[ApiKey], *args: Any, **values: Any) -> ApiKey:
        text = values.pop("text", None) or keys.generate(Environment(values["environment"]).label)
        shown = {"prefix": text[: keys.SHOWN_CHARACTERS], "last4": text[-4:], "sha256": keys.digest(text)}
        key: ApiKey = super()._create(model_class, *args, **(shown | values))
        key.text = text  # type: ignore[attr-defined]
        return key


class TrackedUserFactory(DjangoModelFactory):  # type: ignore[misc]
    class Meta:
        model = TrackedUser

    organization = factory.SubFactory(OrganizationFactory)
    external_id = factory.Sequence(lambda n: f"user-{n}")
