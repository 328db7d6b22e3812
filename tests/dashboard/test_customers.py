"""Customers: LLM cost and metered revenue of the same account on one page, and on every other that shows revenue."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from dashboard.cost_search import CostSearch
from dashboard.filters import Filters
from dashboard.pages import costs, customers, feature, overview, user
from dashboard.pages.customers import CustomerRow, Customers
from dashboard.visit import Visit
from events.models import Organization, RevenueChange, Role
from metering.models import RateKind
from tests.dashboard.conftest import SignIn, htmx
from tests.events_table import Call, store_events
from tests.metering.billing import Billing

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
USD = 10**12


def visit(organization: Organization) -> Visit:
    return Visit(organization.pk, "Northwind", organization.zone, Role.VIEWER, "Ana", False, (), "auto", "", NOW)


def build(organization: Organization, **words: str) -> Customers:
    search = CostSearch.from_query({"period": "mtd", "by": "user"} | words, NOW, organization.zone)
    return customers.build(visit(organization), search, "r1")


@pytest.fixture
def billing(organization: Organization) -> Billing:
    """March: `both` costs 4 USD and uses for 25, pays 31 a month; `metered` only uses; `llm` only costs."""
    billing = Billing(of=organization)
    documents = billing.meter(unit="pages")
    billing.rate(documents, RateKind.GRADUATED, tiers=[("10", "2", "0"), (None, "1", "0")])
    billing.used(documents, "8", "2026-03-05", customer=billing.customer("both"))
    billing.used(documents, "7", "2026-03-15", customer=billing.customer("both"))
    billing.used(documents, "1", "2026-03-15", customer=billing.customer("metered"))
    RevenueChange.objects.create(
        tracked_user=billing.customer("both"),
        effective_at=datetime(2026, 1, 1, tzinfo=UTC),
        monthly_revenue_usd=Decimal(31),
    )
    calls = [("both", 4, "chat", 1), ("llm", 3, "chat", 10), ("llm", 1, "search", 1)]
    store_events(
        organization,
        [Call(at=NOW - timedelta(days=days), user=u, cost=usd * USD, feature=f) for u, usd, f, days in calls],
    )
    return billing


def row(page: Customers, name: str) -> dict[str, str]:
    found = next(one for one in page.rows if one.costs.name == name)
    return figures(found)


def figures(found: CustomerRow) -> dict[str, str]:
    return {
        "records": found.records,
        "metered": found.metered.text,
        "monthly": found.monthly.text,
        "revenue": found.costs.revenue.text,
        "cost": found.costs.cost.text,
        "margin": found.costs.margin.text,
    }


def test_both_sides_of_a_customer_meet(organization: Organization, billing: Billing) -> None:
    page = build(organization)
    # 10 × 2 + 5 × 1 = 25; 19.5 days of 31 at a dollar a day.
    assert row(page, "both") == {
        "records": "2",
        "metered": "$25.00",
        "monthly": "$19.50",
        "revenue": "$44.50",
        "cost": "$4.00",
        "margin": "$40.50",
    }
    assert row(page, "metered") == {
        "records": "1",
        "metered": "$2.00",
        "monthly": "$0.00",
        "revenue": "$2.00",
        "cost": "$0.00",
        "margin": "$2.00",
    }
    assert row(page, "llm")["revenue"] == "not known"
    assert figures(page.total) == {
        "records": "3",
        "metered": "$27.00",
        "monthly": "$19.50",
        "revenue": "$46.50",
        "cost": "$8.00",
        "margin": "$38.50",
    }
    assert page.summary == "3 customers · $46.50 revenue · $8.00 to serve"


def test_margin_is_what_sql_makes_of_both(organization: Organization, billing: Billing) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT least(q, 10) * 2 + greatest(q - 10, 0) + 31 * 19.5 / 31 - (
    SELECT sum(cost_picousd) / 1e12 FROM event WHERE tracked_user_id = u.id)
FROM tracked_user u, LATERAL (SELECT sum(quantity) AS q FROM usage_record WHERE tracked_user_id = u.id) r
WHERE external_id = 'both'"""
        )
        (expected,) = cursor.fetchone()
    assert row(build(organization), "both")["margin"] == f"${expected:.2f}"


def test_revenue_is_the_same_on_every_page(organization: Organization, billing: Billing) -> None:
    filters = Filters.from_query({"period": "mtd"}, NOW, organization.zone)
    who = visit(organization)
    over = overview.build(who, filters, "r1")
    assert over.cards[1].value == "$46.50"
    assert "$19.50 of what users pay per month" in over.cards[1].title
    assert "$27.00 for metered usage" in over.cards[1].title
    assert over.revenue is not None
    assert [(entry.name, entry.value) for entry in over.revenue.legend][:3] == [
        ("Revenue", "$46.50"),
        ("of it per month", "$19.50"),
        ("of it metered usage", "$27.00"),
    ]
    by_user = costs.build(who, CostSearch.from_query({"by": "user", "period": "mtd"}, NOW, organization.zone), "r1")
    assert (by_user.total.revenue.text, by_user.total.metered.text, by_user.has_metered) == ("$46.50", "$27.00", True)
    by_feature = costs.build(who, CostSearch.from_query({"period": "mtd"}, NOW, organization.zone), "r1")
    assert by_feature.total.revenue.text == "$44.50"
    assert [note.text for note in by_feature.notes][-1] == "$2.00 of revenue comes from users without requests here"
    chat = feature.build(who, Filters.from_query({"period": "mtd", "feature": "chat"}, NOW, organization.zone), "r1")
    assert chat is not None
    assert chat.cards[1].value == "$44.50"


def test_a_users_page_names_the_parts(organization: Organization, billing: Billing) -> None:
    filters = Filters.from_query({"period": "mtd", "user": "both"}, NOW, organization.zone)
    page = user.build(visit(organization), filters, "r1")
    assert page is not None
    assert page.cards[1].value == "$44.50"
    assert page.metered is not None
    assert [(one.name, one.value, one.share) for one in page.metered.rows or ()] == [
        ("Documents", "$25.00", "15 pages")
    ]


def test_the_period_before_is_compared_with_its_usage(organization: Organization, billing: Billing) -> None:
    store_events(organization, [Call(at=NOW - timedelta(days=100), user="both", cost=USD)])
    billing.used(billing.organization.meters.get(), "3", "2026-02-03", customer=billing.customer("metered"))
    page = costs.build(
        visit(organization), CostSearch.from_query({"by": "user", "period": "mtd"}, NOW, organization.zone), "r1"
    )
    line = next(one for one in page.rows if one.name == "metered")
    assert (line.revenue.text, line.margin_change.text) == ("$2.00", "−$4.00")


def test_usage_of_the_month_before_the_period_sets_the_tier(organization: Organization, billing: Billing) -> None:
    """The period begins in the middle of a billing month: only what it adds to the month counts."""
    words = {"period": "custom", "from": "2026-03-10", "to": "2026-03-19", "by": "user"}
    page = customers.build(visit(organization), CostSearch.from_query(words, NOW, organization.zone), "r1")
    assert row(page, "both")["metered"] == "$9.00"  # 2 × 2 + 5 × 1


def test_it_sorts_narrows_and_leads_on(member: Client, organization: Organization, billing: Billing) -> None:
    assert [one.costs.name for one in build(organization, sort="-revenue").rows][:2] == ["metered", "both"]
    assert [one.costs.name for one in build(organization, user="both").rows] == ["both"]
    assert [one.costs.name for one in build(organization, paying="unknown").rows] == ["llm"]
    page = build(organization, user="both")
    assert page.rows[0].usage_href == "/usage/?period=mtd&user=both"
    assert all(column.href.startswith("/customers/?") for column in page.columns.values())


def test_the_page_and_its_fragments(member: Client, organization: Organization, billing: Billing) -> None:
    words = {"period": "custom", "from": "2026-03-01", "to": "2026-03-20"}
    whole = member.get("/customers/", words).content.decode()
    part = member.get("/customers/", words, headers=htmx("customers")).content.decode()
    assert "<html" in whole
    assert "<html" not in part
    for text in ("both", "$25.00", "Plan fees are on invoices"):
        assert text in whole
        assert text in part


def test_without_anything_it_says_so(member: Client, organization: Organization) -> None:
    assert "No customer used or cost anything" in member.get("/customers/").content.decode()


def test_somebody_else_sees_nothing_of_it(sign_in: SignIn, organization: Organization, billing: Billing) -> None:
    stranger = sign_in(Billing().organization)
    assert "both" not in stranger.get("/customers/", {"period": "90d"}).content.decode()


def test_the_csv_has_the_metered_part(member: Client, organization: Organization, billing: Billing) -> None:
    words: dict[str, Any] = {"by": "user", "period": "custom", "from": "2026-03-01", "to": "2026-03-20"}
    text = b"".join(member.get("/costs/export.csv", words).streaming_content).decode()  # type: ignore[attr-defined]
    head, *lines = text.replace("\ufeff", "").splitlines()
    assert head.endswith("revenue_usd,margin_usd,metered_revenue_usd")
    both = next(line for line in lines if line.startswith("both"))
    assert both.endswith(",25.000000000000")
