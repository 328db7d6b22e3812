"""An organization with its people, each with a browser of their own that is signed in."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from events.models import Organization, Role
from tests.factories import MembershipFactory, OrganizationFactory

type SignIn = Callable[..., Client]


@pytest.fixture
def organization(db: None) -> Organization:
    made: Organization = OrganizationFactory(name="Northwind")
    return made


@pytest.fixture
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """A data directory that no other test sees, also none that runs beside this one."""
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def sign_in() -> SignIn:
    """`sign_in(organization, role=…)`: a client signed in as a new member."""

    def signed_in(organization: Organization, role: Role = Role.MEMBER) -> Client:
        client = Client()
        client.force_login(MembershipFactory(organization=organization, role=role).user)
        return client

    return signed_in


@pytest.fixture
def member(organization: Organization, sign_in: SignIn) -> Client:
    return sign_in(organization)


@pytest.fixture
def now() -> datetime:
    """The pages read the clock themselves, so events are dated from it."""
    return datetime.now(UTC)


HTMX = {"HX-Request": "true"}


def htmx(target: str = "") -> dict[str, str]:
    """Headers of a request that htmx makes to fill the element with this id."""
    return HTMX | ({"HX-Target": target} if target else {})
