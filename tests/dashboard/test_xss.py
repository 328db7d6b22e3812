"""Markup in what callers and members write is text: on every page, in the data of charts, in files."""

import csv
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import SavedView
from events.event_columns import unguarded
from events.models import Organization, RejectedCall, Role, TrackedUser
from events.models.event import public_id
from metering.models import Invoice, Meter
from tests.dashboard import url_table
from tests.dashboard.payloads import FORMULAS, MARK, PAYLOADS, store_billing
from tests.events_table import Call, store_events
from tests.factories import ApiKeyFactory, MembershipFactory, OrganizationFactory

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
URLS = ("href", "src", "action", "formaction", "hx-get", "hx-post", "data-lib")


class Markup(HTMLParser):
    """What a page consists of: elements with their attributes, its text, and its blocks of JSON."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.blocks: list[str] = []
        self._in_script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        (self.blocks if self._in_script else self.texts).append(data)


def problems(page: str) -> Iterator[str]:
    """Whatever of a page stems from a payload and is more than text."""
    markup = Markup(page)
    for tag, attributes in markup.elements:
        if MARK in tag or any(MARK in name or name.startswith("on") for name in attributes):
            yield f"<{tag} {attributes}>"
        if tag == "script" and "src" not in attributes and attributes.get("type") != "application/json":
            yield f"a script of its own: {attributes}"
        if tag in ("iframe", "object", "embed", "base", "style") or "style" in attributes:
            yield f"<{tag} {attributes}>"
        for name in URLS:
            if not re.match(r"[/?#]|$|https://|http://testserver/", attributes.get(name, "")):
                yield f"{tag} {name}={attributes[name]!r}"
    for block in markup.blocks:
        if "<" in block:
            yield f"a block of JSON that could end early: {block[:200]}"
        try:
            json.loads(block or "null")
        except ValueError:
            yield f"a block that is no JSON: {block[:200]}"


def metadata_of(payload: str) -> str:
    return json.dumps({payload: payload, "plain": {"nested": [payload]}})


@pytest.fixture
def world(db: None, now: datetime, data_dir: Path) -> tuple[Client, list[str]]:
    """An organization in which everything that is free text is a payload; its owner's browser, and the events' ids."""
    organization = OrganizationFactory(name=PAYLOADS[0][:200])
    owner = MembershipFactory(organization=organization, role=Role.OWNER, user__name=PAYLOADS[1]).user
    calls = [_call(payload, now - timedelta(minutes=number)) for number, payload in enumerate(PAYLOADS)]
    # The same without a price, and in the time before, so that comparisons name them too.
    calls += [_call(payload, now - timedelta(minutes=30), cost=None) for payload in PAYLOADS]
    calls += [_call(payload, now - timedelta(days=40)) for payload in PAYLOADS]
    ids = store_events(organization, calls)
    for payload in PAYLOADS:
        _store(organization, owner, payload, now)
    client = Client()
    client.force_login(owner)
    return client, [public_id(one) for one in ids[: len(PAYLOADS)]]


def _call(payload: str, at: datetime, cost: int | None = 10**12) -> Call:
    words = dict.fromkeys(("provider", "model", "feature", "step", "user", "session_id"), payload)
    return Call(
        at=at,
        cost=cost,
        conversation_id=payload,
        error_message=payload,
        status="ERROR",
        metadata=metadata_of(payload),
        provider_usage=metadata_of(payload),
        region=payload[:64],
        **words,  # type: ignore[arg-type]
    )


def _store(organization: Organization, owner: Any, payload: str, now: datetime) -> None:
    TrackedUser.objects.filter(organization=organization, external_id=payload).update(
        name=payload, email=payload, image=payload
    )
    ApiKeyFactory(organization=organization, name=payload[:100])
    MembershipFactory(organization=organization, user__name=payload[:150])
    SavedView.objects.create(
        organization=organization,
        owner=owner,
        page="costs",
        name=payload[:80],
        query="",
        is_shared=True,
        created_at=now,
    )
    store_billing(organization, payload, now)
    RejectedCall.objects.create(
        organization=organization,
        at=now,
        endpoint="/api/events",
        http_status=422,
        error_type="invalid_event",
        message=payload,
        excerpt=payload,
    )


def pages(events: list[str]) -> Iterator[tuple[str, dict[str, str], str]]:
    """Every page of the dashboard, those of one thing for each payload: the path, the query, and a text to be read."""
    plain = {address.name for address in url_table.DASHBOARD if address.method == "GET" and not address.args}
    of_one = {"user": "user", "feature": "feature", "session": "session", "conversation": "conversation"}
    for name in sorted(plain - of_one.keys() - {"requests_csv", "costs_csv", "sign_in", "settings_password"}):
        yield reverse(f"dashboard:{name}"), {}, ""
    for payload in PAYLOADS:
        for name, word in of_one.items():
            yield reverse(f"dashboard:{name}"), {word: payload}, payload
        words = ("feature", "step", "user", "model", "provider", "session", "conversation")
        yield reverse("dashboard:requests"), dict.fromkeys(words, payload), payload
        yield reverse("dashboard:requests"), dict.fromkeys(("q", "key"), payload), payload
        yield reverse("dashboard:costs"), {"by": f"meta.{payload}", f"meta.{payload}": payload}, payload
        yield reverse("dashboard:prices"), {"q": payload}, ""
    for event, payload in zip(events, PAYLOADS, strict=True):
        yield reverse("dashboard:request", args=[event]), {}, payload
    yield from billing_pages()
    for by in ("user", "feature_user", "model", "provider", "step"):
        yield reverse("dashboard:costs"), {"by": by}, PAYLOADS[0]


def billing_pages() -> Iterator[tuple[str, dict[str, str], str]]:
    """Usage and invoices of each payload, and what may be done to them."""
    for meter in Meter.objects.all():
        yield reverse("dashboard:usage"), {"meter": str(meter.pk)}, meter.name
    for payload in PAYLOADS:
        yield reverse("dashboard:usage"), {"user": payload}, payload
        yield reverse("dashboard:invoices"), {"user": payload}, payload
    for invoice in Invoice.objects.select_related("tracked_user"):
        actions = {"draft": ("finalize",), "finalized": ("credit", "void"), "void": ()}[invoice.status]
        for name in ("invoice", *(f"invoice_{action}" for action in actions)):
            yield reverse(f"dashboard:{name}", args=[invoice.pk]), {}, invoice.tracked_user.external_id


def test_what_people_write_is_text_on_every_page(world: tuple[Client, list[str]]) -> None:
    client, events = world
    wrong, seen = [], ""
    for path, query, expected in pages(events):
        response = client.get(path, query)
        assert response.status_code == 200, (path, query)
        page = response.content.decode()
        wrong += [f"{path} {query}: {problem}" for problem in problems(page)]
        shown = "\n".join(Markup(page).texts)
        if expected not in shown:
            wrong.append(f"{path} {query}: {expected!r} cannot be read")
        seen += "" if query else shown
    assert not wrong, "\n".join(wrong)
    for payload in PAYLOADS:
        assert payload in seen, f"{payload!r} is nowhere to be read"


@pytest.mark.parametrize(
    "page",
    [
        "<p>{}</p>",
        '<input value="{}">',
        '<script type="application/json">"{}"</script>',
        '<a href="{}">x</a>',
    ],
)
def test_a_page_that_lets_markup_through_is_noticed(page: str) -> None:
    assert any(list(problems(page.format(payload))) for payload in PAYLOADS)


def test_files_hold_it_as_text_and_no_spreadsheet_takes_it_for_a_formula(world: tuple[Client, list[str]]) -> None:
    client, _ = world
    for name in ("requests_csv", "costs_csv"):
        answer: Any = client.get(reverse(f"dashboard:{name}"), {"by": "feature"} if name == "costs_csv" else {})
        assert answer["Content-Type"].startswith("text/csv")
        assert answer["X-Content-Type-Options"] == "nosniff"
        rows = list(csv.DictReader(StringIO(b"".join(answer).decode(), newline="")))
        cells = [cell for row in rows for cell in row.values() if MARK in (cell or "")]
        assert not [cell for cell in cells if cell.lstrip(" \t\r\n").startswith(("=", "+", "-", "@"))]
        assert {unguarded(row["feature"]) for row in rows} >= set(PAYLOADS)
    assert set(FORMULAS) <= set(PAYLOADS)
