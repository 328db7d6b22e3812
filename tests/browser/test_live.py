"""From a call to the page: what an SDK sends is seen, refused calls too."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Demo, Sign, Watched, sign_in
from tests.wire_client import WireClient, event

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

POLL = re.compile(r"[?&]rev=")
SOON_MS = 15_000
"""Far beyond the 3 seconds that are promised and measured in `bench/live.py`: a test is not judged by the clock."""


def test_a_new_event_appears_on_an_open_overview(signed_in: Sign, demo: Demo) -> None:
    page = signed_in()
    page.goto("/")
    before = page.locator("body").inner_text()
    assert "live-now" not in before
    answer = demo.client.record_event(event() | {"metadata": {"feature": "live-now", "user": "user-live"}})
    assert answer is not None
    expect(page.get_by_text(re.compile("live-now")).first).to_be_visible(timeout=SOON_MS)


def test_a_page_that_takes_long_is_asked_for_less_often(signed_in: Sign) -> None:
    """By the browser's own clock, which stands still but for what it is told."""
    page = signed_in()
    held: list[Route] = []
    page.route(POLL, lambda route: held.append(route))  # a bound method is none that Playwright can name
    page.clock.install()
    page.goto("/")
    with page.expect_request(POLL):
        page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    page.clock.fast_forward(1000)  # so long the server takes
    with page.expect_response(POLL):
        held.pop().fulfill(status=204)
    page.clock.run_for(8000)
    page.evaluate("1")
    assert held == []
    with page.expect_request(POLL):
        page.clock.run_for(3000)
    page.unroute_all(behavior="ignoreErrors")


def test_an_open_page_keeps_its_focus_and_its_open_table(signed_in: Sign, demo: Demo) -> None:
    page = signed_in()
    page.goto("/")
    summary = page.get_by_text("Show as table").first
    summary.click()
    summary.focus()
    demo.client.record_event(event() | {"metadata": {"feature": "kept-open"}})
    expect(page.get_by_text(re.compile("kept-open")).first).to_be_visible(timeout=SOON_MS)
    expect(page.get_by_role("table").first).to_be_visible()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_click_is_not_lost_to_news_that_come_while_the_button_is_down(signed_in: Sign, demo: Demo) -> None:
    page = signed_in()
    page.goto("/")
    page.get_by_text("Show as table").first.hover()
    page.mouse.down()
    with page.expect_response(lambda response: bool(POLL.search(response.url)) and response.status == 200) as news:
        demo.client.record_event(event() | {"metadata": {"feature": "pressed"}})
    news.value.finished()
    page.evaluate("1")
    page.mouse.up()
    expect(page.locator("#spend-details")).to_have_attribute("open", "")
    expect(page.get_by_text("pressed").first).to_be_visible(timeout=SOON_MS)


def test_the_first_run_turns_into_the_overview(watched: Watched, demo: Demo) -> None:
    server = demo.server
    arguments = ("Newcomer", "--slug", "newcomer", "--owner", "owner@newcomer.example", "--password", "first-run-1")
    server.command("create_organization", *arguments)
    page = sign_in(watched.page(), "owner@newcomer.example", "first-run-1")
    expect(page.get_by_text("Listening")).to_be_visible()
    assert "/api/events" in page.locator("main").inner_text()
    client = WireClient(server.port, server.command("create_api_key", "newcomer", "--name", "first"))
    refused = client.record_event(event(inputTokens="12"))
    assert refused is not None
    assert refused.status == 422
    expect(page.get_by_text("usage.inputTokens").first).to_be_visible(timeout=SOON_MS)
    client.record_event(event())
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=SOON_MS)
    expect(page.get_by_text("$0.00525").first).to_be_visible(timeout=SOON_MS)


def test_the_call_is_in_requests_with_all_that_was_sent(signed_in: Sign, demo: Demo) -> None:
    sent = event() | {"metadata": {"feature": "receipt-test", "user": {"id": "user-r", "name": "Receipt Ltd"}}}
    answer = demo.client.record_event(sent)
    assert answer is not None
    page = signed_in()
    page.goto("/requests/?feature=receipt-test")
    row = page.locator("tbody tr").first
    for text in ("openai/gpt-4o", "receipt-test", "Receipt Ltd", "1,200", "350", "812 ms", "$0.00525"):
        expect(row).to_contain_text(text)
    page.goto(f"/requests/{answer.id}/")
    receipt = page.get_by_role("table").first
    for text in ("200", "1,000", "350", "$0.0005", "$0.00125", "$0.0035", "$0.00525"):
        expect(receipt).to_contain_text(text)
    expect(page.get_by_text("genai-prices").first).to_be_visible()


def test_the_drawer_opens_and_gives_the_focus_back(signed_in: Sign, demo: Demo) -> None:
    demo.client.record_event(event() | {"metadata": {"feature": "drawer-test"}})
    page = signed_in()
    page.goto("/requests/?feature=drawer-test")
    link = page.locator("tbody [data-drawer]").first
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("$0.00525")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.matches('[data-drawer]')")


def test_filters_live_in_the_url_and_back_undoes_them(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/")
    page.get_by_role("search").get_by_label("Status").select_option("error")
    page.wait_for_url(re.compile("status=error"))
    expect(page.locator("main")).not_to_contain_text("Loading")
    page.evaluate("history.back()")
    page.wait_for_url(re.compile(r"/requests/$"))


def test_pages_work_without_scripts(watched: Watched, demo: Demo) -> None:
    page = sign_in(watched.page(scripts=False), demo.email, demo.password)
    page.goto("/")
    expect(page.locator("details table").first).to_be_attached()
    page.goto("/requests/")
    page.get_by_role("search").get_by_label("Status").select_option("error")
    page.get_by_role("button", name=re.compile("Filter|Apply")).click()
    page.wait_for_url(re.compile("status=error"))
    page.locator("tbody a").first.click()
    expect(page.locator("h1")).to_be_visible()


def test_a_key_made_in_the_admin_is_shown_once_and_works(signed_in: Sign, demo: Demo) -> None:
    page = signed_in()
    page.goto("/admin/events/apikey/add/")
    page.get_by_label("Organization").select_option("Demo")
    page.get_by_label("Name").fill("made in the browser")
    page.get_by_role("button", name="Save", exact=True).click()
    field = page.locator("input[readonly]").first
    key = field.input_value()
    assert re.fullmatch(r"org_live_[0-9A-Za-z]{38}", key)
    answer = WireClient(demo.server.port, key).record_event(event())
    assert answer is not None
    assert answer.status == 200
    page.goto("/admin/events/apikey/")
    assert key not in page.content()
