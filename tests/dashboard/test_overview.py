"""The Overview: its figures, what it says when they are missing, and how it stays live."""

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client

from events.models import Environment, Organization, RejectedCall, RevenueChange, Role, TrackedUser
from tests.dashboard.conftest import SignIn, htmx
from tests.events_table import USD, Call, store_events
from tests.factories import TrackedUserFactory

XSS = "<img src=x onerror=alert(1)>"


def text_of(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


def page(client: Client, query: str = "") -> str:
    response = client.get(f"/{query}")
    assert response.status_code == 200
    return response.content.decode()


def live_href(markup: str) -> str:
    found = re.search(r'id="overview"[^>]* hx-get="([^"]+)"', markup)
    assert found
    return found[1].replace("&amp;", "&")


@pytest.fixture
def history(organization: Organization, now: datetime) -> None:
    """Old enough for a comparison: 2 USD in the 30 days before, 3 USD in the last 30."""
    store_events(
        organization,
        [
            Call(at=now - timedelta(days=70), cost=9 * USD),
            Call(at=now - timedelta(days=40), cost=2 * USD),
            Call(at=now - timedelta(days=2), cost=USD, user="u-1"),
            Call(
                at=now - timedelta(minutes=1),
                cost=2 * USD,
                model="claude",
                provider="anthropic",
                feature=XSS,
                user="u-2",
            ),
            Call(at=now, cost=None, model="acme-1", provider="acme", status="ERROR"),
        ],
    )


@pytest.mark.usefixtures("history")
def test_figures_with_their_changes(member: Client) -> None:
    shown = text_of(page(member))
    for part in (
        "Spend $3.00 ($3.00) up 50.0% vs $2.00",
        "Requests 3 up 200% vs 1",
        "Cost per 1K requests $1,500.00",
        "Error rate 33.3% (1 of 3 requests failed) up 33.3 pt vs 0%",
        "Revenue No revenue",
        "1 request has no price and is left out of every total. Model: acme/acme-1.",
        "anthropic/claude $2.00",
        "openai/gpt-4o $1.00",
        "acme/acme-1 no price",
        "u-2 $2.00 no revenue",
    ):
        assert part in shown


@pytest.mark.usefixtures("history")
def test_names_are_text_also_in_the_chart(member: Client) -> None:
    markup = page(member)
    assert XSS not in markup
    figure = re.search(r'<script id="spend-figure" type="application/json">(.*?)</script>', markup, re.DOTALL)
    assert figure
    names = [trace["name"] for trace in json.loads(figure[1])["data"]]
    assert names == ["anthropic/claude", "openai/gpt-4o", "acme/acme-1", "Previous period"]


@pytest.mark.usefixtures("history")
def test_revenue_and_margin(member: Client, organization: Organization, now: datetime) -> None:
    user = TrackedUserFactory(organization=organization, external_id="payer")
    RevenueChange.objects.create(
        tracked_user=user, effective_at=now - timedelta(days=400), monthly_revenue_usd=Decimal(1000)
    )
    markup = page(member)
    assert "Gross margin 99." in text_of(markup)
    assert 'id="revenue-figure"' in markup
    assert "Send what each user pays" not in markup


@pytest.mark.usefixtures("history")
def test_a_filter_narrows_every_figure_and_has_no_revenue(member: Client) -> None:
    shown = text_of(page(member, "?model=claude"))
    assert "Spend $2.00" in shown
    assert "Requests 1 " in shown
    assert "Revenue — (Revenue belongs to users" in shown
    assert "Model claude" in shown
    assert "no price" not in shown


def test_a_young_organization_has_no_changes_and_hours(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now - timedelta(hours=3))])
    markup = page(member)
    assert "not enough history" in markup
    assert "Previous period" not in markup
    assert '"bucket": "hour"' in markup


def test_test_requests_earn_nothing(member: Client, organization: Organization, now: datetime) -> None:
    """What live users pay is no revenue of requests that were made to try something out."""
    calls = [Call(at=now, user="u-1", environment=environment) for environment in Environment]
    store_events(organization, calls)
    user = TrackedUser.objects.get(external_id="u-1")
    RevenueChange.objects.create(tracked_user=user, effective_at=now - timedelta(days=9), monthly_revenue_usd=900)
    sentence = "Users pay for what is live: test requests earn nothing"
    for path in ("/", "/costs/", "/costs/?by=user", "/costs/user/?user=u-1"):
        parted = "&" if "?" in path else "?"
        live, test = (member.get(f"{path}{parted}environment={name}").content.decode() for name in ("live", "test"))
        assert "Gross margin" in live or "Margin" in live
        assert sentence in test
        assert sentence not in live
        assert "% of revenue" not in text_of(test)


def test_of_a_first_moment_no_share_is_told(member: Client, organization: Organization, now: datetime) -> None:
    """Revenue is counted by the second: of a user who pays since just now, it is less than a cent."""
    store_events(organization, [Call(at=now, user="u-1", cost=3 * USD)])
    user = TrackedUser.objects.get(external_id="u-1")
    RevenueChange.objects.create(tracked_user=user, effective_at=now - timedelta(seconds=9), monthly_revenue_usd=49)
    assert "Gross margin Too early" in text_of(page(member))
    for path in ("/", "/costs/?by=user", "/costs/user/?user=u-1"):
        shown = text_of(member.get(path).content.decode())
        assert "too early" in shown.lower()
        assert "999%" not in shown


def test_the_other_environment_is_pointed_to(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now, environment=Environment.TEST)])
    assert "No live events yet. The test environment has some." in page(member)
    assert "Requests 1 " in text_of(page(member, "?environment=test"))


@pytest.mark.usefixtures("history")
def test_rejected_calls_are_announced_to_those_who_may_see_them(
    organization: Organization, sign_in: SignIn, now: datetime
) -> None:
    RejectedCall.objects.create(
        organization=None, at=now, endpoint="/api/events", http_status=401, error_type="x", message="unknown key"
    )
    assert "1 call was rejected" in page(sign_in(organization, Role.ADMIN))
    assert "1 call was rejected" not in page(sign_in(organization, Role.MEMBER))


@pytest.mark.usefixtures("history")
def test_polling_answers_204_until_something_is_committed(
    member: Client, organization: Organization, now: datetime
) -> None:
    href = live_href(page(member, "?period=7d"))
    assert "period=7d" in href
    idle = member.get(href, headers=htmx("overview"))
    assert (idle.status_code, idle.content) == (204, b"")
    store_events(organization, [Call(at=now, cost=5 * USD)])
    fresh = member.get(href, headers=htmx("overview"))
    assert fresh.status_code == 200
    markup = fresh.content.decode()
    assert markup.lstrip().startswith("<div")
    assert "<html" not in markup
    assert "Spend $8.00" in text_of(markup)
    assert live_href(markup) != href


@pytest.mark.usefixtures("history")
def test_one_address_answers_whole_and_in_part(member: Client) -> None:
    whole, part = member.get("/"), member.get("/", headers=htmx("overview"))
    restored = member.get("/", headers=htmx("overview") | {"HX-History-Restore-Request": "true"})
    assert b"<html" in whole.content
    assert b"<html" not in part.content
    assert b"<html" in restored.content
    for response in (whole, part, member.get("/?rev=x", headers=htmx("overview"))):
        assert "HX-Request" in response["Vary"]
        assert set(response["Cache-Control"].split(", ")) == {"private", "no-cache"}


@pytest.mark.usefixtures("history")
def test_folded_or_not_the_page_is_the_same(member: Client) -> None:
    from events import rollups

    def figures() -> str:
        shown = text_of(page(member))
        return re.sub(r"rev=\S+", "", shown[shown.index("Spend") :])

    before = figures()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM usage_delta")
        assert cursor.fetchone()[0] == 5
    rollups.fold_now()
    assert figures() == before
