"""Pages that could not be made: the page says why, and a database that is away is no fault of ours."""

import psycopg
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.test import Client

from events.models import Organization, Role
from fluxgate_site.request_ids import NamesRequest
from tests.dashboard.conftest import SignIn


def caused(error: DatabaseError, cause: psycopg.Error) -> DatabaseError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (ValueError("a fault"), 500, "Something went wrong"),
        (caused(OperationalError("too slow"), psycopg.errors.QueryCanceled()), 503, "This took too long"),
        (caused(OperationalError("no answer"), psycopg.OperationalError()), 503, "The database does not answer"),
        (caused(OperationalError("stopping"), psycopg.errors.AdminShutdown()), 503, "The database does not answer"),
        (InterfaceError("closed"), 503, "The database does not answer"),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_why_a_page_could_not_be_made(
    organization: Organization,
    sign_in: SignIn,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    sentence: str,
) -> None:
    def fails(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("dashboard.queries.members.of_organization", fails)
    client: Client = sign_in(organization, Role.OWNER)
    client.raise_request_exception = False
    response = client.get("/settings/members/")
    assert response.status_code == status
    assert sentence in response.content.decode()
    assert ("Retry-After" in response) is ("does not answer" in sentence)
    assert response.headers["X-Request-Id"] in response.content.decode()
    assert client.get("/settings/").status_code == 200


def test_a_form_without_its_token_and_an_address_without_a_page(member: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = member.cookies
    refused = strict.post("/settings/account/", {"name": "x"})
    assert (refused.status_code, "open for too long" in refused.content.decode()) == (403, True)
    missing = member.get("/settings/nothing/")
    assert (missing.status_code, "Nothing here" in missing.content.decode()) == (404, True)
    assert missing.headers["X-Request-Id"] in missing.content.decode()
    assert missing.headers["X-Request-Id"] != refused.headers["X-Request-Id"]
    assert "X-Request-Id" not in member.get("/settings/")


def test_the_log_names_the_request_of_the_error_page(
    organization: Organization, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*arguments: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("dashboard.queries.members.of_organization", fails)
    caplog.handler.addFilter(NamesRequest())
    client: Client = sign_in(organization, Role.OWNER)
    client.raise_request_exception = False
    response = client.get("/settings/members/")
    [line] = [record for record in caplog.records if record.name == "django.request"]
    assert line.__dict__["request_name"] == f" [request {response.headers['X-Request-Id']}]"


def test_an_error_of_the_rest_api_has_the_name_that_the_log_has(client: Client) -> None:
    response = client.get("/api/v1/costs")
    assert response.status_code == 401
    name = response.wsgi_request.request_id  # type: ignore[attr-defined]
    assert response.json()["error"]["requestId"] == response.headers["X-Request-Id"] == name
