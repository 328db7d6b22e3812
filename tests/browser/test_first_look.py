"""With many users a page begins with what is quick to know; its live part brings the rest, and nothing moves."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Demo, Watched, sign_in
from tests.browser.test_pages import check_access
from tests.wire_client import WireClient, event

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

EMAIL, PASSWORD = "owner@many.example", "many users 1"
SHIFTS = """window.shifted = 0; new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({type: "layout-shift", buffered: true})"""
_USERS = """INSERT INTO tracked_user (organization_id, external_id, name, email, image, described_at)
SELECT o.id, 'user-' || n, 'User ' || n, '', '', now()
FROM organization o, generate_series(1, 2100) n WHERE o.slug = 'many'"""
_REVENUE = """INSERT INTO revenue_change (tracked_user_id, effective_at, monthly_revenue_usd)
SELECT u.id, now() - interval '200 days', 1 FROM tracked_user u JOIN organization o ON o.id = u.organization_id
WHERE o.slug = 'many'"""


@pytest.fixture(scope="module")
def many(demo: Demo) -> None:
    """An organization with more users than are added up at once."""
    server = demo.server
    server.command("create_organization", "Many", "--slug", "many", "--owner", EMAIL, "--password", PASSWORD)
    with server.connect() as connection:
        connection.execute(_USERS)
        connection.execute(_REVENUE)
    client = WireClient(server.port, server.command("create_api_key", "many", "--name", "first"))
    for number in range(1, 61):
        client.record_event(event() | {"metadata": {"feature": "chat", "user": f"user-{number}"}})


@pytest.fixture
def page(watched: Watched, many: None) -> Page:
    page = sign_in(watched.page(), EMAIL, PASSWORD)
    page.add_init_script(SHIFTS)
    return page


@pytest.mark.parametrize("path", ["/costs/?by=user", "/costs/", "/customers/"])
def test_the_rest_follows_at_once_and_moves_nothing(page: Page, path: str) -> None:
    held: list[Route] = []

    def hold_the_rest(route: Route) -> None:
        if "hx-request" in route.request.headers:
            held.append(route)
        else:
            route.continue_()

    page.route("**/*", hold_the_rest)
    page.goto(path)
    expect(page.get_by_text("Adding up which")).to_be_visible()
    expect(page.locator("tfoot").get_by_text("…").first).to_be_visible()
    check_access(page, "light", f"first look of {path}")
    [rest] = held
    rest.continue_()
    expect(page.get_by_text("Adding up which")).to_have_count(0)
    expect(page.locator("main")).not_to_contain_text("…")
    assert page.evaluate("window.shifted") < 0.02
    page.unroute_all(behavior="ignoreErrors")
