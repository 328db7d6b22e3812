"""The page of the REST API: Swagger UI under the site's own content policy, from our own files."""

import pytest

from tests.browser.conftest import Demo, Watched

pytestmark = pytest.mark.browser


def test_the_page_shows_every_endpoint_and_asks_nobody_else(watched: Watched, demo: Demo) -> None:
    page = watched.page()
    page.goto("/api/docs")
    page.wait_for_selector(".opblock")
    assert page.locator(".errors-wrapper").count() == 0
    shown = {element.inner_text() for element in page.locator(".opblock-summary-path").all()}
    assert {path.replace("\u200b", "") for path in shown} >= {"/api/events", "/api/v1/meters", "/api/v1/sdk/track"}
    page.locator("#operations-Meters-list_meters .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.wait_for_selector(".opblock.is-open .parameters input")
    watched.check()


def test_without_scripts_it_leads_to_the_schema(watched: Watched) -> None:
    page = watched.page(scripts=False)
    page.goto("/api/docs")
    assert page.locator("noscript a").get_attribute("href") == "/api/openapi.json"
