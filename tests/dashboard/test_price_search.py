"""What the catalog's address says: read with defaults for whatever is wrong, written in one canonical way."""

import pytest

from dashboard.price_search import PriceSearch


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, PriceSearch()),
        ({"q": "  gpt-5 ", "provider": "openai", "used": "yes"}, PriceSearch("gpt-5", "openai", used=True)),
        ({"q": "a\0b", "used": "1", "environment": "staging", "after": "-5"}, PriceSearch()),
        ({"environment": "test", "after": "50"}, PriceSearch(environment="test", after=50)),
        ({"after": "٣"}, PriceSearch()),
        ({"after": "9" * 30}, PriceSearch()),
        ({"after": "999999999"}, PriceSearch(after=100_000)),
        ({"q": "x" * 999}, PriceSearch("x" * 255)),
    ],
)
def test_what_is_wrong_takes_its_default(given: dict[str, str], wanted: PriceSearch) -> None:
    assert PriceSearch.from_query(given) == wanted


@pytest.mark.parametrize(
    ("search", "href"),
    [
        (PriceSearch(), "/pricing/"),
        (
            PriceSearch("a&b", "x-ai", used=True, environment="test"),
            "/pricing/?environment=test&q=a%26b&provider=x-ai&used=yes",
        ),
        (PriceSearch(after=50), "/pricing/"),
    ],
)
def test_addresses_say_what_is_not_a_default(search: PriceSearch, href: str) -> None:
    assert search.href("/pricing/") == href


def test_an_address_may_go_on_from_a_row() -> None:
    assert PriceSearch("gpt").href("/pricing/", after=50) == "/pricing/?q=gpt&after=50"
    assert not PriceSearch(after=50, environment="test").is_narrowed
    assert PriceSearch(used=True).is_narrowed
