"""Every page in both themes and at four widths: accessible, within its width, titled, free of errors."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, Sign, Watched
from tests.wire_client import event

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = [
    "/",
    "/?period=24h",
    "/?period=90d",
    "/requests/",
    "/requests/?status=error",
    "/costs/",
    "/costs/?by=user",
    "/costs/?by=user&paying=short",
    "/costs/?by=step&feature=no-such-feature",
    "/costs/user/?user=user-hooli",
    "/costs/feature/?feature=doc-search",
    "/rejected/",
    "/pricing/",
    "/pricing/?q=no-such-model",
    "/pricing/openai/gpt-5-mini/",
    "REQUEST",
]
ADMIN_PAGES = [
    "/admin/",
    "/admin/events/apikey/",
    "/admin/events/apikey/add/",
    "/admin/events/organization/",
    "/admin/events/trackeduser/",
    "/admin/events/user/",
]
AXE = Axe()
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


@pytest.fixture(scope="module")
def request_path(demo: Demo) -> str:
    answer = demo.client.record_event(event())
    assert answer is not None
    return f"/requests/{answer.id}/"


def check(page: Page, *, axe: bool = True) -> None:
    assert page.locator("h1").count() == 1
    assert re.search(r"\S · FluxGate$|^FluxGate|FluxGate", page.title())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    if axe:
        found = AXE.run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()


def settle(page: Page) -> None:
    """Wait until the charts, which load after the page, are drawn."""
    for chart in page.locator(".chart[data-fig]").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".main-svg").first).to_be_visible(timeout=60_000)
    page.evaluate("scrollTo(0, 0)")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 768, 360, 320])
def test_pages(signed_in: Sign, request_path: str, width: int, dark: bool, pictures: Path | None) -> None:
    page = signed_in(width=width, dark=dark)
    for path in PAGES:
        page.goto(request_path if path == "REQUEST" else path)
        settle(page)
        check(page)
        if pictures:
            name = re.sub(r"\W+", "-", path).strip("-").lower() or "overview"
            page.screenshot(path=pictures / f"{name}-{'dark' if dark else 'light'}-{width}.png", full_page=True)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_admin_pages(signed_in: Sign, dark: bool) -> None:
    page = signed_in(dark=dark)
    for path in ADMIN_PAGES:
        page.goto(path)
        found = AXE.run(page, options=RULES)
        assert found.violations_count == 0, path + found.generate_report()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_sign_in_and_missing_pages(watched: Watched, signed_in: Sign, dark: bool) -> None:
    page = watched.page(dark=dark, width=360)
    page.goto("/sign-in/")
    check(page)
    watched.expected.add("404")
    inside = signed_in(dark=dark)
    inside.goto("/requests/evt_00000000000070008000000000000000/")
    check(inside)


def test_charts_are_drawn_and_stand_in_a_table_too(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/")
    settle(page)
    chart = page.locator(".chart[data-fig]").first
    assert chart.locator(".bars .point").count() > 20
    page.get_by_text("Show as table").first.click()
    expect(page.get_by_role("table").first).to_be_visible()
    assert page.get_by_role("row").count() > 20
