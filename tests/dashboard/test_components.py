"""Every component of templates/components/ with hand-made pieces; no database."""

import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from django.conf import settings
from django.template import Context, Template
from django.template.loader import render_to_string

from dashboard import formats
from dashboard.pages import parts

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
EVIL = '"><script>alert(1)</script>&'


class Page(HTMLParser):
    """The elements of a piece of markup, and its text without what screen readers skip."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **having: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag and having.items() <= attrs.items()]


def component(name: str, **context: Any) -> Page:
    return Page(render_to_string(f"components/{name}.html", context))


def card(**changes: Any) -> parts.StatCard:
    fields: dict[str, Any] = {
        "label": "Spend",
        "value": "$12.35",
        "href": "/requests/",
        "title": "$12.345",
        "delta": formats.Delta("13.0%", "up", "bad"),
        "previous": "$10.93",
        "sparkline": "0,22 100,2",
    }
    return parts.StatCard(**fields | changes)


def test_stat_card_is_one_link_that_says_everything() -> None:
    page = component("stat_card", card=card())
    assert page.text == "Spend $12.35 ($12.345) up 13.0% vs $10.93"
    assert page.all("a", href="/requests/")
    assert page.all("polyline", points="-9,30 0,22 100,2 109,30")
    assert page.all("span", **{"class": "delta bad"})
    assert any((use["href"] or "").endswith("icons.svg#up") for use in page.all("use"))


def test_stat_card_without_history_keeps_its_shape() -> None:
    page = component("stat_card", card=card(delta=None, previous="", sparkline="", title=""))
    assert page.text == "Spend $12.35"
    assert page.all("span", **{"class": "delta-line"})
    assert page.all("svg", **{"class": "spark"})


def test_a_change_of_nothing_has_no_direction_word() -> None:
    page = component("delta", delta=formats.Delta("no change", "flat", ""), previous="$1.00")
    assert page.text == "no change vs $1.00"


def test_bar_list() -> None:
    row = parts.BarRow("ana@example", "/requests/?user=ana", "$5.00", share="135%", width_percent=41.25, tone="bad")
    page = component("bar_list", rows=[row])
    assert page.text == "ana@example $5.00 135%"
    assert page.all("rect", width="41.3%")
    assert page.all("span", **{"class": "num share bad"})
    assert component("bar_list", rows=[], empty="No users yet.").text == "No users yet."


def chart(**changes: Any) -> parts.Chart:
    fields: dict[str, Any] = {
        "key": "spend",
        "title": "Spend by model",
        "subtitle": "UTC days",
        "description": "Bars.",
        "figure": {"data": [{"name": "</script><b>"}], "layout": {}},
        "legend": [
            parts.LegendEntry("a", 3, "$1.00", "/requests/?model=a"),
            parts.LegendEntry("Other (2)", None, "$2.00"),
            parts.LegendEntry("Previous period", -1, ""),
        ],
        "table": parts.ChartTable(["Day", "a"], [["20 Nov", "$1.00"]]),
    }
    return parts.Chart(**fields | changes)


def test_chart_names_its_parts_for_the_script_and_for_screen_readers() -> None:
    page = component("chart", chart=chart())
    (plot,) = page.all("div", id="spend-plot")
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert {plot["data-fig"], plot["data-legend"], plot["aria-labelledby"]} <= ids
    assert plot["data-lib"] == "/static/plotly.min.js"
    assert plot["hx-preserve"] == "true"
    assert [attrs["class"] for attrs in page.all("span") if (attrs.get("class") or "").startswith("key")] == [
        "key c3",
        "key c-other",
        "key c-previous",
    ]
    assert page.all("a", href="/requests/?model=a")


def test_chart_data_cannot_leave_its_block() -> None:
    markup = render_to_string("components/chart.html", {"chart": chart()})
    block = re.search(r'<script id="spend-figure" type="application/json">(.*?)</script>', markup, re.DOTALL)
    assert block
    assert json.loads(block[1]) == chart().figure


def test_chart_says_that_a_table_follows_only_if_one_does() -> None:
    sentence = "The figures follow as a table."
    assert sentence in component("chart", chart=chart()).text
    without = component("chart", chart=chart(table=None))
    assert sentence not in without.text
    assert not without.all("table")


def test_segmented_marks_the_chosen_option() -> None:
    options = [parts.Option("7 d", "7d", "?period=7d"), parts.Option("30 d", "30d", "?period=30d", selected=True)]
    page = component("segmented", options=options, label="Period")
    assert page.all("a", **{"aria-current": "true"}) == [{"href": "?period=30d", "aria-current": "true"}]
    assert page.all("div", role="group", **{"aria-label": "Period"})


def test_chips_remove_themselves() -> None:
    page = component("chips", chips=[parts.Chip("model", "gpt-4o", "?")], clear_href="?clear")
    assert page.text == "Remove filter model gpt-4o Clear all"
    assert component("chips", chips=[]).elements == []


@pytest.mark.parametrize("tone", ["warn", "bad", "info"])
def test_banner(tone: str) -> None:
    page = component("banner", banner=parts.Banner("14 requests have no price.", tone, "/requests/", "Show"))
    assert page.text == "14 requests have no price. Show"
    assert page.all("div", **{"class": f"banner {tone}"})
    assert not component("banner", banner=parts.Banner("Only text.")).all("a")


def test_small_components() -> None:
    assert component("empty_state", title="Nothing", text="Yet.", href="/", action="Go").text == "Nothing Yet. Go"
    assert component("status", tone="bad", word="Failed", quiet=True).text == "Failed"
    assert component("live_mark").text == "Live"
    (button,) = component("copy_button", text="evt_1", what="the id").all("button")
    assert (button["data-copy"], button["aria-label"]) == ("evt_1", "Copy the id")
    (link,) = component("more_row", href="?after=x", columns=7).all("a")
    assert link["href"] == link["hx-get"] == "?after=x"
    assert component("code", code="curl x", what="Command").text == "curl x Copy"


def test_scroll_region() -> None:
    template = Template("{% load fluxgate %}{% scroll_region label %}<i>{{ cell }}</i>{% endscroll_region %}")
    page = Page(template.render(Context({"label": "Requests", "cell": EVIL})))
    assert page.all("div", role="region", tabindex="0", **{"aria-label": "Requests"})
    assert page.all("i")
    assert not page.all("script")


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("stat_card", {"card": card(label=EVIL, value=EVIL, href=EVIL, title=EVIL, previous=EVIL)}),
        ("bar_list", {"rows": [parts.BarRow(EVIL, EVIL, EVIL, EVIL, EVIL)]}),
        ("chart", {"chart": chart(title=EVIL, figure={}, legend=[parts.LegendEntry(EVIL, 0, EVIL, EVIL)])}),
        ("banner", {"banner": parts.Banner(EVIL, "warn", EVIL, EVIL)}),
        ("chips", {"chips": [parts.Chip(EVIL, EVIL, EVIL)]}),
        ("copy_button", {"text": EVIL, "what": EVIL}),
        ("status", {"tone": "bad", "word": EVIL, "quiet": True}),
        ("empty_state", {"title": EVIL, "text": EVIL, "href": EVIL, "action": EVIL}),
    ],
)
def test_names_are_text_and_never_markup(name: str, context: dict[str, Any]) -> None:
    page = component(name, **context)
    assert page.elements
    assert not [attrs for attrs in page.all("script") if attrs.get("type") != "application/json"]
    assert EVIL in page.text or EVIL in [value for _, attrs in page.elements for value in attrs.values()]


def test_every_icon_that_is_placed_exists() -> None:
    icons = (settings.BASE_DIR / "static/icons.svg").read_text()
    known = set(re.findall(r'<symbol id="([\w-]+)"', icons))
    sources = [path.read_text() for path in TEMPLATES]
    placed = {name for source in sources for name in re.findall(r'{% icon "([\w-]+)" %}', source)}
    assert placed
    assert placed | {"up", "down", "flat"} <= known


def test_filters_print_as_formats_do() -> None:
    template = Template(
        "{% load fluxgate %}{{ a|money }} {{ a|money_exact }} {{ b|percent }} {{ n|count }} {{ x|money }}"
    )
    context = {"a": 5_250_000_000, "b": Decimal("0.5"), "n": 1200, "x": None}
    assert template.render(Context(context)) == "$0.00525 $0.00525 50.0% 1,200 —"
