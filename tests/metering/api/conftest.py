"""An organization with its people, and clients of the API that are signed in as them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from events.models import Membership, Organization, Role, User
from tests.factories import PASSWORD, MembershipFactory, OrganizationFactory


class Api:
    """A program that talks JSON; headers stay for all its calls, cookies as its browser keeps them."""

    def __init__(self, **headers: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = headers
        self.user: User

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """`body` is JSON unless it is bytes; the answer has `.status_code` and `.json()`."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        media_type = headers.pop("content_type", "application/json")
        url = path if path.startswith("/api/") else f"/api/v1/{path}"
        sent_headers = {"Content-Type": media_type} | self.headers | headers  # also without a body
        return self.client.generic(method, url, sent, media_type, headers=sent_headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)


def field_errors(response: Any) -> dict[str, str]:
    """Of a refusal: what is wrong with which field."""
    return {error["field"]: error["message"] for error in response.json()["error"]["errors"]}


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """A data directory of its own: failed sign-ins of other tests do not count here."""
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def organization(db: None) -> Organization:
    made: Organization = OrganizationFactory(name="Northwind", slug="northwind")
    return made


type SignIn = Callable[..., Api]


@pytest.fixture
def sign_in() -> SignIn:
    """`sign_in(organization, role)`: a program with the access token of a new member as Bearer."""

    def signed_in(organization: Organization, role: Role = Role.ADMIN) -> Api:
        membership: Membership = MembershipFactory(organization=organization, role=role)
        token = Api().post("auth/login", {"email": membership.user.email, "password": PASSWORD}).json()["access_token"]
        api = Api(Authorization=f"Bearer {token}")
        api.user = membership.user
        return api

    return signed_in


@pytest.fixture
def admin(organization: Organization, sign_in: SignIn) -> Api:
    return sign_in(organization)
