"""Saved views: kept, found again, shared with one's own organization only, and removed."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import SavedView
from events.models import Organization, Role
from tests.dashboard.conftest import SignIn, htmx
from tests.events_table import Call, store_events
from tests.factories import OrganizationFactory

URL = "/views/"


def keep(client: Client, **words: str) -> int:
    return client.post(URL, {"page": "requests", "name": "Failed", "query": "status=error", **words}).status_code


def test_what_is_kept_leads_back_and_says_what_it_filters(organization: Organization, sign_in: SignIn) -> None:
    client = sign_in(organization)
    answer = client.post(
        URL, {"page": "requests", "name": " Failed  today ", "query": "?status=error&rev=9&after=x&q=a%26b"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/requests/?status=error&q=a%26b")
    assert "Saved as “Failed today”." in client.get(answer["Location"]).content.decode()
    markup = client.get(URL, {"page": "requests", "query": "status=error&q=a%26b"}).content.decode()
    assert "Failed today" in markup
    assert "Status: failed, Text: a&amp;b" in markup
    assert 'aria-current="true">Failed today' in markup
    fragment = client.get(URL, {"page": "costs", "query": "by=user"}, headers=htmx("drawer-body")).content.decode()
    assert "<html" not in fragment
    assert 'name="query" value="by=user"' in fragment


def test_the_same_name_is_replaced(organization: Organization, sign_in: SignIn) -> None:
    client = sign_in(organization)
    assert (keep(client), keep(client, query="status=ok"), keep(client, page="costs")) == (302, 302, 302)
    assert sorted(SavedView.objects.values_list("page", "query")) == [
        ("costs", "status=error"),
        ("requests", "status=ok"),
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"name": "  "}, "Give the view a name"),
        ({"name": "x" * 81}, "Give the view a name"),
        ({"page": "admin:index"}, "No views yet"),
        ({"query": "q=" + "x" * 2_000}, "too long to keep"),
    ],
)
def test_what_cannot_be_kept_is_said_and_nothing_is_stored(
    organization: Organization, words: dict[str, str], sentence: str, sign_in: SignIn
) -> None:
    client = sign_in(organization)
    answer = client.post(URL, {"page": "requests", "name": "Failed", "query": "status=error", **words})
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not SavedView.objects.exists()


def test_shared_views_are_seen_by_the_organization_and_private_ones_by_their_owner(
    organization: Organization, sign_in: SignIn
) -> None:
    member, viewer, admin = (sign_in(organization, role) for role in (Role.MEMBER, Role.VIEWER, Role.ADMIN))
    stranger = sign_in(OrganizationFactory(), Role.OWNER)
    assert keep(member, name="Mine") == keep(member, name="Ours", shared="on") == 302
    assert keep(viewer, name="A viewer's", shared="on") == 302  # kept, but not shared
    seen = {
        name: [word for word in ("Mine", "Ours", "A viewer&#x27;s") if word in client.get(URL).content.decode()]
        for name, client in {"member": member, "viewer": viewer, "admin": admin, "stranger": stranger}.items()
    }
    assert seen == {
        "member": ["Mine", "Ours"],
        "viewer": ["Ours", "A viewer&#x27;s"],
        "admin": ["Ours"],
        "stranger": [],
    }
    ours, mine = (SavedView.objects.get(name=name).pk for name in ("Ours", "Mine"))
    for client, view, status in (
        (stranger, ours, 404),
        (viewer, ours, 404),
        (admin, mine, 404),
        (admin, ours, 302),
        (member, mine, 302),
    ):
        assert client.post(reverse("dashboard:saved_view_remove", args=[view])).status_code == status
    assert SavedView.objects.count() == 1


def test_one_person_keeps_a_bounded_number(
    organization: Organization, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.saved_views.MOST", 1)
    client = sign_in(organization)
    assert (keep(client), keep(client, query="status=ok"), keep(client, name="Other")) == (302, 302, 422)


def test_every_page_with_filters_offers_its_views(member: Client, organization: Organization) -> None:
    store_events(organization, [Call(at=datetime.now(UTC), user="u", feature="f")])
    for path in ("/", "/requests/", "/sessions/", "/costs/", "/costs/user/?user=u", "/costs/feature/?feature=f"):
        assert 'href="/views/?page=' in member.get(path).content.decode(), path
