"""Metered usage as a page: meters, one meter, its customers, and the records behind an invoice line."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.usage_search import place, place_of
from events.models import Environment, Role
from metering import accrual, invoicing
from metering.models import UsageRecord
from tests.dashboard.conftest import SignIn, htmx
from tests.dashboard.test_overview import text_of
from tests.metering.billing import Billing, record_id


@pytest.fixture
def billing(db: None) -> Billing:
    return Billing()


@pytest.fixture
def viewer(billing: Billing, sign_in: SignIn) -> Client:
    return sign_in(billing.organization, Role.VIEWER)


def page(client: Client, query: str = "") -> Any:
    response = client.get(f"/usage/{query}")
    assert response.status_code == 200
    return response.context["page"]


def days_ago(days: float) -> str:
    return (timezone.now() - timedelta(days=days)).replace(tzinfo=None).isoformat()


def test_meters_say_how_much_and_what_it_is_worth(billing: Billing, viewer: Client) -> None:
    documents, seats = billing.meter(unit="documents"), billing.meter("Seats", "UNIQUE_COUNT")
    billing.meter("Quiet")
    billing.per_unit(documents, "0.1")
    other = billing.customer("cust_2")
    billing.used(documents, "2.5", days_ago(1))
    billing.used(documents, "3", days_ago(2), customer=other)
    billing.used(documents, "1", days_ago(40))
    for customer, seat in ((None, "a"), (None, "a"), (other, "a"), (other, "b")):
        billing.used(seats, when=days_ago(1), customer=customer, unique_value=seat)
    found = page(viewer)
    rows = {row.name: row for row in found.meters}
    assert list(rows) == ["Documents", "Quiet", "Seats"]
    first = rows["Documents"]
    assert (first.quantity, first.unit, first.records, first.customers) == ("5.5", "documents", "2", "2")
    assert (first.before, first.delta.text) == ("1", "450%")
    worth = accrual.accrued(billing.organization, *_period(found)).total_usd
    assert found.total_worth.title == f"${worth:.2f}"
    assert (rows["Seats"].quantity, rows["Seats"].worth.text, rows["Seats"].rate_href) == ("3", "no rate", "")
    assert rows["Quiet"].quantity == "0"
    assert found.total_records == "6"
    assert "sum of what each comes to" in found.note


def _period(found: Any) -> tuple[datetime, datetime]:
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=29), midnight + timedelta(days=1)


def test_those_who_administer_are_led_to_what_is_missing(billing: Billing, sign_in: SignIn) -> None:
    meter = billing.meter()
    billing.used(meter, when=days_ago(1))
    found = page(sign_in(billing.organization, Role.ADMIN))
    assert found.meters[0].rate_href == f"/admin/metering/meter/{meter.pk}/change/"
    assert found.add_href == "/admin/metering/meter/add/"


def test_one_meter_has_its_rate_course_and_customers(billing: Billing, viewer: Client) -> None:
    meter = billing.meter(unit="documents")
    tiers = [("100", "0.10", "0"), (None, "0.05", "2")]
    billing.rate(meter, "graduated", tiers=tiers, minimum_usd=Decimal(5))
    for number in range(3):
        billing.used(meter, "2", days_ago(number + 0.01), customer=billing.customer(f"cust_{number % 2}"))
    found = page(viewer, f"?meter={meter.pk}")
    one = found.one
    assert (one.quantity, one.records, one.token) == ("6 documents", "3", str(meter.token))
    assert one.rates[0].startswith("up to 100: $0.10 per documents; above: $0.05 per documents and $2.00")
    assert "at least $5.00 a month" in one.rates[0]
    assert [(row.name, row.quantity, row.records) for row in one.customers] == [
        ("cust_0", "4", "2"),
        ("cust_1", "2", "1"),
    ]
    assert one.customers[0].costs_href == "/costs/user/?user=cust_0"
    assert sum(one.chart.figure["data"][0]["y"]) == 6
    narrowed = page(viewer, one.customers[0].href.removeprefix("/usage/"))
    assert (narrowed.one.quantity, len(narrowed.records)) == ("4 documents", 2)
    assert [chip.value for chip in narrowed.chips] == [meter.name, "cust_0"]
    total = sum(UsageRecord.objects.values_list("quantity", flat=True))
    assert one.quantity == f"{total:.0f} documents"


def test_a_largest_quantity_is_of_each_customer(billing: Billing, viewer: Client) -> None:
    meter = billing.meter("Storage", "MAX")
    for quantity, customer in (("3", "a"), ("7", "a"), ("5", "b")):
        billing.used(meter, quantity, days_ago(1), customer=billing.customer(customer))
    one = page(viewer, f"?meter={meter.pk}").one
    assert one.quantity == "12"
    assert "do not add up" in one.chart.subtitle


def test_records_are_those_of_the_period_by_their_own_time(billing: Billing, viewer: Client) -> None:
    meter, now = billing.meter(), timezone.now()
    late = billing.used(meter, "4", "2026-03-05", received_at=now, metadata={"seat": "a"})
    billing.used(meter, "5", "2026-03-31T23:59:59.999999")
    billing.used(meter, "6", "2026-04-01")
    billing.used(meter, "7", "2026-03-09", customer=billing.customer("other"))
    found = page(viewer, f"?meter={meter.pk}&user=cust_1&from=2026-03-01&to=2026-03-31")
    assert [row.quantity for row in found.records] == ["5", "4"]
    row = found.records[1]
    assert (row.id, row.at, row.metadata, row.late) == (f"use_{late.pk.hex}", "5 Mar 00:00:00", '{"seat": "a"}', "")


def test_a_record_that_came_late_says_for_which_invoice(billing: Billing, viewer: Client) -> None:
    meter, now = billing.meter(), timezone.now()
    billing.per_unit(meter, "1")
    billing.used(meter)
    invoice = invoicing.open_draft(billing.organization.pk, billing.customer().pk, datetime.fromisoformat(MARCH))
    invoice = invoicing.finalize(invoice.pk, billing.organization.pk, now)
    billing.used(meter, late_for_id=invoice.pk)
    found = page(viewer, "?from=2026-03-01&to=2026-03-31")
    assert [row.late for row in found.records] == [invoice.number, ""]
    invoicing.void(invoice.pk, billing.organization.pk, "wrong", now)
    assert [row.late for row in page(viewer, "?from=2026-03-01&to=2026-03-31").records] == ["", ""]


MARCH = "2026-03-10T00:00+00:00"


def test_records_and_customers_continue_where_they_ended(billing: Billing, viewer: Client) -> None:
    """Many at the same microsecond: none twice, none left out."""
    meter, at = billing.meter(), timezone.now() - timedelta(hours=1)
    for number in range(120):
        customer = billing.customer(f"cust_{number}")
        billing.used(meter, "1", customer=customer, occurred_at=at - timedelta(seconds=number // 70))
    for word, pattern in (
        ("after", r">(use_[0-9a-f]{32})<"),
        ("customers_after", r'<th scope="row" class="name-cell"><a class="target"[^>]*title="(cust_\d+)"'),
    ):
        found: list[str] = []
        href = f"/usage/?meter={meter.pk}"
        while href:
            markup = viewer.get(href, headers=htmx() if found else {}).content.decode()
            assert ("<html" in markup) is not bool(found)
            found += re.findall(pattern, markup)
            more = re.search(rf'href="([^"]*[?&;]{word}=[^"]*)" data-more', markup)
            href = unescape(more[1]) if more else ""
        assert len(found) == len(set(found)) == 120, word


def test_a_place_in_the_list_is_exact(now: datetime) -> None:
    one = record_id()
    assert place_of(place(now, one)) == (now, one)
    for text in ("", "1", "x-y", "1-" + "g" * 32):
        assert place_of(text) is None


def test_an_open_page_follows(billing: Billing, viewer: Client) -> None:
    meter = billing.meter()
    billing.used(meter, when=days_ago(1))
    href = page(viewer).live_href
    assert viewer.get(href, headers=htmx("usage")).status_code == 204
    billing.used(meter, "41", when=days_ago(1))
    fresh = viewer.get(f"{href}&records=100", headers=htmx("usage"))
    assert b"<html" not in fresh.content
    assert "42" in text_of(fresh.content.decode())
    href = fresh.context["page"].live_href
    billing.per_unit(meter, "1")
    assert viewer.get(href, headers=htmx("usage")).status_code == 200


def test_before_the_first_record_the_page_says_how_to_begin(billing: Billing, sign_in: SignIn, viewer: Client) -> None:
    assert "Ask an owner or admin" in text_of(viewer.get("/usage/").content.decode())
    admin = sign_in(billing.organization, Role.ADMIN)
    assert page(admin).start.add_href == "/admin/metering/meter/add/"
    meter = billing.meter("Seats", "UNIQUE_COUNT")
    start = page(viewer).start
    assert start.has_meter
    assert f'"meter_token": "{meter.token}"' in start.curl
    assert '"metadata": {"seat": "a"}' in start.curl
    assert "/api/v1/sdk/track" in start.curl


@pytest.mark.parametrize(("query", "action"), [("", "Show 90 days"), ("?user=nobody", "Clear all filters")])
def test_a_period_without_usage_says_so(billing: Billing, viewer: Client, query: str, action: str) -> None:
    billing.used(billing.meter(), when=days_ago(60))
    found = page(viewer, query)
    assert (found.start, found.records, found.empty_action) == (None, [], action)


def test_archived_meters_stay_while_they_have_usage(billing: Billing, viewer: Client) -> None:
    billing.used(billing.meter("Old", archived_at=timezone.now()), when=days_ago(60))
    assert page(viewer).meters == []
    (row,) = page(viewer, "?period=90d").meters
    assert (row.name, row.is_archived) == ("Old", True)


def test_the_test_environment_is_apart_and_worth_nothing(billing: Billing, viewer: Client) -> None:
    meter = billing.meter()
    billing.per_unit(meter, "1")
    billing.used(meter, "9", days_ago(1), environment=Environment.TEST)
    assert page(viewer).meters[0].quantity == "0"
    (row,) = page(viewer, "?environment=test").meters
    assert (row.quantity, row.worth.text) == ("9", "—")


def test_another_organizations_meter_is_not_found(billing: Billing, viewer: Client) -> None:
    theirs = Billing()
    theirs.used(theirs.meter("Theirs"), when=days_ago(1))
    assert viewer.get(f"/usage/?meter={theirs.meter('Other').pk}").status_code == 404
    assert "Theirs" not in viewer.get("/usage/").content.decode()


@pytest.mark.parametrize("query", ["?meter=x&after=1-2", "?meter=99999999999", "?user=(none)&records=-1", "?user=%00"])
def test_odd_queries_are_answered(billing: Billing, viewer: Client, query: str) -> None:
    billing.used(billing.meter(), when=days_ago(1))
    assert viewer.get(f"/usage/{query}").status_code in (200, 404)


def test_many_records_take_the_same_queries(billing: Billing, viewer: Client) -> None:
    counts: list[list[int]] = []
    meter = billing.meter()
    billing.per_unit(meter, "1")
    for size in (5, 150):
        for number in range(size):
            billing.used(meter, "1", days_ago(number / 6), customer=billing.customer(f"c-{number}"))
            if number % 30 == 0:
                billing.per_unit(billing.meter(f"m-{size}-{number}"), "2")
        counts.append([])
        for query in ("", f"?meter={meter.pk}", f"?meter={meter.pk}&user=c-1"):
            with CaptureQueriesContext(connection) as queries:
                assert viewer.get(f"/usage/{query}").status_code == 200
            counts[-1].append(len(queries))
    assert counts[0] == counts[1]
    assert max(counts[0]) <= 20
