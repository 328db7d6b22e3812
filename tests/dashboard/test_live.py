"""A poll without news is answered by one statement, and only for the session that was shown the page, in that hour."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard import live
from events.models import Membership, Organization
from tests.dashboard.conftest import SignIn, htmx
from tests.events_table import Call, store_events


@pytest.fixture
def href(organization: Organization, member: Client, now: datetime) -> str:
    """What an open Overview polls."""
    store_events(organization, [Call(at=now)])
    return word_href(member)


def word_href(client: Client) -> str:
    found = re.search(r"rev=[0-9a-f.-]+", client.get("/").content.decode())
    assert found
    return f"/?{found[0]}"


def poll(client: Client, href: str) -> Any:
    return client.get(href, headers=htmx("overview"))


def test_without_news_one_statement_is_asked(
    member: Client, href: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        answer = poll(member, href)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "private" in answer["Cache-Control"]
    assert "Cookie" in answer["Vary"]


def test_news_are_answered_in_full(member: Client, organization: Organization, href: str, now: datetime) -> None:
    store_events(organization, [Call(at=now)])
    assert poll(member, href).status_code == 200


def test_nobody_gets_more_than_the_way_to_the_sign_in_page(href: str) -> None:
    assert poll(Client(), href)["HX-Redirect"].startswith("/sign-in/")


def test_an_ended_session_is_told_with_the_next_news(
    member: Client, organization: Organization, href: str, now: datetime
) -> None:
    kept = Client()
    kept.cookies = member.cookies
    member.logout()
    store_events(organization, [Call(at=now)])
    assert poll(kept, href)["HX-Redirect"].startswith("/sign-in/")


def test_a_word_is_of_one_session_and_one_organization(organization: Organization, href: str, sign_in: SignIn) -> None:
    other = Organization.objects.create(name="Other", slug="other")
    theirs, colleague = word_href(sign_in(other)), sign_in(organization)
    assert poll(colleague, href).status_code == 200
    assert poll(colleague, theirs).status_code == 200
    forged = re.sub(r"\.\d+\.", f".{other.pk}.", href)
    assert poll(colleague, forged).status_code == 200


def test_who_was_removed_is_told_with_the_next_news(
    member: Client, organization: Organization, href: str, now: datetime
) -> None:
    Membership.objects.filter(organization=organization).delete()
    store_events(organization, [Call(at=now)])
    assert poll(member, href).status_code == 403


def test_the_word_ends_with_the_hour(member: Client, href: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(hours=1)

    monkeypatch.setattr(live, "datetime", Later)
    Membership.objects.all().delete()
    assert poll(member, href).status_code == 403


@pytest.mark.parametrize("word", ["", "1", "x.1.y", f"0.{10**18}.{'0' * 20}", f"0.1.{'é' * 20}", "\0"])
def test_any_word_is_answered(member: Client, href: str, word: str) -> None:
    assert member.get("/", {"rev": word}, headers=htmx("overview")).status_code == 200
