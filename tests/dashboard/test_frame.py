"""base.html and bare.html around a page: navigation, what is shown to whom, and what the policy needs."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from dashboard.pages.parts import Frame, Option
from tests.dashboard.test_components import EVIL, Page

TWO = (Option("Northwind", "northwind", selected=True), Option("Initech", "initech"))


def framed(path: str = "/?period=7d&after=x", **changes: Any) -> Page:
    fields: dict[str, Any] = {
        "title": "Overview",
        "section": "overview",
        "organization": "Northwind",
        "organizations": TWO[:1],
        "person": "ana@northwind.example",
        "environment": "live",
        "theme": "dark",
        "can_administer": False,
    }
    page = SimpleNamespace(frame=Frame(**fields | changes))
    context = {"page": page, "request": RequestFactory().get(path), "csrf_token": "token"}
    return Page(render_to_string("base.html", context))


@pytest.mark.parametrize(
    ("section", "href"),
    [
        ("overview", "/"),
        ("requests", "/requests/"),
        ("costs", "/costs/"),
        ("sessions", "/sessions/"),
        ("pricing", "/pricing/"),
        ("rejected", "/rejected/"),
        ("api_keys", "/keys/"),
        ("settings", "/settings/"),
    ],
)
def test_navigation_marks_where_one_is(section: str, href: str) -> None:
    page = framed(section=section)
    (current,) = page.all("a", **{"aria-current": "page"})
    assert current["href"] == href
    is_behind_more = section not in ("overview", "requests", "costs")
    assert bool(page.all("button", popovertarget="account", **{"aria-current": "true"})) == is_behind_more


def test_the_last_tab_of_phones_opens_the_rest_without_script() -> None:
    page = framed()
    assert page.all("button", popovertarget="account")
    assert [element for element in page.all("div", id="account") if "popover" in element]


def test_shortcuts_can_be_turned_off() -> None:
    assert framed().all("html", **{"data-keys": "on"})
    off = framed(keys="off")
    assert off.all("html", **{"data-keys": "off"})
    assert [element for element in off.all("a", href="/shortcuts/") if "data-help" in element], (
        "the way back needs no key"
    )


def test_the_page_of_shortcuts_has_their_switch(member: Client) -> None:
    def switch() -> dict[str, str | None]:
        page = Page(member.get("/shortcuts/").content.decode())
        return next(element for element in page.all("input", type="checkbox") if "data-keys-switch" in element)

    assert "checked" in switch()
    member.cookies["keys"] = "off"
    assert "checked" not in switch()


def test_organizations_are_offered_only_when_there_are_several() -> None:
    assert not framed().all("button", name="organization")
    assert [button["value"] for button in framed(organizations=TWO).all("button", name="organization")] == [
        "northwind",
        "initech",
    ]


@pytest.mark.parametrize(("theme", "following"), [("auto", "light"), ("light", "dark"), ("dark", "auto")])
def test_the_theme_button_offers_the_next_theme(theme: str, following: str) -> None:
    page = framed(theme=theme)
    assert page.all("html", **{"data-theme": theme})
    assert page.all("button", name="theme", value=following)
    assert page.all("input", name="next", value="/?period=7d&after=x")


def test_the_environment_switch_keeps_the_filters_but_not_the_place_in_a_list() -> None:
    assert framed().all("a", href="?period=7d&environment=test")


def test_every_form_carries_the_token() -> None:
    page = framed(organizations=TWO)
    posts = page.all("form", method="post")
    assert len(posts) == len(page.all("input", name="csrfmiddlewaretoken", value="token")) == 3


def test_one_heading_one_main_and_the_way_to_it() -> None:
    page = framed(title=EVIL)
    assert len(page.all("h1")) == len(page.all("main", id="main")) == 1
    assert page.all("a", href="#main")
    assert all("src" in script for script in page.all("script"))
    assert not [element for element in page.elements if "style" in element[1]]


@pytest.mark.parametrize("name", ["403", "403_csrf", "404", "500", "503"])
def test_error_pages_need_nothing_but_themselves(name: str) -> None:
    page = Page(render_to_string(f"{name}.html"))
    assert len(page.all("h1")) == 1
    assert page.all("html", **{"data-theme": "auto"})
    assert page.all("a", href="/")
