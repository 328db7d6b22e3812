"""What pages weigh on the wire, compressed as a browser gets them, and how many elements they have.

The budgets are those of a dashboard that is kept open all day; one KB is 1,024 bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.browser.conftest import Demo, Sign, Watched

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

KB = 1024
PAGES = {
    "/": 10,
    "/?period=90d": 16,
    "/requests/": 8,
    "/requests/{event}/": 3,
    "/costs/": 10,
    "/costs/?by=user": 16,
    "/usage/": 10,
    "/usage/?meter=1": 12,
    "/customers/": 16,
    "/invoices/": 10,
    "/invoices/1/": 5,
    "/sessions/": 10,
    "/pricing/": 16,
}
"""The HTML of a page, in KB."""
FRAGMENTS = {
    ("/requests/?status=error", "results"): 6,
    ("/?period=90d", "overview"): 16,
    ("/", "overview"): 9,
}
"""What a filter, a longer period and a poll with news put into a page, in KB."""
FIRST_LOAD = 45
"""All of the first page but the chart library, which is fetched after it, in KB; and the requests that fetch it."""
FIRST_REQUESTS = 9
OWN_CODE = {".css": 8, ".js": 6}
"""All our own style sheets, and all our own scripts, of one page, in KB."""
ELEMENTS = {
    "/": 1_500,
    "/?period=90d": 1_500,
    "/requests/": 1_500,
    "/costs/?by=user": 2_000,
    "/usage/": 1_500,
    "/usage/?meter=1": 1_500,
    "/customers/": 2_000,
    "/invoices/": 1_500,
    "/sessions/": 1_500,
    "/pricing/": 1_500,
}


@dataclass
class Wire:
    """What a page has fetched since `start`: bytes on the wire by address, headers counted too."""

    session: CDPSession
    addresses: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        self.session.on("Network.requestWillBeSent", self._sent)
        self.session.on("Network.loadingFinished", self._finished)
        self.session.send("Network.enable")

    def _sent(self, found: dict[str, object]) -> None:
        request = found["request"]
        assert isinstance(request, dict)
        self.addresses[str(found["requestId"])] = request["url"]

    def _finished(self, found: dict[str, object]) -> None:
        size = found["encodedDataLength"]
        assert isinstance(size, int | float)
        self.sizes[self.addresses[str(found["requestId"])]] = size


@pytest.fixture
def fresh(signed_in: Sign) -> Page:
    """A page whose browser has fetched nothing before."""
    return signed_in()


@pytest.fixture(scope="module")
def shared(browser: Browser, demo: Demo, owner_state: Any) -> Iterator[tuple[Watched, Page]]:
    watched = Watched(browser, demo.server)
    yield watched, watched.page(state=owner_state)
    watched.close()


@pytest.fixture
def page(shared: tuple[Watched, Page]) -> Iterator[Page]:
    """One page for all tests that a cache makes no difference to: another browser takes seconds to begin with."""
    watched, page = shared
    yield page
    watched.check()


def size_of(page: Page, path: str, **headers: str) -> int:
    """The bytes of an answer's compressed body."""
    answer = page.request.get(path, headers=headers)
    assert answer.status == 200
    assert answer.headers["content-encoding"] in ("gzip", "br")
    return int(answer.headers["content-length"])


@pytest.mark.parametrize("path", PAGES)
def test_html(page: Page, path: str) -> None:
    budget = PAGES[path]
    if "{event}" in path:
        page.goto("/requests/")
        path = page.locator(".row-link").first.get_attribute("href") or ""
        assert path
    assert size_of(page, path) <= budget * KB


@pytest.mark.parametrize(("path", "target"), FRAGMENTS)
def test_fragments(page: Page, path: str, target: str) -> None:
    headers = {"HX-Request": "true", "HX-Target": target}
    assert size_of(page, path, **headers) <= FRAGMENTS[path, target] * KB


def test_the_first_load_without_the_chart_library(fresh: Page) -> None:
    page = fresh
    wire = Wire(page.context.new_cdp_session(page))
    wire.start()
    page.goto("/")
    page.wait_for_load_state("load")
    first = {address: size for address, size in wire.sizes.items() if "plotly" not in address}
    assert len(first) <= FIRST_REQUESTS, sorted(first)
    assert sum(first.values()) <= FIRST_LOAD * KB, first


def test_our_own_style_and_script(page: Page) -> None:
    page.goto("/")
    addresses = page.locator("link[rel=stylesheet], script[src]").evaluate_all("all => all.map(e => e.href ?? e.src)")
    own = [address for address in addresses if "/static/css/" in address or "/static/js/" in address]
    for ending, budget in OWN_CODE.items():
        sizes = {address: size_of(page, address) for address in own if address.endswith(ending)}
        assert sizes
        assert sum(sizes.values()) <= budget * KB, sizes


@pytest.mark.parametrize("path", ELEMENTS)
def test_elements(page: Page, path: str) -> None:
    page.goto(path)
    # Without what the chart library draws, which may be there by now.
    counted = "document.querySelectorAll('*').length - document.querySelectorAll('.chart[data-fig] *').length"
    assert page.evaluate(counted) <= ELEMENTS[path]


def test_an_idle_poll(fresh: Page) -> None:
    page = fresh
    wire = Wire(page.context.new_cdp_session(page))
    page.goto("/")
    wire.start()
    with page.expect_response(lambda answer: answer.status == 204) as polled:
        pass
    # The wire tells the size when the last byte is in, which may be after the page has the answer.
    for _ in range(200):
        if polled.value.url in wire.sizes:
            break
        page.wait_for_timeout(25)
    assert wire.sizes[polled.value.url] <= 0.7 * KB
