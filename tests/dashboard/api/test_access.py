"""Who may read: people of every role, and API keys with the scope read, each in its own environment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.models import Environment, Organization, Role
from events.models.event import public_id
from tests.dashboard.api.conftest import Person, Reader
from tests.events_table import Call, store_events
from tests.factories import ApiKeyFactory, OrganizationFactory
from tests.metering.api.conftest import Api

PATHS = ("events", "costs", "events/{event}")
EARLIER = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def event(organization: Organization, now: datetime) -> str:
    return public_id(store_events(organization, [Call(at=now)])[0])


def answers(api: Api, event: str, query: str = "") -> list[tuple[int, str]]:
    found = [api.get(f"{path.format(event=event)}{query}") for path in PATHS]
    return [(one.status_code, one.json().get("error", {}).get("type", "")) for one in found]


@pytest.mark.parametrize("role", list(Role))
def test_every_role_reads(organization: Organization, person: Person, event: str, role: Role) -> None:
    assert answers(person(organization, role), event) == [(200, "")] * 3


def test_the_cookie_reads_too(organization: Organization, person: Person, event: str) -> None:
    token = person(organization).headers["Authorization"].removeprefix("Bearer ")
    browser = Api()
    browser.client.cookies["access_token"] = token
    assert answers(browser, event) == [(200, "")] * 3


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"scopes": ["read"]}, 200, ""),
    ({"scopes": ["events:write", "read"]}, 200, ""),
    ({"scopes": ["events:write", "usage:write"]}, 403, "missing_scope"),
    ({"scopes": []}, 403, "missing_scope"),
    ({"scopes": ["read"], "revoked_at": EARLIER}, 401, "unauthorized"),
    ({"scopes": ["read"], "expires_at": EARLIER}, 401, "unauthorized"),
]


@pytest.mark.parametrize(("values", "status", "word"), REFUSED)
def test_a_key_needs_the_scope(
    organization: Organization, event: str, values: dict[str, Any], status: int, word: str
) -> None:
    key = ApiKeyFactory(organization=organization, **values)
    for headers in ({"X-API-Key": key.text}, {"Authorization": f"Bearer {key.text}"}):
        assert answers(Api(**headers), event) == [(status, word)] * 3
        # Who is not let in is not told what is wrong with the question.
        assert Api(**headers).get("costs?nothing=1").status_code == (422 if status == 200 else status)


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": "org_live_x"}, {"X-API-Key": "x"}, {"Authorization": "Bearer x"}, {"Cookie": "a=b"}]
)
def test_without_a_good_credential_it_is_401(db: None, event: str, headers: dict[str, str]) -> None:
    assert answers(Api(**headers), event) == [(401, "unauthorized")] * 3


def test_a_key_reads_its_own_environment(organization: Organization, reader: Reader, event: str, now: datetime) -> None:
    test_event = public_id(store_events(organization, [Call(at=now, environment=Environment.TEST)])[0])
    keys = {Environment.LIVE: event, Environment.TEST: test_event}
    for environment, own in keys.items():
        api, (other,) = reader(organization, environment), set(keys) - {environment}
        for query in ("", f"?environment={environment.label}"):
            assert [item["id"] for item in api.get(f"events{query}").json()["items"]] == [own]
            assert api.get(f"costs{query}").json()["total"]["requests"] == 1
        assert api.get(f"events/{keys[other]}").status_code == 404
        for path in ("events", "costs"):
            response = api.get(f"{path}?environment={other.label}")
            assert (response.status_code, response.json()["error"]["type"]) == (403, "wrong_environment")


def test_people_read_live_events_unless_they_ask(
    organization: Organization, person: Person, event: str, now: datetime
) -> None:
    test_event = public_id(store_events(organization, [Call(at=now, environment=Environment.TEST)])[0])
    api = person(organization)
    for query, own in (("", event), ("?environment=live", event), ("?environment=test", test_event)):
        assert [item["id"] for item in api.get(f"events{query}").json()["items"]] == [own]
        assert api.get(f"costs{query}").json()["environment"] == ("test" if own == test_event else "live")
        assert api.get(f"events/{own}").status_code == 200


def test_a_key_reads_nothing_of_other_organizations(reader: Reader, event: str) -> None:
    assert answers(reader(OrganizationFactory()), event) == [(200, ""), (200, ""), (404, "not_found")]
    assert reader(OrganizationFactory()).get("costs").json()["total"]["requests"] == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written_here(organization: Organization, person: Person, event: str, method: str) -> None:
    for path in PATHS:
        response = person(organization, Role.OWNER).call(method, path.format(event=event))
        assert (response.status_code, response["Allow"]) == (405, "GET")
