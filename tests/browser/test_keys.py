"""What only keys, a pointer that drags, or a browser without script can show."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, Sign, Watched, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def focused(page: Page) -> str:
    """The id of the event whose row is focused, '' outside of rows."""
    return str(page.evaluate("document.activeElement.getAttribute('href')?.split('/').at(-2) ?? ''"))


def ids_of(page: Page) -> list[str]:
    return [str(link.get_attribute("href")).split("/")[-2] for link in page.locator(".row-link").all()]


def test_rows_are_walked_also_with_the_drawer_open(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/")
    ids = ids_of(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    assert focused(page) == ids[1]
    page.keyboard.press("Enter")
    drawer = page.locator("#drawer")
    expect(drawer.locator("h1")).to_have_text(ids[1])
    page.keyboard.press("j")
    expect(drawer.locator("h1")).to_have_text(ids[2])
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(drawer.locator("h1")).to_have_text(ids[0])
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    assert focused(page) == ids[0]


def test_rows_are_walked_with_the_buttons_of_the_drawer(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/")
    ids = ids_of(page)
    page.locator(".row-link").nth(1).click()
    heading = page.locator("#drawer h1")
    expect(heading).to_have_text(ids[1])
    page.get_by_role("button", name="Next row").click()
    expect(heading).to_have_text(ids[2])
    page.get_by_role("button", name="Previous row").click()
    expect(heading).to_have_text(ids[1])
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Views").click()
    expect(page.locator("#drawer h2").first).to_be_visible()
    expect(page.get_by_role("button", name="Next row")).to_be_hidden()


def test_the_last_row_leads_on_to_the_next_ones(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/")
    rows = page.locator(".row-link")
    rows.nth(49).focus()
    page.keyboard.press("j")
    expect(rows).to_have_count(100)
    expect(rows.nth(50)).to_be_focused()


def test_a_poll_answered_meanwhile_does_not_take_the_focus(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/")
    rows = page.locator(".row-link")
    page.evaluate(
        """document.addEventListener("htmx:afterSwap", () => {
             const target = document.querySelector("#news");
             const detail = { target, elt: target, shouldSwap: false, xhr: new XMLHttpRequest() };
             target.dispatchEvent(new CustomEvent("htmx:beforeSwap", { bubbles: true, detail }));
           }, { once: true })"""
    )
    rows.nth(49).focus()
    page.keyboard.press("j")
    expect(rows).to_have_count(100)
    expect(rows.nth(50)).to_be_focused()


def test_keys_lead_to_pages_periods_and_the_search(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("g?.")
    expect(page.get_by_role("searchbox")).to_have_value("g?.")
    page.goto("/requests/")
    page.keyboard.press(".")
    expect(page.locator("[data-live-mark]")).to_have_attribute("data-state", "paused")
    page.keyboard.press("w")
    page.wait_for_url("**/requests/?period=7d")
    for key, path in {"s": "/sessions/", "c": "/costs/", "p": "/pricing/", "r": "/requests/", "o": "/"}.items():
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(re.compile(rf"localhost:\d+{path}$"))
    page.keyboard.press("x")
    page.wait_for_url("**/?compare=none")


def test_keys_can_be_turned_off_and_on(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/")
    page.keyboard.press("?")
    page.get_by_label("Use these shortcuts in this browser").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    page.reload()
    page.keyboard.press("j")
    page.keyboard.press("/")
    assert focused(page) == ""
    page.get_by_role("link", name="Keyboard shortcuts").click()
    page.get_by_label("Use these shortcuts in this browser").check()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_columns_change_at_once_and_stay(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/requests/?sort=cost")
    page.locator("#view summary").click()
    page.get_by_role("checkbox", name="Tier").check()
    expect(page.get_by_role("columnheader", name="Tier")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Tier")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("checkbox", name="Tier")).to_be_hidden()
    assert page.url.endswith("/requests/?sort=cost")
    page.reload()
    expect(page.get_by_role("columnheader", name="Tier")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Cost")).to_have_attribute("aria-sort", "descending")


def test_a_span_of_a_chart_is_dragged_over(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/?period=90d")
    plot = page.locator(".chart .nsewdrag").first
    plot.wait_for(timeout=60_000)
    box = plot.bounding_box()
    assert box
    at = [box["x"] + box["width"] * (number + 0.5) / 90 for number in (40, 49)]
    page.mouse.move(at[0], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(at[1], box["y"] + 70, steps=5)
    page.mouse.up()
    page.wait_for_url("**/?from=*&to=*")
    expect(page.locator(".chart [role=row], .as-table noscript").first).to_be_attached()
    page.get_by_text("Show as table").first.click()
    expect(page.locator(".as-table").first.get_by_role("row")).to_have_count(11)


def test_a_bar_leads_to_the_requests_that_it_sums(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/?period=7d")
    bars = page.locator(".chart").first.locator(".trace.bars").first.locator(".point path")
    bars.first.wait_for(timeout=60_000)
    dearest = page.locator("#spend-legend a").first
    name = dearest.locator(".legend-name").inner_text()
    day = bars.nth(3).bounding_box()
    assert day
    page.mouse.move(day["x"] + day["width"] / 2, day["y"] + day["height"] / 2)
    page.mouse.click(day["x"] + day["width"] / 2, day["y"] + day["height"] / 2)
    page.wait_for_url("**/requests/?*from=*")
    words = dict(parse_qsl(urlsplit(page.url).query))
    assert f"{words['provider']}/{words['model']}" == name
    assert words["from"] == words["to"]
    expect(page.locator(".row-link").first).to_be_visible()


def test_nobody_is_asked_for_news_while_the_page_is_paused_or_hidden(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/")
    asks = """() => new Promise((done) => {
      document.addEventListener("htmx:beforeRequest", (event) => done(!event.defaultPrevented), { once: true });
      htmx.trigger(document.querySelector("[data-live]"), "fg:refresh");
    })"""
    assert page.evaluate(asks)
    page.locator("[data-live-mark]").click()
    assert not page.evaluate(asks)
    page.locator("[data-live-mark]").click()
    assert page.evaluate(asks)
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
    assert not page.evaluate(asks)


def test_without_script_the_rest_of_the_pages_and_the_columns_are_there(watched: Watched, demo: Demo) -> None:
    page = sign_in(watched.page(width=360, scripts=False), demo.email, demo.password)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("link", name="Sessions").click()
    page.wait_for_url("**/sessions/")
    page.goto("/requests/?sort=latency")
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Step").check()
    page.get_by_role("button", name="Apply").last.click()
    expect(page.get_by_role("columnheader", name="Step")).to_be_visible()
    page.get_by_role("link", name="Show 50 more").click()
    expect(page.get_by_role("columnheader", name="Latency")).to_have_attribute("aria-sort", "descending")
    page.goto("/")
    page.get_by_text("Show as table").first.click()
    expect(page.get_by_role("table").first).to_be_visible()
