"""The Cost Breakdown as CSV: all rows, exact, and the same as the page says."""

import csv
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from dashboard import cost_files
from events.models import Organization, RevenueChange, TrackedUser
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory


def table(client: Client, query: str) -> list[dict[str, str]]:
    response: Any = client.get(f"/costs/export.csv?{query}")
    text = b"".join(response).decode()
    return list(csv.DictReader(StringIO(text, newline="")))


def test_every_value_has_a_row_with_exact_figures(
    member: Client, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_files, "ROWS_AT_ONCE", 2)
    calls = [Call(at=now, cost=USD // 3 + number, model=f"m{number}", feature=f"={number}") for number in range(5)]
    calls += [Call(at=now - timedelta(days=8), cost=1, model="m0", status="ERROR")]
    store_events(organization, [*calls, Call(at=now, cost=None, model="new", provider="-x", feature="")])
    store_events(OrganizationFactory(), [Call(at=now, model="foreign")])
    rows = table(member, "by=model&period=7d")
    assert [(row["provider"], row["model"]) for row in rows] == [
        *(("openai", f"m{number}") for number in (4, 3, 2, 1, 0)),
        ("'-x", "new"),
    ]
    assert (rows[0]["cost_usd"], rows[-1]["cost_usd"]) == ("0.333333333337", "")
    assert (rows[-1]["requests"], rows[-1]["unpriced_requests"]) == ("1", "1")
    assert list(rows[0])[-1] == "cost_usd", "too young an organization to compare, and models carry no revenue"
    assert [row["model"] for row in table(member, "by=model&period=7d&sort=-cost")][1:] == [f"m{n}" for n in range(5)]
    assert [row["feature"] for row in table(member, "period=7d")] == [*(f"'={n}" for n in (4, 3, 2, 1, 0)), ""]
    assert [row["status"] for row in table(member, "by=status&period=30d")] == ["SUCCESS", "ERROR"]


def test_users_have_what_they_pay_and_what_is_left(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now - timedelta(days=70), user="ann", cost=2)])
    store_events(organization, [Call(at=now - timedelta(days=1), user=name, cost=USD) for name in ("ann", "bob", "")])
    ann = TrackedUser.objects.get(external_id="ann")
    RevenueChange.objects.create(tracked_user=ann, effective_at=now - timedelta(days=90), monthly_revenue_usd=30)
    found = {row["user_id"]: row for row in table(member, "by=user&period=7d")}
    assert found.keys() == {"ann", "bob", ""}
    assert found["bob"]["revenue_usd"] == found["bob"]["margin_usd"] == ""
    assert Decimal(found["ann"]["margin_usd"]) == Decimal(found["ann"]["revenue_usd"]) - 1
    assert (found["ann"]["previous_requests"], found["ann"]["change_usd"]) == ("0", "1.000000000000")


def test_the_file_is_named_by_what_it_holds(member: Client, organization: Organization) -> None:
    response: Any = member.get("/costs/export.csv?by=feature_user&from=2026-03-01&to=2026-03-01")
    assert b"".join(response).startswith(b"feature,user_id,user_name,requests,")
    name = f"{organization.slug}-costs-by-feature-and-user-2026-03-01.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
