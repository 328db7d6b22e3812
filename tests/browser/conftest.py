"""A real Chromium against the product as `manage.py serve` starts it, demo data included."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.real_server import RealServer, started_once
from tests.wire_client import WireClient

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Demo:
    """The demo organization of a running server: its owner and a key."""

    server: RealServer
    email: str
    password: str
    key: str

    @property
    def client(self) -> WireClient:
        return WireClient(self.server.port, self.key)


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    data_dir = started_once(tmp_path_factory.mktemp("browser") / "var")
    server = RealServer(data_dir, environment={"FLUXGATE_DEMO": "1"}).start()
    note = json.loads((data_dir / "demo.json").read_text())
    yield Demo(server, note["email"], note["password"], note["api_key"])
    assert server.stop() == 0


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with the browser's tests: Playwright keeps an event loop running, which nothing else may find."""
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        yield browser
        browser.close()


def chromium(playwright: Playwright) -> Browser:
    """The system's Chromium, or else Playwright's own."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)


Sign = Callable[..., Page]


class Watched:
    """Pages that fail the test on console errors, breaches of the content policy and requests to other hosts."""

    def __init__(self, browser: Browser, server: RealServer) -> None:
        self._browser = browser
        self._server = server
        self.contexts: list[BrowserContext] = []
        self.problems: list[str] = []
        self.expected: set[str] = set()
        """Parts of problems that a test brings about on purpose."""

    def page(
        self, *, width: int = 1440, height: int = 900, dark: bool = False, scripts: bool = True, state: Any = None
    ) -> Page:
        """A page in a context of its own; `state` is what another context's `storage_state` told: its cookies."""
        context = self._browser.new_context(
            base_url=self._server.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            storage_state=state,
        )
        self.contexts.append(context)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI))"
        )
        return self.tab(context)

    def tab(self, context: BrowserContext) -> Page:
        """One more page of a context that `page` made: what it needs may be in the browser's cache."""
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self._check_host(request.url))
        return page

    def _check_host(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme.startswith("http") and parts.hostname not in ("localhost", "127.0.0.1"):
            self.problems.append(f"a request to {parts.hostname}")

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        self.check()

    def check(self) -> None:
        """Fail on what went wrong since the last check."""
        unexpected = [p for p in self.problems if not any(part in p for part in self.expected)]
        self.problems.clear()
        assert unexpected == []


@pytest.fixture
def watched(browser: Browser, demo: Demo) -> Iterator[Watched]:
    watched = Watched(browser, demo.server)
    yield watched
    watched.close()


def sign_in(page: Page, email: str, password: str) -> Page:
    """Sign in through the form; ends on the page that follows."""
    page.goto("/sign-in/")
    page.fill("input[name=username]", email)
    page.fill("input[name=password]", password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in/" not in url)
    return page


@pytest.fixture(scope="package")
def owner_state(browser: Browser, demo: Demo) -> Any:
    """The cookies of the demo's owner, who signs in once for all tests."""
    watched = Watched(browser, demo.server)
    state = sign_in(watched.page(), demo.email, demo.password).context.storage_state()
    watched.close()
    return state


@pytest.fixture
def signed_in(watched: Watched, owner_state: Any) -> Sign:
    """Opens a page of the demo's owner; takes the options of `Watched.page`."""

    def opened(**options: object) -> Page:
        return watched.page(state=owner_state, **options)  # type: ignore[arg-type]

    return opened


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """Where to leave screenshots for people to look at; None unless FLUXGATE_PICTURES names a directory."""
    name = os.environ.get("FLUXGATE_PICTURES")
    return Path(name) if name else None
