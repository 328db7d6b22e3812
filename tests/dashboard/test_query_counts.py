"""Each page asks the database equally often at a hundred and at ten thousand events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from pytest_django import DjangoDbBlocker

from dashboard.models import Export, SavedView
from events.models import Membership, Organization, RejectedCall, Role, TrackedUser, User
from events.models.event import public_id
from metering import invoicing
from pricing import catalog
from tests.dashboard import price_rows, url_table
from tests.events_table import Call, store_events
from tests.factories import ApiKeyFactory, MembershipFactory, OrganizationFactory
from tests.metering.billing import Billing

PAGES = {
    "/": 28,
    "/?feature=f1": 24,
    "/requests/": 8,
    "/requests/?q=u-1": 8,
    "/requests/{event}/": 6,
    "/costs/": 17,
    "/costs/?by=user": 19,
    "/costs/?by=model&feature=f1": 8,
    "/costs/user/?user=u-1": 26,
    "/costs/feature/?feature=f1": 24,
    "/customers/": 16,
    "/sessions/": 7,
    "/sessions/?by=conversation": 7,
    "/sessions/session/?session=s-1": 7,
    "/sessions/conversation/?conversation=c-1": 7,
    "/usage/": 16,
    "/usage/?meter={meter}": 20,
    "/invoices/": 30,
    "/invoices/{invoice}/": 12,
    "/invoices/{draft}/finalize/": 22,
    "/invoices/{invoice}/void/": 9,
    "/invoices/{invoice}/credit/": 12,
    "/exports/": 6,
    "/views/": 5,
    "/shortcuts/": 5,
    "/rejected/": 5,
    "/pricing/": 13,
    "/pricing/?used=yes&q=m": 13,
    "/pricing/openai/gpt-4o/": 12,
    "/keys/": 7,
    "/settings/": 6,
    "/settings/time-zone/": 5,
    "/settings/members/": 8,
    "/settings/members/{membership}/remove/": 5,
    "/settings/account/": 4,
}
NO_PAGES = {
    "invoice_pdf",
    "invoice_csv",
    "requests_csv",
    "costs_csv",
    "export_download",
    "settings_password",
    "sign_in",
}
"""Read too, but files, a redirect, or shown to nobody's organization."""


@dataclass(frozen=True)
class Sized:
    """An organization of one size, seen by its owner."""

    owner: User
    named: Mapping[str, str | int]


def build(size: int) -> Sized:
    """So many events over ten weeks, and with them more of everything that pages list."""
    now, organization = datetime.now(UTC), OrganizationFactory(name=f"With {size}")
    some = size // 50
    owner = MembershipFactory(organization=organization, role=Role.OWNER).user
    TrackedUser.objects.bulk_create(
        TrackedUser(organization=organization, external_id=f"u-{number}") for number in range(some * 3)
    )
    events = store_events(organization, (_call(number, size, some, now) for number in range(size)))
    _store_lists(organization, owner, min(some, 40), now)
    named: dict[str, str | int] = {"event": public_id(events[0]), "membership": _member(organization).pk}
    return Sized(owner, named | _store_billing(organization, min(some, 40), now))


def _call(number: int, size: int, some: int, now: datetime) -> Call:
    """Every fifth call is of a model without a price, every seventh failed."""
    return Call(
        at=now - timedelta(hours=1700 * number / size),
        cost=None if number % 5 == 0 else 10**9 * (number + 1),
        model=f"unpriced-{number % some}" if number % 5 == 0 else f"m{number % some}",
        feature=f"f{number % some}",
        step=f"step-{number % some}",
        user=f"u-{number % (some * 3)}",
        session_id=f"s-{number // 4}",
        conversation_id=f"c-{number // 4}",
        status="ERROR" if number % 7 == 0 else "SUCCESS",
        error_message="no answer" if number % 7 == 0 else None,
        metadata='{"region": "eu"}',
    )


def _store_lists(organization: Organization, owner: User, rows: int, now: datetime) -> None:
    named = {"organization": organization, "created_at": now}
    for number in range(rows):
        ApiKeyFactory(organization=organization, name=f"key {number}")
        _member(organization)
    RejectedCall.objects.bulk_create(
        RejectedCall(organization=organization, at=now, endpoint="/api/events", http_status=422, message="no")
        for _ in range(rows)
    )
    Export.objects.bulk_create(
        Export(**named, created_by=owner, format="csv", start_at=now, end_at=now, expires_at=now + timedelta(days=1))
        for _ in range(rows)
    )
    SavedView.objects.bulk_create(
        SavedView(**named, owner=owner, page="costs", name=f"view {number}", is_shared=True) for number in range(rows)
    )


def _store_billing(organization: Organization, some: int, now: datetime) -> dict[str, int]:
    """So many meters and customers with usage and an invoice each; and one draft, as drafts are drawn up singly."""
    billing, before = Billing(of=organization), now - timedelta(days=35)
    for number in range(some):
        meter, customer = billing.meter(f"meter {number}"), billing.customer(f"u-{number}")
        billing.per_unit(meter, "1")
        for moment in (now, before):
            billing.used(meter, customer=customer, occurred_at=moment)
        invoice = invoicing.open_draft(organization.pk, customer.pk, before)
        invoicing.finalize(invoice.pk, organization.pk, now)
    draft = invoicing.open_draft(organization.pk, billing.customer("u-0").pk, now)
    return {"meter": meter.pk, "invoice": invoice.pk, "draft": draft.pk}


def _member(organization: Organization) -> Membership:
    made: Membership = MembershipFactory(organization=organization)
    return made


@pytest.fixture(scope="module")
def sizes(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Sized]]:
    """Made once for all pages, and undone."""
    with django_db_blocker.unblock(), transaction.atomic():
        for number in range(20):
            made = price_rows.model(f"m{number}", names=(f"m{number}",))
            price_rows.card(made, {"input": "1", "output": "2"})
        yield [build(100), build(10_000)]
        transaction.set_rollback(True)


@pytest.mark.parametrize("path", PAGES)
def test_a_hundred_and_ten_thousand_events_take_the_same_queries(sizes: list[Sized], db: None, path: str) -> None:
    catalog.current()  # read once a process and revision, for all pages
    counts = []
    for sized in sizes:
        client = Client()
        client.force_login(sized.owner)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path.format(**sized.named)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= PAGES[path]


def test_every_page_is_counted() -> None:
    pages = {address.name for address in url_table.DASHBOARD if address.method == "GET"} - NO_PAGES
    counted = {
        resolve(
            path.partition("?")[0].format(event="e", **dict.fromkeys(("membership", "meter", "invoice", "draft"), 1))
        ).url_name
        for path in PAGES
    }
    assert counted == pages
