"""Every page in both themes and at four widths: accessible, within its width, titled, free of errors."""

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
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
    "/costs/?by=model",
    "/costs/?by=meta.locale",
    "/costs/?by=feature_user",
    "/costs/?by=step&feature=no-such-feature",
    "/costs/user/?user=user-hooli",
    "/costs/feature/?feature=doc-search",
    "/sessions/",
    "/sessions/?by=conversation",
    "/sessions/session/?session=tour-session",
    "/sessions/conversation/?conversation=tour-conversation",
    "/exports/",
    "/views/",
    "/rejected/",
    "/pricing/",
    "/pricing/?q=no-such-model",
    "/pricing/openai/gpt-5-mini/",
    "/requests/{event}/",
    "/keys/",
    "/settings/",
    "/settings/members/",
    "/settings/account/",
]
ADMIN_PAGES = [
    "/admin/",
    "/admin/events/apikey/",
    "/admin/events/apikey/add/",
    "/admin/events/organization/",
    "/admin/events/trackeduser/",
    "/admin/events/user/",
]
WIDTHS = (320, 360, 768, 1440)
THEMES = ("light", "dark")
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
}
COLOUR_RULES = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}
"""The rules that a theme can break: a page's elements and names are the same in both."""

# Charts are drawn anew when the width or the theme changes, a moment later.
_SETTLED = """async ([scheme, patience]) => {
  const root = document.documentElement;
  const end = performance.now() + patience;
  const isSettled = () => {
    const charts = [...document.querySelectorAll(".chart.drawn .main-svg")];
    const probe = document.createElement("span");
    document.body.append(probe);
    probe.style.color = "var(--muted)";
    const muted = getComputedStyle(probe).color;
    probe.remove();
    return matchMedia(`(prefers-color-scheme: ${scheme})`).matches
      && root.scrollWidth <= innerWidth
      && charts.every((svg) => svg.getBoundingClientRect().width <= svg.closest(".chart").clientWidth + 1)
      && charts.every((svg) => [...svg.querySelectorAll(".xtick text")].every(
        (text) => getComputedStyle(text).fill === muted));
  };
  for (;;) {
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    if (isSettled()) {
      await Promise.all(document.getAnimations().map((animation) => animation.finished));
      return "";
    }
    if (performance.now() > end) {
      return root.scrollWidth > innerWidth ? `${root.scrollWidth} px wide` : "a chart is not drawn anew";
    }
  }
}"""


@pytest.fixture(scope="module")
def request_id(demo: Demo) -> str:
    metadata = {"sessionId": "tour-session", "conversationId": "tour-conversation", "feature": "tour"}
    answers = [demo.client.record_event(event() | {"metadata": metadata}) for _ in range(3)]
    assert answers[0] is not None
    return answers[0].id


def draw_charts(page: Page) -> None:
    """Wait until the charts, which load after the page and near the view, are drawn."""
    for chart in page.locator(".chart[data-fig]").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".main-svg").first).to_be_visible(timeout=60_000)
    page.evaluate("scrollTo(0, 0)")


def check_access(page: Page, rules: dict[str, Any], where: str) -> None:
    """No violation of the rules; axe comes into the page with the first check."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run(options).then(({ violations }) => ({ violations }))", rules)
    assert not found["violations"], f"{where}: {AxeResults(found).generate_report()}"


def check_at_every_width(page: Page, pictures: Path | None = None) -> None:
    """The page that is open, resized and re-coloured as a person does it: nothing of it is loaded again."""
    path = page.url
    assert page.locator("h1").count() == 1
    assert re.fullmatch(r"\S.* · FluxGate", page.title())
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            problem = page.evaluate(_SETTLED, [theme, 10_000])
            assert not problem, f"{path} at {width} px, {theme}: {problem}"
            check_access(page, RULES if theme == "light" else COLOUR_RULES, f"{path} at {width} px, {theme}")
            if pictures:
                name = re.sub(r"\W+", "-", path.partition("//")[2].partition("/")[2]).strip("-").lower() or "overview"
                page.screenshot(path=pictures / f"{name}-{theme}-{width}.png", full_page=True)


@pytest.mark.parametrize("path", PAGES)
def test_pages(signed_in: Sign, request_id: str, path: str, pictures: Path | None) -> None:
    page = signed_in(width=WIDTHS[0])
    answer = page.goto(path.format(event=request_id))
    assert answer is not None
    assert answer.status == 200
    draw_charts(page)
    check_at_every_width(page, pictures)


def test_admin_pages(signed_in: Sign) -> None:
    page = signed_in()
    for path in ADMIN_PAGES:
        page.goto(path)
        for theme in THEMES:
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            assert not page.evaluate(_SETTLED, [theme, 10_000])
            check_access(page, RULES if theme == "light" else COLOUR_RULES, f"{path}, {theme}")


def test_the_sign_in_and_missing_pages(watched: Watched, signed_in: Sign) -> None:
    page = watched.page()
    page.goto("/sign-in/")
    check_at_every_width(page)
    watched.expected.add("404")
    inside = signed_in()
    inside.goto("/requests/evt_00000000000070008000000000000000/")
    check_at_every_width(inside)


def test_charts_are_drawn_and_stand_in_a_table_too(signed_in: Sign) -> None:
    page = signed_in()
    page.goto("/")
    draw_charts(page)
    chart = page.locator(".chart[data-fig]").first
    assert chart.locator(".bars .point").count() > 20
    page.get_by_text("Show as table").first.click()
    expect(page.get_by_role("table").first).to_be_visible()
    assert page.get_by_role("row").count() > 20
