import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import charts
from dashboard.charts import Series
from dashboard.filters import Filters

USD = 10**12
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
DAYS = ["2026-11-18", "2026-11-19", "2026-11-20"]


def stacked(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "buckets": DAYS,
        "bucket_ms": DAY_MS,
        "series": [
            Series("openai/gpt-4o", 3, [USD, 2 * USD, 0]),
            Series("Other (2)", charts.OTHER, [123_456_789_012, 0, 1]),
        ],
        "previous": [USD, USD, USD],
        "hourly": False,
    }
    return charts.spend_by_series(**arguments | changes)


def test_stacked_bars_with_the_previous_period_as_a_dotted_line() -> None:
    figure = stacked()
    assert figure["layout"]["barmode"] == "stack"
    assert [(trace["type"], trace["name"], trace["meta"]) for trace in figure["data"]] == [
        ("bar", "openai/gpt-4o", {"c": 3}),
        ("bar", "Other (2)", {"c": None}),
        ("scatter", "Previous period", {"c": -1}),
    ]
    assert [trace["y"] for trace in figure["data"]] == [[1, 2, 0], [0.123, 0, 1e-12], [1, 1, 1]]
    assert {(trace["x0"], trace["dx"]) for trace in figure["data"]} == {("2026-11-18", DAY_MS)}
    assert figure["data"][2]["line"]["dash"] == "dot"


def test_revenue_then_spend_with_the_area_below_filled() -> None:
    figure = charts.revenue_and_spend(DAYS, DAY_MS, [3 * USD] * 3, [USD] * 3)
    assert [(trace["name"], trace["meta"]["c"], trace.get("fill")) for trace in figure["data"]] == [
        ("Revenue", charts.REVENUE_COLOR, None),
        ("Spend", charts.SPEND_COLOR, "tozeroy"),
    ]


@pytest.mark.parametrize(
    "figure",
    [
        stacked(),
        stacked(previous=None),
        stacked(hourly=True, bucket_ms=HOUR_MS, buckets=[f"2026-11-18 {hour:02}:00" for hour in range(3)]),
        stacked(buckets=[], series=[Series("a", 0, [])], previous=[]),
        stacked(series=[], previous=None),
        charts.revenue_and_spend(DAYS, DAY_MS, [1, 2, 3], [1, 2, 3]),
    ],
)
def test_plotly_itself_accepts_every_figure(figure: dict[str, Any]) -> None:
    accepted = json.loads(go.Figure(figure).to_json())
    assert len(accepted["data"]) == len(figure["data"]) > 0
    assert accepted["layout"]["xaxis"]["type"] == "date"


def test_hover_says_cents_from_one_dollar_and_three_digits_below() -> None:
    small, large = Series("small", 0, [USD - 1]), Series("large", 1, [USD])
    assert [trace["hovertemplate"] for trace in stacked(series=[small, large], previous=None)["data"]] == [
        "%{y:$,.3~r}",
        "%{y:$,.2f}",
    ]


@pytest.mark.parametrize(
    ("picousd", "tickformat"),
    [(USD // 10 - 1, None), (USD // 10, ",.2f"), (10 * USD - 1, ",.2f"), (10 * USD, None)],
)
def test_axes_show_plain_decimals_and_cents_where_steps_need_them(picousd: int, tickformat: str | None) -> None:
    halves = [Series("a", 0, [picousd // 2]), Series("b", 1, [picousd - picousd // 2])]
    stack = stacked(series=halves, previous=None)
    before = stacked(series=[Series("a", 0, [0])], previous=[picousd])
    for figure in (stack, before, charts.revenue_and_spend(DAYS, DAY_MS, [picousd], [0])):
        axis = figure["layout"]["yaxis"]
        assert axis["exponentformat"] == "none"
        assert axis.get("tickformat") == tickformat


def test_a_chart_of_nothing_still_spans_its_buckets() -> None:
    (trace,) = stacked(series=[], previous=None)["data"]
    assert (trace["x0"], trace["y"]) == (DAYS[0], [0, 0, 0])


@pytest.mark.parametrize(
    ("day", "zone", "around"),
    [
        ("2026-10-25", "Europe/Berlin", ["01:00", "02:00", "02:00 again", "03:00"]),
        ("2026-11-01", "America/New_York", ["00:00", "01:00", "01:00 again", "02:00"]),
        ("2026-03-29", "Europe/Berlin", ["00:00", "01:00", "03:00", "04:00"]),
    ],
)
def test_hours_are_named_when_the_clock_is_changed(day: str, zone: str, around: list[str]) -> None:
    own = ZoneInfo(zone)
    filters = Filters.from_query({"from": day, "to": day}, datetime(2026, 12, 1, tzinfo=UTC), own)
    starts = [bucket.start.astimezone(own).strftime("%Y-%m-%d %H:%M") for bucket in filters.buckets()]
    for figure in (
        charts.spend_by_series(starts, HOUR_MS, [Series("a", 0, range(len(starts)))], range(len(starts)), hourly=True),
        charts.revenue_and_spend(starts, HOUR_MS, range(len(starts)), range(len(starts))),
    ):
        assert figure["layout"]["xaxis"] == {"type": "category"}
        for trace in figure["data"]:
            assert len(set(trace["x"])) == len(trace["y"]) == len(starts)
            assert "|".join(around) in "|".join(trace["x"])


def test_hours_of_two_days_are_named_with_their_day() -> None:
    buckets = ["2026-10-24 02:00", "2026-10-25 02:00", "2026-10-25 02:00"]
    figure = charts.revenue_and_spend(buckets, HOUR_MS, [1, 2, 3], [1, 2, 3])
    assert figure["data"][0]["x"] == ["24 Oct 02:00", "25 Oct 02:00", "25 Oct 02:00 again"]


def test_usual_hours_are_an_axis_of_time() -> None:
    """Also in a zone of half hours, and where an hour of 90 minutes is one bucket."""
    for zone, day in (("Asia/Kolkata", "2026-10-25"), ("Australia/Lord_Howe", "2026-04-05")):
        own = ZoneInfo(zone)
        filters = Filters.from_query({"from": day, "to": day}, datetime(2026, 12, 1, tzinfo=UTC), own)
        starts = [bucket.start.astimezone(own).strftime("%Y-%m-%d %H:%M") for bucket in filters.buckets()]
        figure = charts.spend_by_series(starts, HOUR_MS, [], None, hourly=True)
        assert (figure["layout"]["xaxis"]["type"], len(starts)) == ("date", 24)


def test_names_are_text() -> None:
    name = "<b>a & b</b> &lt; %{y}"
    trace = stacked(series=[Series(name, 0, [1, 1, 1])])["data"][0]
    assert trace["name"] == "&lt;b&gt;a &amp; b&lt;/b&gt; &amp;lt; %{y}"
    assert name not in trace["hovertemplate"]


def test_ninety_days_of_ten_series_stay_below_ten_kilobytes() -> None:
    values = [123_456_789_012_345 + i * 987_654_321 for i in range(90)]
    series = [Series(f"provider/model-{n}", n, values) for n in range(10)]
    figure = stacked(buckets=["2026-08-23"] * 90, series=series, previous=values)
    assert len(json.dumps(figure, separators=(",", ":"))) < 10_000


def test_a_name_keeps_its_colour() -> None:
    """Fixed examples: a change of the hash would recolour every page that people know."""
    assert {name: charts.color_of(name) for name in ("openai/gpt-4o", "support-chat", "")} == KNOWN_COLORS


KNOWN_COLORS = {"openai/gpt-4o": 1, "support-chat": 4, "": 7}


@given(st.lists(st.text(), max_size=20))
def test_names_of_one_chart_share_a_colour_only_when_there_are_more_than_ten(names: list[str]) -> None:
    colors = charts.colors_of(names)
    assert colors.keys() == set(names)
    assert set(colors.values()) <= set(range(charts.COLORS))
    assert len(set(colors.values())) == min(len(set(names)), charts.COLORS)
    assert colors == charts.colors_of(names[::-1])
