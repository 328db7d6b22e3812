"""The filter form writes what `Filters` reads."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dashboard.filters import AMOUNTS, DIMENSIONS, Filters
from dashboard.pages.filter_form import FilterForm, filter_form

NOW = datetime(2026, 11, 21, 9, 40, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Kolkata")


def form(words: dict[str, str] | None = None, main: tuple[str, ...] = (), compares: bool = False) -> FilterForm:
    filters = Filters.from_query(words or {}, NOW, ZONE)
    return filter_form(filters, {"model": ["gpt-4o"]}, "/x/", "Filter", main=main, compares=compares)


def sent(found: FilterForm) -> dict[str, str]:
    """What a browser sends of the form as it stands."""
    fields = {field.name: field for field in (*found.main, *found.more)}
    chosen = {
        name: next((option.value for option in field.options if option.selected), "") if field.options else field.value
        for name, field in fields.items()
    }
    return dict(found.hidden) | chosen


def test_sending_the_form_as_it_stands_changes_nothing() -> None:
    words = {word: f"{number}.5" for number, word in enumerate(AMOUNTS) if not word.endswith("tokens")}
    words |= {"min_tokens": "10", "max_tokens": "20", "status": "error", "tier": "batch", "priced": "no", "q": "a&b"}
    words |= {word: f"any {word}" for word in DIMENSIONS if word not in ("status", "tier")}
    words |= {"feature": "(none)", "meta.plan": "pro", "meta.a=b": "(none)", "environment": "test", "period": "7d"}
    filters = Filters.from_query(words, NOW, ZONE)
    for main, compares in (((), True), (("q", "model"), False)):
        again = Filters.from_query(sent(form(words, main, compares)), NOW, ZONE)
        assert again == filters
    assert len(filters.conditions) == len(words) - 2


def test_bounds_stand_in_pairs_after_everything_else() -> None:
    for main in ((), ("q", "model", "feature", "status")):
        found = form(main=main)
        by_name, bounds = found.groups
        assert [*by_name, *bounds] == sorted(found.more, key=lambda field: field.name in AMOUNTS)
        assert [field.name for field in bounds] == list(AMOUNTS)


def test_a_metadata_key_is_added_to_those_that_are_there() -> None:
    words = sent(form({"meta.plan": "pro"})) | {"meta_key": "seats", "meta_value": "3"}
    assert Filters.from_query(words, NOW, ZONE).meta == (("plan", "pro"), ("seats", "3"))
    alone = sent(form()) | {"meta_key": "seats", "meta_value": ""}
    assert Filters.from_query(alone, NOW, ZONE).meta == (("seats", ""),)


def test_only_pages_that_compare_offer_a_comparison() -> None:
    assert "compare" not in sent(form())
    assert sent(form({"compare": "year"}, compares=True))["compare"] == "year"


def test_the_days_that_people_ask_for() -> None:
    """21 November 2026 is a Saturday."""
    ranges = {option.label: option.href for option in form({"feature": "chat"}).ranges}
    assert ranges == {
        "Today": "/x/?from=2026-11-21&to=2026-11-21&feature=chat",
        "Yesterday": "/x/?from=2026-11-20&to=2026-11-20&feature=chat",
        "This week": "/x/?from=2026-11-16&to=2026-11-21&feature=chat",
        "Last month": "/x/?from=2026-10-01&to=2026-10-31&feature=chat",
        "This year": "/x/?from=2026-01-01&to=2026-11-21&feature=chat",
    }
    chosen = form({"from": "2026-11-20", "to": "2026-11-20"})
    assert [option.label for option in chosen.ranges if option.selected] == ["Yesterday"]
