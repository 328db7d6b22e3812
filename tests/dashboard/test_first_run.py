"""Before the first event: the three steps, what was refused, and the change into the Overview."""

import re
from datetime import datetime
from html import unescape

import pytest
from django.test import Client

from events.models import Organization, RejectedCall, Role
from tests.dashboard.conftest import SignIn, htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import Call, store_events
from tests.factories import ApiKeyFactory


def poll_href(markup: str) -> str:
    found = re.search(r'id="listening"[^>]* hx-get="([^"]+)"', markup)
    assert found
    return unescape(found[1])


def reject(organization: Organization | None, now: datetime, message: str) -> None:
    RejectedCall.objects.create(
        organization=organization,
        at=now,
        endpoint="/api/events",
        http_status=422,
        error_type="invalid_event",
        message=message,
        key_prefix="org_live_abcdef",
        excerpt="<b>",
    )


def test_the_steps_name_this_host_and_tick_what_is_done(organization: Organization, sign_in: SignIn) -> None:
    owner = sign_in(organization, Role.OWNER)
    markup = owner.get("/", headers={"host": "localhost:8123"}).content.decode()
    assert "curl http://localhost:8123/api/events" in markup
    assert 'endpoint="http://localhost:8123",' in unescape(markup)
    assert 'OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:8123"' in unescape(markup)
    assert 'href="/admin/events/apikey/add/"' in markup
    assert 'class="panel done"' not in markup
    ApiKeyFactory(organization=organization)
    assert 'class="panel done"' in owner.get("/").content.decode()


def test_who_may_not_make_keys_is_told_whom_to_ask(member: Client) -> None:
    markup = member.get("/").content.decode()
    assert "/admin/" not in markup
    assert "Ask an owner or admin of Northwind" in markup


@pytest.mark.parametrize(("role", "sees_unknown"), [(Role.OWNER, True), (Role.ADMIN, True), (Role.VIEWER, False)])
def test_refused_calls_show(
    organization: Organization, sign_in: SignIn, now: datetime, role: Role, sees_unknown: bool
) -> None:
    client = sign_in(organization, role)
    href = poll_href(client.get("/").content.decode())
    assert client.get(href, headers=htmx("listening")).status_code == 204
    reject(organization, now, "usage.inputTokens: must be an integer, got a string")
    reject(None, now, "unknown API key")
    for markup in (client.get(href, headers=htmx("listening")), client.get("/"), client.get("/rejected/")):
        shown = markup.content.decode()
        assert "usage.inputTokens: must be an integer, got a string" in shown
        assert ("unknown API key" in shown) is sees_unknown


def test_rejected_calls_are_listed_with_what_was_sent(
    member: Client, organization: Organization, now: datetime
) -> None:
    for number in range(51):
        reject(organization, now, f"reason {number}.")
    markup = member.get("/rejected/").content.decode()
    assert "reason 50." in markup
    assert "reason 0." not in markup
    assert "&lt;b&gt;" in markup
    assert "org_live_abcdef…" in text_of(markup)
    more = re.search(r'href="(/rejected/\?after=\d+)"', markup)
    assert more
    rest = member.get(more[1], headers=htmx()).content.decode()
    assert "reason 0." in rest
    assert "<html" not in rest
    assert member.get("/rejected/?after=x").status_code == 200


def test_the_first_event_turns_the_page_into_the_overview(
    member: Client, organization: Organization, now: datetime
) -> None:
    href = poll_href(member.get("/").content.decode())
    store_events(organization, [Call(at=now)])
    response = member.get(href, headers=htmx("listening"))
    assert response["HX-Refresh"] == "true"
    assert "<h1>Overview</h1>" in member.get("/").content.decode()
