"""The Cost Breakdown: its sums against the events, what users pay, order, pages, links, and what it says when empty."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.cost_search import DIMENSIONS, PAGE_SIZE, CostSearch
from dashboard.formats import count, money
from dashboard.pages import cost_figures, costs
from dashboard.pages.cost_figures import comparison
from dashboard.pages.costs import Costs
from dashboard.queries import breakdown, usage
from dashboard.queries.breakdown import Breakdown
from dashboard.queries.usage import Usage
from dashboard.visit import Visit
from events import rollups
from events.models import Environment, Organization, RevenueChange, Role
from tests.dashboard.conftest import htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory, TrackedUserFactory

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)
XSS = "<img src=x onerror=alert(1)>"
SQL = """SELECT coalesce(sum(cost_picousd), 0), count(*) FROM event
WHERE organization_id = %s AND environment = 0 AND event_time(id) >= %s AND event_time(id) < %s"""


def hours_ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def search(zone: str = "UTC", **words: str) -> CostSearch:
    return CostSearch.from_query(words, NOW, ZoneInfo(zone))


def read(organization: Organization, wanted: CostSearch) -> Breakdown:
    return cost_figures.read(organization.pk, wanted).breakdown


def build(organization: Organization, at: datetime = NOW, /, **words: str) -> Costs:
    zone = organization.zone
    visit = Visit(organization.pk, "Northwind", zone, Role.VIEWER, "Ana", False, (), "auto", "http://x", at)
    return costs.build(visit, CostSearch.from_query(words, at, zone), "r1")


def pays(organization: Organization, external_id: str, *changes: tuple[str, str]) -> None:
    user = TrackedUserFactory(organization=organization, external_id=external_id, name="")
    for moment, usd in changes:
        at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        RevenueChange.objects.create(tracked_user=user, effective_at=at, monthly_revenue_usd=Decimal(usd))


@pytest.fixture
def varied(organization: Organization) -> list[Call]:
    """Calls of all kinds over 80 days, and another organization's, which must never count."""
    calls = [
        Call(
            at=hours_ago(13.7 * number + 0.2),
            cost=None if number % 11 == 5 else (number + 1) * USD // 7,
            model=("gpt-4o", "claude-sonnet-4-5", "gpt-4o", "")[number % 4],
            provider=("openai", "anthropic", "azure", "")[number % 4],
            status=("SUCCESS", "ERROR", "MAX_TOKENS", "BLOCKED")[number % 4],
            feature=("chat", "search", "")[number % 3],
            step=("plan", "")[number % 2],
            user=("u-1", "u-2", "")[number % 3],
            tier=("standard", "batch")[number % 2],
            environment=Environment.TEST if number % 13 == 7 else Environment.LIVE,
        )
        for number in range(140)
    ]
    store_events(organization, calls)
    store_events(OrganizationFactory(), [Call(at=hours_ago(1), cost=999 * USD)])
    return calls


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize(
    "words",
    [
        {},
        {"period": "24h"},
        {"period": "7d"},
        {"period": "mtd"},
        # Clocks went back in New York on 1 November: a day of 25 hours.
        {"from": "2026-11-01", "to": "2026-11-01"},
        {"feature": "chat"},
        {"user": "u-1"},
    ],
)
def test_every_dimension_adds_up_to_the_same_sums_now_and_before(
    organization: Organization, varied: list[Call], words: dict[str, str], zone: str, folded: bool
) -> None:
    organization.time_zone = zone
    organization.save()
    with connection.cursor() as cursor:  # the calls were stored under the zone of before
        cursor.execute("DELETE FROM usage_delta")
        cursor.execute(f"INSERT INTO usage_delta ({', '.join(rollups.DELTA_COLUMNS)}) {columns_of_events()}")
    if folded:
        rollups.fold_now()
    for by in DIMENSIONS:
        wanted = search(zone, by=by, **words)
        filters, before = wanted.filters, wanted.filters.previous()
        found = read(organization, wanted)
        rows = usage.previous(organization.pk, before, hourly=before.hourly)
        compared = sum((row.comparable for row in rows), Usage())
        assert found.total.usage == usage.totals(organization.pk, filters)
        assert sum((row.line.usage for row in found.rows), Usage()) == found.total.usage
        if comparison(organization.pk, filters):
            assert (found.total.before_events, found.total.before_picousd) == (compared.events, compared.cost_picousd)
            assert sum(row.line.before_picousd for row in found.rows) == compared.cost_picousd
        course = breakdown.by_bucket(organization.pk, filters, by, 1, hourly=filters.hourly)
        assert sum(one.cost_picousd for one in course) == found.total.usage.cost_picousd
        if not filters.conditions:
            with connection.cursor() as cursor:
                cursor.execute(SQL, (organization.pk, filters.start, filters.end))
                assert cursor.fetchone() == (found.total.usage.cost_picousd, found.total.usage.events)


def columns_of_events() -> str:
    return f"SELECT {', '.join(rollups.DELTA_COLUMNS)} FROM ({rollups.EVENTS_AS_DELTA}) e"


@pytest.mark.parametrize("by", DIMENSIONS)
def test_the_requests_behind_each_row_add_up_to_it(
    member: Client, organization: Organization, varied: list[Call], by: str
) -> None:
    page = build(organization, by=by, **{"from": "2026-11-01", "to": "2026-11-20"})
    assert len(page.rows) > 1
    for row in [*page.rows, page.total]:
        shown = text_of(member.get(row.requests_href).content.decode())
        events = int(row.requests.text.replace(",", ""))
        noun = "request" if events == 1 else "requests"
        assert f"{events} {noun} · {row.cost.text if row.cost.text != 'no price' else '$0.00'} ·" in shown
        if row.unpriced:
            assert f"{row.unpriced} request" in text_of(member.get(row.unpriced_href).content.decode())


def test_what_was_not_given_is_said_in_words(organization: Organization, varied: list[Call]) -> None:
    names = {by: {row.name for row in build(organization, by=by).rows} for by in DIMENSIONS}
    assert names["feature"] == {"chat", "search", "No feature"}
    assert names["user"] == {"u-1", "u-2", "No user"}
    assert names["step"] == {"plan", "No step"}
    assert names["provider"] == {"openai", "anthropic", "azure", "No provider"}
    assert names["model"] == {"openai/gpt-4o", "azure/gpt-4o", "anthropic/claude-sonnet-4-5", "No model"}
    assert names["feature_user"] >= {"chat · u-1", "search · u-2", "No feature · No user"}
    assert names["tier"] == {"Standard", "Batch"}
    assert names["status"] == {"Succeeded", "Error", "Stopped at max tokens", "Blocked"}


def test_the_total_is_the_overviews(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now - timedelta(days=n), cost=(n + 1) * USD // 3) for n in range(70)])
    for query in ("", "?period=7d", "?feature=chat", "?period=24h"):
        overview = re.search(r"Spend (\S+) \((\S+)\) (\S+ \S+) vs", text_of(member.get(f"/{query}").content.decode()))
        page = text_of(member.get(f"/costs/{query}").content.decode())
        assert overview
        total = page[page.index(" Total ") :]
        assert overview[1] in total
        assert overview[3] in total


# November has 30 days: 30 USD per month are 1 USD per day.
def test_revenue_is_prorated_through_a_change_in_the_period(organization: Organization) -> None:
    pays(organization, "u-1", ("2026-01-01T00:00", "30"), ("2026-11-02T12:00", "60"))
    pays(organization, "u-free", ("2026-01-01T00:00", "0"))
    pays(organization, "u-idle", ("2026-11-03T00:00", "90"))
    at = datetime(2026, 11, 2, 15, tzinfo=UTC)
    store_events(
        organization,
        [
            Call(at=at, cost=5 * USD, user="u-1"),
            Call(at=at, cost=2 * USD, user="u-free"),
            Call(at=at, cost=3 * USD, user="u-unknown"),
            Call(at=at, cost=USD, user=""),
        ],
    )
    page = build(organization, by="user", **{"from": "2026-11-01", "to": "2026-11-03"})
    shown = {row.name: (row.cost.text, row.revenue.text, row.margin.text, row.ratio.text) for row in page.rows}
    assert shown == {
        "u-1": ("$5.00", "$4.50", f"{chr(0x2212)}$0.5000", "111%"),
        "u-free": ("$2.00", "$0.00", f"{chr(0x2212)}$2.00", "pays nothing"),
        "u-unknown": ("$3.00", "not known", "—", "—"),
        "No user": ("$1.00", "—", "—", "—"),
        "u-idle": ("$0.00", "$3.00", "$3.00", "0%"),
    }
    tones = {row.name: row.ratio.tone for row in page.rows}
    assert tones == {"u-1": "bad", "u-free": "bad", "u-unknown": "", "No user": "", "u-idle": ""}
    assert (page.total.cost.text, page.total.revenue.text) == ("$11.00", "$7.50")
    assert [note.text for note in page.notes] == [
        "2 users cost more than they pay",
        "1 user without known revenue: $3.00",
    ]


def test_features_carry_what_their_users_pay_by_cost_share(organization: Organization) -> None:
    """November: 30 USD per month are 1 USD per day. u-idle used nothing, so no feature carries what it pays."""
    for user, usd in (("u-1", "30"), ("u-2", "90"), ("u-idle", "15")):
        pays(organization, user, ("2026-01-01T00:00", usd))
    at = datetime(2026, 11, 3, 15, tzinfo=UTC)
    store_events(
        organization,
        [
            Call(at=at, cost=USD, user="u-1", feature="chat"),
            Call(at=at, cost=3 * USD, user="u-1", feature="search"),
            # Nothing was spent on u-2: its two requests for chat and one for search decide.
            *(Call(at=at, cost=None, user="u-2", feature=name) for name in ("chat", "chat", "search")),
            Call(at=at, cost=7 * USD, user="", feature="chat"),
            # Three days of October and one of November before: 3 × 30/31 + 1 USD for a cost of 4.
            Call(at=at - timedelta(days=5), cost=4 * USD, user="u-1", feature="chat"),
            Call(at=at - timedelta(days=20), cost=0, feature="chat"),
        ],
    )
    days = {"from": "2026-11-02", "to": "2026-11-05"}
    page = build(organization, by="feature", **days)
    shown = {row.name: (row.revenue.text, row.margin.text, row.ratio.text, row.margin_change.text) for row in page.rows}
    # u-1 pays 4 USD: 1 and 3 of them. u-2 pays 12: 8 and 4.
    assert shown == {
        "chat": ("$9.00", "$1.00", "89%", "+$1.10"),
        "search": ("$7.00", "$4.00", "43%", "—"),
    }
    assert page.total.revenue.text == "$16.00"
    assert "$2.00 of revenue comes from users without requests here" in [note.text for note in page.notes]
    assert "spread over the features" in page.foot_note
    pairs = build(organization, by="feature_user", **days)
    assert {row.name: row.revenue.text for row in pairs.rows if row.name != "chat · No user"} == {
        "chat · u-1": "$1.00",
        "search · u-1": "$3.00",
        "chat · u-2": "$8.00",
        "search · u-2": "$4.00",
    }
    assert pairs.total.revenue.text == "$16.00"
    assert [row.name for row in build(organization, by="feature", paying="short", **days).rows] == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.none() | st.integers(0, 10**13)),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=15)
@pytest.mark.django_db
def test_what_features_carry_is_what_their_users_pay(calls: list[tuple[str, str, int | None]]) -> None:
    with transaction.atomic():
        organization = OrganizationFactory()
        for number, name in enumerate("abc"):
            pays(organization, name, ("2026-01-01T00:00", f"{number}.37"), ("2026-11-10T07:11", "13.01"))
        store_events(
            organization, [Call(at=hours_ago(5), user=user, feature=name, cost=cost) for user, name, cost in calls]
        )
        users = {row.value: row.line.revenue_picousd for row in read(organization, search(by="user")).rows}
        features = read(organization, search(by="feature"))
        owed = sum(users[user] or 0 for user in {user for user, _, _ in calls})
        assert abs((features.total.revenue_picousd or 0) - owed) <= 3
        transaction.set_rollback(True)


def test_metadata_is_a_dimension_like_any_other(member: Client, organization: Organization, now: datetime) -> None:
    kinds = ['{"plan": "pro", "seats": 3}', '{"plan": "free"}', '{"plan": "pro"}', None, '{"plan": ["a", 1]}']
    store_events(organization, [Call(at=now, cost=USD, metadata=kind) for kind in kinds])
    page = build(organization, now, by="meta")
    assert [option.label for option in page.metadata] == ["plan", "seats"]
    assert {row.name: row.cost.text for row in page.rows} == {
        "pro": "$2.00",
        "free": "$1.00",
        '["a", 1]': "$1.00",
        "Not given": "$1.00",
    }
    for row in page.rows:
        assert f"{row.requests.text} request" in text_of(member.get(row.requests_href).content.decode())
    seats = build(organization, now, by="meta.seats")
    assert {row.name: row.requests.text for row in seats.rows} == {"3": "1", "Not given": "4"}
    gone = build(organization, now, by="meta.nobody")
    assert [option.label for option in gone.metadata] == ["plan", "seats", "nobody"]


def test_without_metadata_the_page_says_so(organization: Organization) -> None:
    store_events(organization, [Call(at=hours_ago(1))])
    page = build(organization, by="meta")
    assert (page.rows, page.empty_title) == ([], "No request of this period carries metadata of its own")


def test_a_year_ago_can_be_compared_with(organization: Organization) -> None:
    store_events(organization, [Call(at=NOW - timedelta(days=365), cost=2 * USD), Call(at=hours_ago(1), cost=3 * USD)])
    store_events(organization, [Call(at=NOW - timedelta(days=500), cost=0)])
    page = build(organization, compare="year", period="7d")
    assert page.total.change.text == "+$1.00"
    assert "2025" in page.foot_note


@pytest.mark.parametrize(
    ("zone", "day", "usd"),
    [
        # 18:30 UTC is midnight in Kolkata; the amount began 6 hours into its day of 24.
        ("Asia/Kolkata", "2026-11-02", "0.75"),
        # November in New York has 30 days and one hour, and its first day 25 hours; 721 USD are 1 USD per hour.
        ("America/New_York", "2026-11-01", "25"),
    ],
)
def test_revenue_on_awkward_days(organization: Organization, zone: str, day: str, usd: str) -> None:
    organization.time_zone = zone
    organization.save()
    amounts = {"Asia/Kolkata": ("2026-11-02T00:30", "30"), "America/New_York": ("2026-01-01T00:00", "721")}
    pays(organization, "u-1", amounts[zone])
    store_events(organization, [Call(at=datetime(2026, 11, 2, 3, tzinfo=UTC), cost=USD, user="u-1")])
    [row] = read(organization, search(zone, by="user", **{"from": day, "to": day})).rows
    assert row.line.revenue_picousd == int(Decimal(usd) * USD)
    assert row.line.usage.cost_picousd == USD


@pytest.fixture
def payers(organization: Organization) -> None:
    """Revenue of November up to NOW is about two thirds of the amount; costs in order c > b > a > d."""
    for name, usd, cost, calls in (("a", "9", 4, 3), ("b", "90", 5, 1), ("c", "3", 6, 2), ("d", "30", 1, 4)):
        pays(organization, f"u-{name}", ("2026-01-01T00:00", usd))
        store_events(organization, [Call(at=hours_ago(2), cost=cost * USD // calls, user=f"u-{name}")] * calls)
    store_events(organization, [Call(at=hours_ago(2), cost=2 * USD, user="u-e")])
    old = [Call(at=hours_ago(24 * 45), cost=cost * USD, user=user) for user, cost in (("u-c", 9), ("u-a", 1))]
    store_events(organization, [*old, Call(at=hours_ago(24 * 70), cost=0, user="u-d")])


@pytest.mark.usefixtures("payers")
@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("", "c b a e d"),
        ("-cost", "d e a b c"),
        ("requests", "d a c b e"),
        ("change", "b a e d c"),
        ("revenue", "b d a c e"),
        ("margin", "b d a c e"),
        ("-margin", "c a d b e"),
        ("ratio", "c a b d e"),
        ("nonsense", "c b a e d"),
    ],
)
def test_the_order_is_the_one_asked_for(organization: Organization, sort: str, names: str) -> None:
    page = build(organization, by="user", sort=sort)
    assert [row.name.removeprefix("u-") for row in page.rows] == names.split()
    sorted_by = [column.direction for column in page.columns.values() if column.direction]
    assert sorted_by == ["ascending" if sort.startswith("-") else "descending"]


@pytest.mark.usefixtures("payers")
def test_users_who_cost_more_than_they_pay(member: Client, organization: Organization) -> None:
    page = build(organization, by="user", paying="short")
    assert [row.name for row in page.rows] == ["u-c"]
    assert page.total.cost.text == "$6.00"
    assert [(chip.label, chip.value, chip.remove_href) for chip in page.chips] == [
        ("Users", "cost more than they pay", "?by=user")
    ]
    assert page.chart is None
    unknown = build(organization, by="user", paying="unknown")
    assert [row.name for row in unknown.rows] == ["u-e"]
    assert build(organization, by="user", paying="short", **{"from": "2026-01-01", "to": "2026-01-02"}).empty_title == (
        "No user costs more than it pays"
    )


@pytest.mark.usefixtures("payers")
def test_beside_other_filters_there_is_no_revenue(organization: Organization) -> None:
    page = build(organization, by="user", feature="chat", sort="margin", paying="short")
    assert not page.has_revenue
    assert len(page.rows) == 5
    assert "Revenue belongs to users" in page.foot_note


def test_a_head_turns_the_order_round_and_carries_the_filters(organization: Organization) -> None:
    store_events(organization, [Call(at=hours_ago(1))])
    heads = {key: column.href for key, column in build(organization, by="model", feature="chat").columns.items()}
    assert heads["cost"] == "/costs/?feature=chat&by=model&sort=-cost"
    assert heads["requests"] == "/costs/?feature=chat&by=model&sort=requests"
    turned = build(organization, by="model", sort="requests").columns
    assert turned["requests"].href == "/costs/?by=model&sort=-requests"
    assert turned["cost"].href == "/costs/?by=model"


def test_the_tabs_and_chips_keep_what_else_is_chosen(organization: Organization) -> None:
    page = build(organization, by="model", feature="chat", period="7d", sort="change")
    tabs = {tab.value: tab.href for tab in page.tabs}
    assert tabs["feature"] == "/costs/?period=7d&feature=chat&sort=change"
    assert tabs["user"] == "/costs/?period=7d&feature=chat&by=user&sort=change"
    assert page.chips[0].remove_href == "?period=7d&by=model&sort=change"
    assert page.form.hidden == (("period", "7d"), ("by", "model"), ("sort", "change"))


def test_fifty_a_page_until_all_are_shown(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now, cost=(200 - n) * USD, feature=f"f{n:03}") for n in range(120)])
    markup = member.get("/costs/").content.decode()
    assert "120 features" in markup
    names = re.findall(r">(f\d{3})</a>", markup[markup.index("<tbody") :][0:])
    more = re.search(r'id="more" href="([^"]+)"', markup)
    while more:
        part = member.get(unescape(more[1]), headers=htmx()).content.decode()
        assert part.lstrip().startswith("<tr>")
        names += re.findall(r">(f\d{3})</a>", part)
        more = re.search(r'id="more" href="([^"]+)"', part)
    assert '<input type="hidden" name="rows" value="120">' in part
    table = [f"f{n:03}" for n in range(120)]
    assert [name for name in names if name in table][-120:] == table
    again = member.get("/costs/?rows=120", headers=htmx("costs")).content.decode()
    assert again.count('scope="row" class="name-cell"') == 121
    assert PAGE_SIZE == 50


def test_names_are_text(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now, feature=XSS, step=XSS, model=XSS, provider="x", user=XSS)])
    for by in DIMENSIONS:
        markup = member.get(f"/costs/?by={by}").content.decode()
        assert XSS not in markup
    assert "%3Cimg" in member.get("/costs/").content.decode()


def test_an_unknown_cost_is_not_zero(member: Client, organization: Organization) -> None:
    store_events(organization, [Call(at=hours_ago(1), cost=None, model="new"), Call(at=hours_ago(1), cost=3 * USD)])
    rows = {row.name: row for row in build(organization, by="model").rows}
    assert rows["openai/new"].cost.text == "no price"
    assert rows["openai/new"].per_1k == "—"
    assert rows["openai/new"].unpriced == "1"


def test_a_young_organization_has_no_changes(organization: Organization) -> None:
    store_events(organization, [Call(at=hours_ago(3))])
    page = build(organization)
    assert not page.compares
    assert "not enough history" in page.foot_note
    assert "change" not in page.columns


@pytest.mark.parametrize(
    ("words", "title"),
    [({}, "No requests in this period"), ({"feature": "x"}, "No requests in this period match")],
)
def test_nothing_to_show_is_said(member: Client, organization: Organization, words: dict[str, str], title: str) -> None:
    page = build(organization, **words)
    assert page.empty_title == title
    assert (page.rows, page.chart) == ([], None)
    assert title in text_of(member.get("/costs/", words).content.decode())


def test_ten_series_at_most_and_the_rest_together(organization: Organization) -> None:
    store_events(organization, [Call(at=hours_ago(1), cost=(20 - n) * USD, feature=f"f{n:02}") for n in range(15)])
    chart = build(organization).chart
    assert chart
    assert chart.figure
    assert [trace["name"] for trace in chart.figure["data"]] == [*(f"f{n:02}" for n in range(9)), "Other"]
    assert chart.legend[-1].value == money(sum(20 - n for n in range(9, 15)) * USD)
    assert (chart.legend[0].href, chart.legend[-1].href) == ("/requests/?feature=f00", "")
    assert len({entry.color for entry in chart.legend}) == 10


def test_polling_answers_204_until_something_is_committed(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now)])
    markup = member.get("/costs/?by=model").content.decode()
    found = re.search(r'id="costs"[^>]* hx-get="([^"]+)"', markup)
    assert found
    href = unescape(found[1])
    assert "by=model" in href
    idle = member.get(href, headers=htmx("costs"))
    assert (idle.status_code, idle.content) == (204, b"")
    store_events(organization, [Call(at=now, cost=5 * USD)])
    fresh = member.get(href, headers=htmx("costs"))
    assert fresh.status_code == 200
    assert "<html" not in fresh.content.decode()
    assert f"1 model · $6.00 · {count(2)} requests" in fresh.content.decode()


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({}, ("feature", "cost", False, "", 0, 50)),
        ({"by": "nonsense", "sort": "revenue"}, ("feature", "revenue", False, "", 0, 50)),
        ({"by": "meta.", "paying": "unknown"}, ("feature", "cost", False, "", 0, 50)),
        ({"by": "meta.plan", "sort": "margin"}, ("meta.plan", "cost", False, "", 0, 50)),
        ({"by": "user", "sort": "-revenue", "paying": "short"}, ("user", "revenue", True, "short", 0, 50)),
        ({"by": "model", "paying": "short", "sort": "-"}, ("model", "cost", False, "", 0, 50)),
        ({"after": "50", "rows": "150"}, ("feature", "cost", False, "", 50, 150)),
        ({"after": "-1", "rows": "x"}, ("feature", "cost", False, "", 0, 50)),
        ({"after": "٣", "rows": "999999999999"}, ("feature", "cost", False, "", 0, 50)),
        ({"rows": "99999999"}, ("feature", "cost", False, "", 0, 1000)),
    ],
)
def test_bad_words_take_their_defaults(params: dict[str, str], wanted: tuple[object, ...]) -> None:
    found = search(**params)
    assert (found.by, found.sort, found.ascending, found.paying, found.after, found.rows) == wanted
