"""Markup in names is text in a real browser too: nothing runs, nothing is refused by the policy, charts show it."""

import json

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo, Watched, sign_in
from tests.browser.test_pages import draw_charts
from tests.dashboard.payloads import PAYLOADS
from tests.wire_client import WireClient, event

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

IN_CHARTS = PAYLOADS[:3]
"""Of so many features a chart names the ones that cost most; the first payloads cost most."""


BILLED = """
import json
from datetime import UTC, datetime
from events.models import Organization
from metering.models import Invoice, Meter
from tests.dashboard.payloads import PAYLOADS, store_billing
for payload in PAYLOADS[:3]:
    store_billing(Organization.objects.get(slug="payloads"), payload, datetime.now(UTC))
own = {"organization__slug": "payloads"}
meters, invoices = Meter.objects.filter(**own), Invoice.objects.filter(**own)
print(json.dumps([f"/usage/?meter={meter.pk}" for meter in meters] + [f"/invoices/{one.pk}/" for one in invoices]))
"""
"""Meters, usage and invoices of those in charts, as their free texts; prints the paths of their pages."""


@pytest.fixture(scope="module")
def request_ids(demo: Demo) -> list[str]:
    """An organization whose events are payloads in all that is free text: their ids."""
    server = demo.server
    people = ("--slug", "payloads", "--owner", "owner@payloads.example", "--password", "payloads-1")
    server.command("create_organization", PAYLOADS[0], *people)
    client = WireClient(server.port, server.command("create_api_key", "payloads", "--name", PAYLOADS[1]))
    found = []
    for number, payload in enumerate(PAYLOADS):
        user = {"id": payload, "name": payload, "email": payload}
        words = dict.fromkeys(("feature", "step", "sessionId", "conversationId", payload), payload)
        metadata = {"user": user} | words
        error = {"status": "ERROR", "errorMessage": payload}
        answer = client.record_event(event(inputTokens=1_000_000 // (number + 1)) | {"metadata": metadata})
        assert answer is not None
        answer = client.record_event(event(model=payload, provider=payload) | {"metadata": metadata, "status": error})
        assert answer is not None
        assert answer.status == 200, answer.body
        found.append(answer.id)
        client.record_event({"usage": payload, "metadata": metadata})
    return found


def hovered(page: Page, chart: Locator) -> str:
    """What the chart says of its newest bucket, where the pointer is on it."""
    area = chart.locator(".nsewdrag").first.bounding_box()
    assert area is not None
    for step in range(1, 40):
        page.mouse.move(area["x"] + area["width"] - 3 * step, area["y"] + area["height"] * 0.7)
        text = "".join(chart.locator(".hoverlayer").all_text_contents())
        if all(payload in text for payload in IN_CHARTS):
            break
    return text


def test_markup_in_names_stays_text_everywhere(watched: Watched, demo: Demo, request_ids: list[str]) -> None:
    """Dialogs, errors, reports of the policy and foreign hosts are `watched`."""
    page = sign_in(watched.page(), "owner@payloads.example", "payloads-1")
    page.goto("/costs/?period=24h")
    draw_charts(page)
    for payload in IN_CHARTS:
        expect(page.locator("main .legend").get_by_text(payload, exact=True).first).to_be_visible()
        assert payload in hovered(page, page.locator(".chart[data-fig]").first)
    for path in (
        *("/?period=24h", "/costs/?by=user&period=24h", "/costs/?by=model&period=24h", "/sessions/?period=24h"),
        *("/rejected/", "/keys/", "/views/", "/settings/", "/requests/?period=24h"),
        *(f"/requests/{request_id}/" for request_id in request_ids),
    ):
        page.goto(path)
        expect(page.locator("h1")).to_be_visible()
        draw_charts(page)
    billed = json.loads(demo.server.command("shell", "-v0", "-c", BILLED))
    assert len(billed) == 4 * len(IN_CHARTS)
    for path in ("/usage/", "/customers/", "/invoices/", *billed):
        page.goto(path)
        expect(page.locator("h1")).to_be_visible()
        draw_charts(page)
    page.goto("/requests/?period=24h")
    for payload in IN_CHARTS:
        expect(page.locator("tbody").get_by_text(payload).first).to_be_visible()
