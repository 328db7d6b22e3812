"""Roles, organizations and API keys."""

from datetime import UTC, datetime, timedelta

import pytest

from events.models import ApiKey, Environment, Membership, Organization, Role
from events.models.event import public_id
from metering import invoicing
from metering.api import native_schema, openapi
from metering.models import Meter
from tests.events_table import Call, store_events
from tests.factories import ApiKeyFactory, MembershipFactory, OrganizationFactory, TrackedUserFactory
from tests.metering.api.conftest import Api, SignIn

ANYTHING = {"name": "x"}
NEEDS = [
    ("GET", "meters", Role.VIEWER),
    ("GET", "meters/{meter}", Role.VIEWER),
    ("GET", "customers", Role.VIEWER),
    ("GET", "customers/{customer}", Role.VIEWER),
    ("GET", "usage/summary?meter_id={meter}", Role.VIEWER),
    ("GET", "invoices", Role.VIEWER),
    ("GET", "invoices/{invoice}", Role.VIEWER),
    ("GET", "events", Role.VIEWER),
    ("GET", "events/{event}", Role.VIEWER),
    ("GET", "costs", Role.VIEWER),
    ("POST", "usage", Role.MEMBER),
    ("POST", "invoices", Role.ADMIN),
    ("POST", "invoices/{invoice}/finalize", Role.ADMIN),
    ("POST", "invoices/{invoice}/void", Role.ADMIN),
    ("POST", "invoices/{invoice}/credit-notes", Role.ADMIN),
    ("POST", "meters", Role.ADMIN),
    ("PATCH", "meters/{meter}", Role.ADMIN),
    ("DELETE", "meters/{meter}", Role.ADMIN),
    ("POST", "meters/{meter}/rates", Role.ADMIN),
    ("DELETE", "meters/{meter}/rates/1", Role.ADMIN),
    ("POST", "customers", Role.ADMIN),
    ("PATCH", "customers/{customer}", Role.ADMIN),
]
BODIES = {
    "void": {"reason": "x"},
    "credit-notes": {"reason": "x", "amount_usd": 1},
    "rates": {"kind": "flat", "fee_usd": 1, "effective_from": "2026-01-01"},
    "{meter}": {"name": "x"},
    "{customer}": {"name": "x"},
}
RANK = [Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER]


def named(organization: Organization) -> dict[str, int | str]:
    """What paths name."""
    customer = TrackedUserFactory(organization=organization)
    return {
        "meter": Meter.objects.create(organization=organization, name="Documents").pk,
        "customer": customer.pk,
        "invoice": invoicing.open_draft(organization.pk, customer.pk, datetime.now(UTC)).pk,
        "event": public_id(store_events(organization, [Call(at=datetime.now(UTC))])[0]),
    }


def test_every_operation_is_in_the_table() -> None:
    declared = {
        (method.upper(), path.removeprefix("/api/v1/").replace("_id}", "}"))
        for path, methods in openapi.schema()["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] != ["Sign-in"] and path not in native_schema.paths()
    }
    assert {
        (method, path.partition("?")[0].replace("rates/1", "rates/{rate}")) for method, path, _ in NEEDS
    } == declared


@pytest.mark.parametrize("role", RANK)
def test_each_role_may_do_what_the_table_says(organization: Organization, sign_in: SignIn, role: Role) -> None:
    api, place = sign_in(organization, role), named(organization)
    for method, path, needed in NEEDS:
        response = api.call(method, path.format(**place), None if method == "GET" else ANYTHING)
        allowed = RANK.index(role) >= RANK.index(needed)
        assert (response.status_code != 403) is allowed, (method, path)
        if not allowed:
            assert response.json()["error"]["type"] == "missing_role"


def test_what_belongs_to_another_organization_is_not_there(admin: Api) -> None:
    place = named(OrganizationFactory())
    for method, path, _ in NEEDS:
        if "{" in path:
            response = admin.call(method, path.format(**place), BODIES.get(path.rpartition("/")[2], ANYTHING))
            assert response.status_code == 404, (method, path)
    assert admin.get("meters").json()["items"] == []
    for path in ("customers", "events", "costs"):
        assert admin.get(path).json()["items"] == []


def test_the_header_chooses_among_ones_own_organizations(admin: Api, organization: Organization) -> None:
    other = MembershipFactory(user=admin.user, organization=OrganizationFactory(name="Aardvark", slug="aardvark"))
    named(other.organization)
    OrganizationFactory(slug="foreign")
    assert len(admin.get("meters").json()["items"]) == 1  # the first by name
    assert admin.get("meters", **{"X-Organization": "northwind"}).json()["items"] == []
    for slug in ("foreign", "nowhere", "", "é", "x" * 10_000):
        response = admin.get("meters", **{"X-Organization": slug})
        assert (response.status_code, response.json()["error"]["type"]) == (404, "unknown_organization")
        assert "X-Organization" in response.json()["error"]["message"]
    assert admin.post("meters", ANYTHING).status_code == 403  # a member there
    assert admin.post("meters", ANYTHING, **{"X-Organization": "northwind"}).status_code == 201


def test_a_removed_member_is_refused_at_once(admin: Api) -> None:
    Membership.objects.all().delete()
    response = admin.get("meters")
    assert (response.status_code, response.json()["error"]["type"]) == (403, "no_organization")


def test_an_api_key_with_the_scope_reads(organization: Organization) -> None:
    named(organization)
    key = ApiKeyFactory(organization=organization, scopes=["read"])
    for headers in ({"X-API-Key": key.text}, {"Authorization": f"Bearer {key.text}"}):
        api = Api(**headers)
        assert len(api.get("meters").json()["items"]) == 1
        assert api.get("meters", **{"X-Organization": "northwind"}).status_code == 200
        assert api.get("meters", **{"X-Organization": "other"}).status_code == 404
        assert api.post("meters", ANYTHING).status_code == 403
    assert ApiKey.objects.get().last_used_at is not None


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"scopes": ["events:write", "usage:write"]}, 403),
        ({"scopes": ["read"], "revoked_at": datetime.now(UTC)}, 401),
        ({"scopes": ["read"], "expires_at": datetime.now(UTC) - timedelta(1)}, 401),
        ({"scopes": ["read"], "environment": Environment.TEST}, 200),
    ],
)
def test_other_api_keys_do_not(organization: Organization, values: dict[str, object], status: int) -> None:
    key = ApiKeyFactory(organization=organization, **values)
    assert Api(**{"X-API-Key": key.text}).get("meters").status_code == status
