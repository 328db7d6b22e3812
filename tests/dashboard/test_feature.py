"""The page of one feature: what it costs, with which models and for whom."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from dashboard.filters import Filters
from dashboard.pages import feature
from dashboard.pages.value import ValueCosts
from dashboard.visit import Visit
from events.models import Organization, RevenueChange, Role
from tests.dashboard.conftest import htmx
from tests.dashboard.test_overview import text_of
from tests.dashboard.test_user import AWKWARD, panels_of
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory, TrackedUserFactory

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)


def build(organization: Organization, **words: str) -> ValueCosts | None:
    visit = Visit(organization.pk, "Northwind", organization.zone, Role.VIEWER, "Ana", False, (), "auto", "", NOW)
    return feature.build(visit, Filters.from_query(words, NOW, organization.zone), "r1")


def test_figures_worked_by_hand(organization: Organization) -> None:
    at = NOW - timedelta(hours=2)
    store_events(
        organization,
        [
            Call(at=at, cost=3 * USD, user="ana"),
            Call(at=at, cost=USD, user="", model="claude", provider="anthropic", status="ERROR"),
            Call(at=at, cost=50 * USD, user="ben", feature="other"),
            Call(at=NOW - timedelta(days=31), cost=2 * USD, user="ben"),
            Call(at=NOW - timedelta(days=99), cost=2 * USD, feature="other"),
        ],
    )
    page = build(organization, feature="chat")
    assert page
    shown = {card.label: (card.value, card.delta.text if card.delta else "") for card in page.cards}
    assert shown == {
        "Spend": ("$4.00", "100%"),
        "Requests": ("2", "100%"),
        "Cost per 1K requests": ("$2,000.00", "no change"),
        "Tokens in": ("2.4K", "100%"),
        "Tokens out": ("700", "100%"),
        "Error rate": ("50.0%", "50.0 pt"),
    }
    assert [(bar.name, bar.value, bar.share) for bar in panels_of(page)["users"].rows or ()] == [
        ("ana", "$3.00", "75.0%"),
        ("No user", "$1.00", "25.0%"),
    ]
    assert [(bar.name, bar.href) for bar in panels_of(page)["models"].rows or ()] == [
        ("openai/gpt-4o", "/requests/?feature=chat&model=gpt-4o&provider=openai"),
        ("anthropic/claude", "/requests/?feature=chat&model=claude&provider=anthropic"),
    ]
    assert panels_of(page)["users"].href == "/costs/?feature=chat&by=user"
    assert page.back_href == "/costs/"
    assert page.requests_href == "/requests/?feature=chat"


@pytest.mark.parametrize("name", AWKWARD)
def test_any_name_has_its_page(member: Client, organization: Organization, now: datetime, name: str) -> None:
    store_events(organization, [Call(at=now, feature=name, cost=3 * USD)])
    href = re.search(r'href="(/costs/feature/[^"]+)"', member.get("/costs/").content.decode())
    assert href
    response = member.get(href[1].replace("&amp;", "&"))
    assert response.status_code == 200
    markup = response.content.decode()
    assert name not in markup if "<" in name else name.split("&")[0] in markup
    assert "Spend $3.00" in text_of(markup)


def test_what_is_not_there_is_not_found(member: Client, organization: Organization) -> None:
    store_events(OrganizationFactory(), [Call(at=NOW, feature="chat")])
    for query in ("", "?feature=chat", "?feature=(none)", "?feature="):
        assert member.get(f"/costs/feature/{query}").status_code == 404


def test_a_feature_without_requests_in_the_period(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now - timedelta(days=60))])
    response = member.get("/costs/feature/?feature=chat")
    assert text_of(response.content.decode()).count("No requests in this period.") == 3


def test_polling_answers_204_until_something_is_committed(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now)])
    markup = member.get("/costs/feature/?feature=chat").content.decode()
    found = re.search(r'id="value"[^>]* hx-get="([^"]+)"', markup)
    assert found
    href = found[1].replace("&amp;", "&")
    assert member.get(href, headers=htmx("value")).status_code == 204
    store_events(organization, [Call(at=now, cost=5 * USD)])
    fresh = member.get(href, headers=htmx("value")).content.decode()
    assert "<html" not in fresh
    assert "Spend $6.00" in text_of(fresh)


def test_a_feature_carries_what_its_users_pay_as_the_breakdown_says(organization: Organization) -> None:
    user = TrackedUserFactory(organization=organization, external_id="ana")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    RevenueChange.objects.create(tracked_user=user, effective_at=start, monthly_revenue_usd=30)
    at = datetime(2026, 11, 3, 15, tzinfo=UTC)
    calls = [Call(at=at, cost=cost * USD, user="ana", feature=name) for name, cost in (("chat", 1), ("search", 3))]
    store_events(organization, [*calls, Call(at=at - timedelta(days=30), cost=0, feature="chat")])
    days = {"from": "2026-11-02", "to": "2026-11-05"}
    page = build(organization, feature="chat", **days)
    assert page is not None
    shown = {card.label: card.value for card in page.cards}
    assert (shown["Revenue"], shown["Gross margin"]) == ("$1.00", "0%")
    assert "spread over the features" in page.foot_note
    narrowed = build(organization, feature="chat", model="gpt-4o", **days)
    assert narrowed is not None
    assert "Revenue" not in {card.label for card in narrowed.cards}
