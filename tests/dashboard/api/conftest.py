"""Programs that read: with an API key, or signed in."""

from collections.abc import Callable

import pytest

from events.models import Environment, Organization, Role
from tests.factories import PASSWORD, ApiKeyFactory, MembershipFactory
from tests.metering.api.conftest import Api

type Reader = Callable[..., Api]
type Person = Callable[..., Api]


@pytest.fixture
def reader() -> Reader:
    """`reader(organization, environment)`: a program with a new API key of the scope read."""

    def made(organization: Organization, environment: Environment = Environment.LIVE) -> Api:
        key = ApiKeyFactory(organization=organization, environment=environment, scopes=["read"])
        return Api(**{"X-API-Key": key.text})

    return made


@pytest.fixture
def person(data_dir: object) -> Person:
    """`person(organization, role)`: a program with the access token of a new member."""

    def made(organization: Organization, role: Role = Role.VIEWER) -> Api:
        user = MembershipFactory(organization=organization, role=role).user
        token = Api().post("auth/login", {"email": user.email, "password": PASSWORD}).json()["access_token"]
        return Api(Authorization=f"Bearer {token}")

    return made


@pytest.fixture
def api(organization: Organization, reader: Reader) -> Api:
    return reader(organization)
