"""The list of API keys: states, use counted within a bound and said so, and what each role may do."""

import re
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.pages import api_keys as page
from dashboard.queries import api_keys
from events import api_keys as key_actions
from events.models import ApiKey, Environment, Organization, Role
from tests.dashboard.conftest import SignIn
from tests.events_table import Call, store_events
from tests.factories import ApiKeyFactory, MembershipFactory, OrganizationFactory

HOUR = timedelta(hours=1)


def shown(client: Client, path: str = "/keys/") -> str:
    response = client.get(path)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def send_with(key: ApiKey, ats: list[datetime]) -> None:
    """Events that name this key as theirs."""
    ids = store_events(key.organization, [Call(at=at, environment=Environment(key.environment)) for at in ats])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE event SET api_key_id = %s WHERE id = ANY(%s)", [key.pk, ids])


def test_each_key_says_whether_it_is_accepted(organization: Organization, member: Client, now: datetime) -> None:
    made = {name: ApiKeyFactory(organization=organization, name=f"<i>{name}</i>") for name in ("plain", "old", "gone")}
    new, _ = key_actions.rotate(key=made["old"], overlap=HOUR, created_by=None, now=now)
    key_actions.revoke(key=made["gone"], now=now)
    past, future = now - HOUR, now + 30 * HOUR
    ApiKeyFactory(organization=organization, name="expired", expires_at=past)
    ApiKeyFactory(organization=organization, name="replaced", expires_at=past, replaced_by=new)
    ApiKeyFactory(organization=organization, name="ends", expires_at=future, environment=Environment.TEST)
    ApiKeyFactory(organization=OrganizationFactory(), name="foreign")
    html = shown(member)
    state = r'<td><span class="tag (\w*)">(.*?)</span>(?:<div class="muted">(\w+))?'
    pattern = r'<th scope="row" class="name-cell">(.*?)<div.*?' + state
    states = {(name.strip(), *state) for name, *state in re.findall(pattern, html)}
    assert states == {
        ("&lt;i&gt;plain&lt;/i&gt;", "good", "in force", ""),
        ("&lt;i&gt;old&lt;/i&gt;", "warn", "replaced", "works"),
        ("&lt;i&gt;old&lt;/i&gt;", "good", "in force", ""),
        ("&lt;i&gt;gone&lt;/i&gt;", "bad", "revoked", str(now.day)),
        ("expired", "", "expired", ""),
        ("replaced", "", "replaced", ""),
        ('ends <span class="tag">test</span>', "good", "in force", ""),
    }
    assert "No longer accepted (3)" in html
    assert f"{made['plain'].prefix}…{made['plain'].last4}" in html
    assert made["plain"].text not in html


def test_requests_are_counted_and_lead_to_just_those(
    organization: Organization, member: Client, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, tried, unused = (ApiKeyFactory(organization=organization, name=name) for name in ("busy", "tried", "unused"))
    test = ApiKeyFactory(organization=organization, name="test", environment=Environment.TEST)
    send_with(busy, [now - number * HOUR for number in range(1, 8)] + [now - timedelta(days=40)])
    send_with(tried, [now - 20 * HOUR])
    send_with(test, [now])

    def counts() -> dict[str, str]:
        found = re.findall(
            r'<th scope="row" class="name-cell">(\w+).*?class="num" title="[^"]*">(.*?)</td>', shown(member)
        )
        return {name: re.sub("<.*?>", "", cell) for name, cell in found}

    assert counts() == {"busy": "7", "tried": "1", "unused": "0", "test": "1"}
    links = re.findall(r'href="(/requests/[^"]*key=[^"]*)"', shown(member))
    assert len(links) == 3
    for href in links:
        key = ApiKey.objects.get(prefix=re.findall("key=([^&]*)", href)[0])
        expected = {"busy": "7 requests", "tried": "1 request", "test": "1 request"}[key.name]
        assert expected in shown(member, href.replace("&amp;", "&"))
    monkeypatch.setattr(api_keys, "COUNTED_EVENTS", 5)
    monkeypatch.setattr(page, "COUNTED_EVENTS", 5)
    assert counts() == {"busy": "5+", "tried": "—", "unused": "—", "test": "1"}
    assert "Of live requests, the newest 5 are counted by key" in shown(member)
    assert unused.name


@pytest.mark.parametrize("role", Role)
def test_who_administers_gets_the_ways_to_do_so_and_others_whom_to_ask(
    organization: Organization, sign_in: SignIn, role: Role
) -> None:
    MembershipFactory(organization=organization, role=Role.OWNER, user__name="Ola Owner")
    client, administers = sign_in(organization, role), role in (Role.OWNER, Role.ADMIN)
    empty = shown(client)
    assert "No key is in force" in empty
    assert ("Create a key" in empty) is administers
    assert ("ask Ola Owner" in empty) is not administers
    key = ApiKeyFactory(organization=organization)
    html = shown(client)
    for what in ("change", "rotate", "revoke"):
        assert (f"/admin/events/apikey/{key.pk}/{what}/" in html) is administers


def test_the_number_of_queries_does_not_grow_with_keys(organization: Organization, member: Client) -> None:
    counts = []
    for _ in range(2):
        ApiKeyFactory.create_batch(10, organization=organization)
        with CaptureQueriesContext(connection) as queries:
            shown(member)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 9


def test_very_many_keys_are_cut_and_that_is_said(
    organization: Organization, member: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (api_keys, page):
        monkeypatch.setattr(module, "MOST_KEYS", 3)
    ApiKeyFactory.create_batch(4, organization=organization)
    assert shown(member).count('scope="row"') == 3
    assert "Only 3 keys are shown" in shown(member)
