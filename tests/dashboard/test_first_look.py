"""A page begins with what is quick to know where all of it takes long, and says the same as the whole page."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from dashboard.cost_search import CostSearch
from dashboard.filters import Filters
from dashboard.pages import costs, customers, feature, overview, user
from dashboard.pages.cost_rows import PENDING
from dashboard.queries import dearest, users
from dashboard.visit import Visit
from events import rollups
from events.models import Organization, RevenueChange, Role
from tests.dashboard.conftest import SignIn, htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events
from tests.factories import TrackedUserFactory
from tests.metering.billing import Billing

NOW = datetime(2026, 11, 24, 9, 40, tzinfo=UTC)
PEOPLE = 70
EARNED = ("revenue", "metered", "margin", "margin_change", "ratio")


@pytest.fixture(autouse=True)
def everything_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MANY", 5)
    monkeypatch.setattr(dearest, "CANDIDATES", 55)
    monkeypatch.setattr(dearest, "CANDIDATES_A_ROW", 1)
    monkeypatch.setattr(dearest, "PART", 1)
    monkeypatch.setattr(user, "MANY_REQUESTS", 1)
    monkeypatch.setattr(overview, "MANY_TO_SEARCH", 5)


@pytest.fixture
def people(organization: Organization) -> None:
    """More users than one page shows: some pay, some pay nothing, of some it is not known; and calls of nobody."""
    for number in range(PEOPLE):
        tracked = TrackedUserFactory(organization=organization, external_id=f"u-{number}", name="")
        if number % 3:
            usd = Decimal(number % 5) * 7
            at = datetime(2026, 11, 5, tzinfo=UTC) if number % 4 else datetime(2026, 1, 1, tzinfo=UTC)
            RevenueChange.objects.create(tracked_user=tracked, effective_at=at, monthly_revenue_usd=usd)
    calls = [
        Call(
            at=NOW - timedelta(hours=2 + 31 * number % 1500),
            cost=USD * (90 - number % 90) // 13,
            user=f"u-{number % PEOPLE}" if number % 29 else "",
            feature=("chat", "search", "")[number % 3],
            model=("gpt-4o", "gpt-4o-mini")[number % 2],
        )
        for number in range(5 * PEOPLE)
    ]
    store_events(organization, [*calls, Call(at=NOW - timedelta(days=99))])
    rollups.fold_now()


def visit(organization: Organization, *, first_look: bool) -> Visit:
    whole = Visit(organization.pk, "Northwind", organization.zone, Role.VIEWER, "Ana", False, (), "auto", "", NOW)
    return replace(whole, first_look=first_look)


def both(organization: Organization, module: Any, **words: str) -> tuple[Any, Any]:
    """The first look and the whole page."""
    zone = organization.zone
    is_costs = module in (costs, customers)
    wanted = (CostSearch if is_costs else Filters).from_query(words, NOW, zone)
    first, whole = (module.build(visit(organization, first_look=look), wanted, "r1") for look in (True, False))
    assert (first.is_partial, whole.is_partial) == (True, False)
    assert "rev=" not in first.live_href
    assert "rev=r1" in whole.live_href
    return first, whole


def without_revenue(row: Any) -> Any:
    return replace(row, **dict.fromkeys(EARNED))


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("period", ["30d", "mtd", "90d"])
@pytest.mark.parametrize("by", ["user", "feature_user"])
def test_the_dearest_users_are_those_of_the_whole_page(organization: Organization, by: str, period: str) -> None:
    first, whole = both(organization, costs, by=by, period=period)
    assert first.rows == whole.rows != []
    assert without_revenue(first.total) == without_revenue(whole.total)
    assert {getattr(first.total, name).text for name in EARNED} == {PENDING}
    assert bool(first.more_href) == bool(whole.more_href)
    assert first.columns == whole.columns
    assert first.chart == whole.chart
    assert first.summary.partition(" · ")[2] == whole.summary.partition(" · ")[2]
    assert first.summary.startswith(PENDING)


@pytest.mark.usefixtures("people")
def test_costs_of_features_are_known_before_what_they_carry(organization: Organization) -> None:
    for sort in ("cost", "change", "-requests"):
        first, whole = both(organization, costs, by="feature", sort=sort)
        assert [*map(without_revenue, first.rows)] == [*map(without_revenue, whole.rows)] != []
        assert {getattr(row, name).text for row in first.rows for name in EARNED} == {PENDING}
        assert without_revenue(first.total) == without_revenue(whole.total)
        assert (first.summary, first.columns, first.width) == (whole.summary, whole.columns, whole.width)
        assert len(first.notes) == 1
        assert "paying=short" in first.notes[0].href


@pytest.mark.usefixtures("people")
def test_customers_begin_with_the_dearest(organization: Organization) -> None:
    billing = Billing(of=organization)
    documents = billing.meter(unit="pages")
    billing.per_unit(documents, "2")
    billing.used(documents, "4", "2026-11-20", customer=billing.customer("u-3"))
    first, whole = both(organization, customers, by="user")
    assert first.rows == whole.rows != []
    assert {first.total.monthly.text, first.total.metered.text, first.total.costs.revenue.text} == {PENDING}
    assert first.total.costs.cost == whole.total.costs.cost


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "words",
    [
        {"by": "model"},
        {"by": "user", "sort": "-cost"},
        {"by": "user", "sort": "ratio"},
        {"by": "user", "paying": "short"},
        {"by": "user", "period": "24h"},
        {"by": "user", "period": "7d"},  # fewer than a page has
        {"by": "user", "feature": "chat"},
        {"by": "user", "environment": "test"},
        {"by": "user", "after": "50"},
        {"by": "feature", "sort": "revenue"},
    ],
)
def test_what_is_quick_or_cannot_be_parted_is_whole_at_once(organization: Organization, words: dict[str, str]) -> None:
    page = costs.build(visit(organization, first_look=True), CostSearch.from_query(words, NOW, organization.zone), "r1")
    assert not page.is_partial


@pytest.mark.usefixtures("people")
def test_where_no_revenue_is_known_nothing_is_waited_for(organization: Organization) -> None:
    RevenueChange.objects.all().delete()
    page = costs.build(visit(organization, first_look=True), CostSearch.from_query({}, NOW, organization.zone), "r1")
    assert (page.is_partial, page.has_revenue, page.notes) == (False, False, ())


@pytest.mark.usefixtures("people")
def test_a_user_s_models_follow_its_sums(organization: Organization) -> None:
    first, whole = both(organization, user, user="u-4")
    assert first.cards == whole.cards
    spend = first.charts[0]
    assert [entry.name for entry in spend.legend if entry.color != -1] == ["All models"]
    total = [row[-1] for row in whole.charts[0].table.rows]
    assert [row[-1] for row in spend.table.rows] == total
    assert [panel.rows is None for panel in first.panels] == [False, True]
    assert first.charts[1] == whole.charts[1]


@pytest.mark.usefixtures("people")
def test_what_a_feature_carries_follows_its_costs(organization: Organization) -> None:
    first, whole = both(organization, feature, feature="chat")
    assert [card.label for card in first.cards] == [card.label for card in whole.cards]
    assert [card.value for card in first.cards if card.value != PENDING] == [
        card.value for card in whole.cards if card.label not in ("Revenue", "Gross margin")
    ]
    assert (first.panels, first.charts, first.foot_note) == (whole.panels, whole.charts, whole.foot_note)


@pytest.mark.usefixtures("people")
def test_users_under_two_filters_follow(organization: Organization) -> None:
    first, whole = both(organization, overview, feature="chat", model="gpt-4o")
    assert (first.users, bool(whole.users)) == (None, True)
    assert (first.cards, first.spend, first.features) == (whole.cards, whole.spend, whole.features)


@pytest.fixture
def today(organization: Organization, now: datetime) -> None:
    """As the views read the clock themselves."""
    for number in range(PEOPLE):
        tracked = TrackedUserFactory(organization=organization, external_id=f"u-{number}", name="")
        RevenueChange.objects.create(tracked_user=tracked, effective_at=now - timedelta(days=99), monthly_revenue_usd=9)
    store_events(organization, [Call(at=now, user=f"u-{number}") for number in range(PEOPLE)])


@pytest.mark.usefixtures("today")
@pytest.mark.parametrize("path", ["/costs/", "/costs/?by=user", "/customers/", "/costs/feature/?feature=chat"])
def test_only_where_a_script_asks_for_the_rest(organization: Organization, sign_in: SignIn, path: str) -> None:
    client = sign_in(organization)
    whole = client.get(path).content.decode()
    assert "load, every 2s" not in whole
    client.cookies["script"] = "on"
    first = client.get(path).content.decode()
    assert PENDING in first
    live = re.search(r'id="(\w+)" data-live hx-get="([^"]+)"[^>]* hx-trigger="load, every 2s', first)
    assert live
    rest = client.get(live[2].replace("&amp;", "&"), headers=htmx(live[1])).content.decode()
    assert "load, every 2s" not in rest
    assert "Being added up" not in rest
    assert shape_of(rest) in shape_of(whole)
    without_script = client.get(live[2].replace("&amp;", "&")).content.decode()
    assert shape_of(without_script) == shape_of(whole)


def shape_of(markup: str) -> str:
    """The text, with any figure as good as another, however many digits it has: revenue grows by the second."""
    return re.sub(r"\d[\d,.]*", "0", text_of(markup))


def test_small_organizations_see_all_at_once(
    organization: Organization, sign_in: SignIn, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "MANY", 2_000)
    store_events(organization, [Call(at=now, user="u-1")])
    client: Client = sign_in(organization)
    client.cookies["script"] = "on"
    assert "load, every 2s" not in client.get("/costs/?by=user").content.decode()
