"""Every page in both themes and at four widths: accessible, within its width, titled, free of errors."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Demo, Sign, Watched
from tests.wire_client import event

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = [
    "/",
    "/requests/",
    "/costs/",
    "/costs/?by=user",
    "/costs/?by=feature_user",
    "/costs/user/?user=user-hooli",
    "/costs/feature/?feature=doc-search",
    "/usage/",
    "/usage/?meter=1",
    "/customers/",
    "/invoices/",
    "/invoices/1/",
    "/invoices/{draft}/",
    "/invoices/2/credit/",
    "/sessions/",
    "/sessions/session/?session=tour-session",
    "/sessions/conversation/?conversation=tour-conversation",
    "/exports/",
    "/views/",
    "/rejected/",
    "/pricing/",
    "/pricing/openai/gpt-5-mini/",
    "/requests/{event}/",
    "/keys/",
    "/settings/",
    "/settings/members/",
    "/settings/account/",
]
VARIANTS = [
    "/?period=24h",
    "/?period=90d",
    "/requests/?status=error",
    "/costs/?by=user&paying=short",
    "/costs/?by=model",
    "/costs/?by=meta.locale",
    "/costs/?by=step&feature=no-such-feature",
    "/usage/?environment=test",
    "/usage/?user=user-hooli&period=90d",
    "/invoices/?status=draft",
    "/invoices/?user=nobody",
    "/invoices/{draft}/finalize/",
    "/sessions/?by=conversation",
    "/pricing/?q=no-such-model",
]
"""Pages above with another question: other rows, or none. The narrowest and the widest layout are enough."""
ADMIN_PAGES = [
    "/admin/",
    "/admin/events/apikey/",
    "/admin/events/apikey/add/",
    "/admin/events/organization/",
    "/admin/events/trackeduser/",
    "/admin/events/user/",
    "/admin/metering/meter/",
    "/admin/metering/meter/add/",
    "/admin/metering/meterrate/",
    "/admin/metering/meterrate/add/",
    "/admin/metering/plan/",
    "/admin/metering/subscription/add/",
    "/admin/metering/credit/add/",
    "/admin/metering/billingsettings/add/",
    "/admin/metering/invoice/",
    "/admin/metering/usagerecord/",
    "/admin/metering/webhookendpoint/add/",
    "/admin/metering/webhookdelivery/",
]
WIDTHS = (320, 360, 768, 1440)
LAYOUTS = (320, 768, 1440)
"""Of those, the ones with a layout of their own: no rule of the style sheets tells 360 from 320."""
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"color-contrast": {"enabled": False}, "link-in-text-block": {"enabled": False}},
    "resultTypes": ["violations"],
}
"""All but the colours. A theme cannot break them: a page's elements and names are the same in both."""
COLOUR_RULES = {"runOnly": ["color-contrast", "link-in-text-block"], "resultTypes": ["violations"]}

# Whether a text can be read is decided by its colour, size, weight and decoration, by the colour of the text around it,
# and by the backgrounds, opacities and positions of what it lies in. This runs the colour rules on every text whose
# combination of these has not passed them before: most of a first page, and of others what looks different there.
_NEW_COLOURS = """async ([known, rules]) => {
  const checked = new Set(known);
  const surroundings = new Map([[null, ""]]);
  const around = (element) => {
    if (!surroundings.has(element)) {
      const { backgroundColor, backgroundImage, opacity, position, mixBlendMode, filter } = getComputedStyle(element);
      const own = [backgroundColor, backgroundImage, opacity, position, mixBlendMode, filter].join(" ");
      const outer = around(element.parentElement);
      surroundings.set(element, outer.endsWith(own) ? outer : `${outer}\n${own}`);
    }
    return surroundings.get(element);
  };
  const found = new Set();
  const include = [...document.querySelectorAll("body, body *")].filter((element) => {
    const speaks = element.matches("input, select, textarea")
      || [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!speaks || !element.checkVisibility()) return false;
    const { color, fontSize, fontWeight, textDecorationLine, textShadow } = getComputedStyle(element);
    const beside = getComputedStyle(element.parentElement).color;
    const looks = [color, fontSize, fontWeight, textDecorationLine, textShadow, beside, around(element)].join(" ");
    if (checked.has(looks)) return false;
    found.add(looks);
    return true;
  });
  const violations = include.length ? (await axe.run({ include }, rules)).violations : [];
  return { violations, looks: [...found] };
}"""
_passed: set[str] = set()
"""The looks that the colour rules had nothing against. Who brings one of the others is told so, page by page."""

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
      const running = document.getAnimations();
      if (!running.length) return "";
      // What inherits a colour that changes slowly starts to change when that has ended: look again.
      await Promise.allSettled(running.map((animation) => animation.finished));
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


def check_access(page: Page, theme: str, where: str, *, is_layout: bool = True) -> None:
    """No violation of the rules; axe comes into the page with the first check."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    colours = page.evaluate(_NEW_COLOURS, [sorted(_passed), COLOUR_RULES])
    violations = colours["violations"]
    if not violations:
        _passed.update(colours["looks"])
    if theme == THEMES[0] and is_layout:
        violations += page.evaluate("options => axe.run(options).then(({ violations }) => violations)", RULES)
    assert not violations, f"{where}: {AxeResults({'violations': violations}).generate_report()}"


def check_at_every_width(page: Page, pictures: Path | None = None, *, widths: Sequence[int] = WIDTHS) -> None:
    """The page that is open, resized and re-coloured as a person does it: nothing of it is loaded again."""
    path = page.url
    assert page.locator("h1").count() == 1
    assert re.fullmatch(r"\S.* · FluxGate", page.title())
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            problem = page.evaluate(_SETTLED, [theme, 10_000])
            assert not problem, f"{path} at {width} px, {theme}: {problem}"
            check_access(page, theme, f"{path} at {width} px, {theme}", is_layout=width in LAYOUTS)
            if pictures:
                name = re.sub(r"\W+", "-", path.partition("//")[2].partition("/")[2]).strip("-").lower() or "overview"
                page.screenshot(path=pictures / f"{name}-{theme}-{width}.png", full_page=True)


@pytest.fixture(scope="module")
def tourist(browser: Browser, demo: Demo, owner_state: Any) -> Iterator[Watched]:
    """One person's browser for all pages: it loads the chart library once."""
    watched = Watched(browser, demo.server)
    watched.page(state=owner_state)
    yield watched
    watched.close()


@pytest.fixture(scope="module")
def draft_id(tourist: Watched) -> str:
    """A draft of the demo: which one depends on the day."""
    listed = tourist.contexts[0].request.get("/invoices/?status=draft").text()
    found = re.search(r'href="/invoices/(\d+)/"', listed)
    assert found
    return found[1]


@pytest.fixture
def tab(tourist: Watched) -> Iterator[Page]:
    """The tourist's page, light and wide at first. What went wrong in it is this test's.

    The same for all: a new one is a new process, which compiles the chart library and axe anew, and so is one that
    has left the site meanwhile.
    """
    page = tourist.contexts[0].pages[0]
    page.emulate_media(color_scheme=THEMES[0])
    page.set_viewport_size({"width": WIDTHS[-1], "height": 900})
    yield page
    tourist.check()


@pytest.mark.parametrize(
    ("path", "widths"),
    [pytest.param(path, WIDTHS, id=path) for path in PAGES]
    + [pytest.param(path, (WIDTHS[0], WIDTHS[-1]), id=path) for path in VARIANTS],
)
def test_pages(
    tab: Page, request_id: str, draft_id: str, path: str, widths: Sequence[int], pictures: Path | None
) -> None:
    tab.set_viewport_size({"width": widths[0], "height": 900})
    answer = tab.goto(path.format(event=request_id, draft=draft_id))
    assert answer is not None
    assert answer.status == 200
    draw_charts(tab)
    check_at_every_width(tab, pictures, widths=widths)


@pytest.mark.parametrize(
    "path", ["/requests/", "/sessions/", "/costs/?by=user", "/keys/", "/settings/members/", "/pricing/"]
)
def test_from_a_tablet_on_tables_show_all_their_columns_at_once(tab: Page, path: str) -> None:
    """What a row costs and what can be done with it stand at its end: nobody finds them beyond an edge."""
    tab.goto(path)
    for width in (768, 1024, 1280):
        tab.set_viewport_size({"width": width, "height": 900})
        beyond = tab.locator(".panel .table").evaluate_all(
            """tables => tables.filter(table => table.checkVisibility()
                 && table.getBoundingClientRect().right > table.closest(".panel").getBoundingClientRect().right)
               .map(table => table.className)"""
        )
        assert not beyond, f"{path} at {width} px: {beyond}"


@pytest.mark.parametrize("path", ADMIN_PAGES)
def test_admin_pages(tab: Page, path: str) -> None:
    tab.goto(path)
    for theme in THEMES:
        tab.emulate_media(color_scheme=theme)
        assert not tab.evaluate(_SETTLED, [theme, 10_000])
        check_access(tab, theme, f"{path}, {theme}")


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
