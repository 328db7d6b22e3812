"""corrections.yaml: what the loader takes and what it refuses, what importing it does, and the project's own file."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pricing.catalog import Catalog, epoch_ms, load
from pricing.importers.corrections import PATH, read_corrections, version_of
from pricing.importers.difference import UnknownModels
from pricing.importers.genai import read_price_list
from pricing.importers.rows import AliasRow, CardRow, FactorRow, PriceList, RateRow
from pricing.importers.store import Imported, import_all, import_price_list
from pricing.models import Rate, RateCard
from tests.pricing.test_store import NOW, card, price_list, rate

Write = Callable[[str], PriceList]
SOURCE = "https://acme.example/prices"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Reads a file with this text."""

    def written(text: str) -> PriceList:
        path = tmp_path / "corrections.yaml"
        path.write_text(text)
        return read_corrections(path)

    return written


def one_card(fields: str = "", rates: str = "input: 1") -> str:
    return f"acme:\n  cards:\n    - {{model: m, rates: {{{rates}}}, source: '{SOURCE}'{fields}}}\n"


def one_name(fields: str) -> str:
    return f"acme:\n  names:\n    - {{model: m, source: '{SOURCE}', {fields}}}\n"


def one_tier(fields: str) -> str:
    return f"acme:\n  tiers:\n    - {{source: '{SOURCE}', {fields}}}\n"


def test_an_empty_file_is_an_empty_list(write: Write) -> None:
    for text in ("", "{}\n", "# nothing yet\n"):
        found = write(text)
        assert (found.layer, found.models, found.aliases, found.cards, found.policies) == (20, (), (), (), ())


def test_rates_are_exact_decimals(write: Write) -> None:
    (found,) = write(one_card(rates="input: 0.1, cache_read: 0.000001, output: 1e1, reasoning: 20")).cards
    assert found.rates == (
        RateRow("cache_read", 0, Decimal("0.000001")),
        RateRow("input", 0, Decimal("0.1")),
        RateRow("output", 0, Decimal(10)),
        RateRow("reasoning", 0, Decimal(20)),
    )
    assert all(isinstance(row.usd_per_mtok, Decimal) for row in found.rates)


def test_what_a_card_says_unless_it_says_otherwise(write: Write) -> None:
    (found,) = write(one_card()).cards
    rates = (RateRow("input", 0, Decimal(1)),)
    assert found == CardRow(("acme", "m"), "standard", None, None, None, "documented", False, SOURCE, rates, "global")


def test_rates_above_a_prompt_size(write: Write) -> None:
    (found,) = write(one_card(", above: {200000: {input: 2}, 272000: {input: 3}}")).cards
    assert [(row.prompt_over, int(row.usd_per_mtok)) for row in found.rates] == [(0, 1), (200_000, 2), (272_000, 3)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2025-09-29", datetime(2025, 9, 29, tzinfo=UTC)),
        ("2025-02-08T16:00Z", datetime(2025, 2, 8, 16, tzinfo=UTC)),
        ("2025-02-09T00:00+08:00", datetime(2025, 2, 8, 16, tzinfo=UTC)),
        ("2025-02-08 16:00:00.001+00:00", datetime(2025, 2, 8, 16, 0, 0, 1000, tzinfo=UTC)),
        ("'2025-09-29'", datetime(2025, 9, 29, tzinfo=UTC)),
    ],
)
def test_dates_and_zones(write: Write, written: str, expected: datetime) -> None:
    (found,) = write(one_card(f", from: {written}, to: 2100-01-01")).cards
    assert (found.valid_from, found.valid_to) == (expected, datetime(2100, 1, 1, tzinfo=UTC))


def test_weekly_windows(write: Write) -> None:
    window = ", window: {tz: Asia/Shanghai, days: [1, 5], ranges: [['16:30', '00:30']]}"
    (found,) = write(one_card(window)).cards
    assert found.window
    assert found.window.stored() == {"tz": "Asia/Shanghai", "days": [1, 5], "ranges": [["16:30", "00:30"]]}


def test_names_of_this_and_of_other_providers(write: Write) -> None:
    own = write(one_name("name: '^m-\\d+$', match: regex, from: 2024-05-06")).aliases
    assert own == (
        AliasRow("acme", "regex", "^m-\\d+$", 0, ("acme", "m"), SOURCE, datetime(2024, 5, 6, tzinfo=UTC), None),
    )
    (sold,) = write(one_name("name: m, of: other")).aliases
    assert (sold.provider, sold.model) == ("acme", ("other", "m"))


def test_a_tier_s_reasoning_follows_its_output_unless_it_is_said(write: Write) -> None:
    (rule,) = write(one_tier("tier: batch, factors: {input: 0.5, output: 0.4}, models: '^m.*$'")).policies
    assert (rule.model, rule.model_pattern) == (None, "^m.*$")
    assert rule.factors == (
        FactorRow("input", 0, Decimal("0.5")),
        FactorRow("output", 0, Decimal("0.4")),
        FactorRow("reasoning", 0, Decimal("0.4")),
    )
    (own,) = write(one_tier("tier: flex, model: m, factors: {output: 0.4, reasoning: 1}")).policies
    assert (own.model, own.factors[-1].factor) == (("acme", "m"), Decimal(1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("acme: [", "line 1"),
        ("acme: {models: []}\nother: {}\nacme: {names: []}", "'acme' is there twice"),
        (one_card(rates="input: 1, input: 2"), "'input' is there twice"),
        ("acme: 7", "Expected `object`, got `int` - at `$[...]`"),
        ("acme: {card: []}", "unknown field `card`"),
        (one_card(", prize: 7"), "unknown field `prize` - at `$[...].cards[0]`"),
        (one_card(rates="inputs: 1"), "Invalid enum value 'inputs'"),
        (one_card(", tier: fast"), "Invalid enum value 'fast' - at `$[...].cards[0].tier`"),
        (one_card(", basis: guessed"), "Invalid enum value 'guessed' - at `$[...].cards[0].basis`"),
        (one_card(rates="input: dear"), "cards[0].rates[...]`"),
        (one_card(rates="input: -1"), "acme: card of m from None: input must be at least 0"),
        (one_card(rates="input: 0.1234567"), "input must be at least 0 with at most six decimals, got 0.1234567"),
        (one_card(rates=""), "acme: card of m from None: has no rates"),
        (one_card(", from: yesterday"), "acme: card of m from yesterday: Invalid isoformat string: 'yesterday'"),
        (one_card(", from: 2025-02-08T16:00:00"), "a time needs its zone"),
        (
            one_card(", window: {tz: Nowhere/Town, days: [1], ranges: [['01:00', '02:00']]}"),
            "acme: card of m from None: No time",
        ),
        (one_card(", window: {tz: UTC, days: [1], ranges: [['01:00', 'late']]}"), "acme: card of m from None: Invalid"),
        (one_card().replace("https", "http"), "acme: card of m from None: the source must be an https address"),
        ("acme:\n  cards:\n    - {model: m, rates: {input: 1}}", "missing required field `source`"),
        (one_name("name: Upper"), "acme: name Upper: names are compared in lower case"),
        (one_name("name: 'm-.*', match: regex"), "acme: name m-.*: a pattern begins with ^ and ends with $"),
        (one_name("name: '^m-($', match: regex"), "acme: name ^m-($: missing )"),
        (
            f"acme: {{offered: [{{tier: batch, from: once, source: '{SOURCE}'}}]}}",
            "acme: offered batch: Invalid isoformat",
        ),
        (one_tier("tier: standard, factors: {input: 1}"), "Invalid enum value 'standard'"),
        (one_tier("tier: batch, factors: {input: 0}"), "the factor of input must be above 0"),
        (one_tier("tier: batch, factors: {input: 1}, models: 'm'"), "acme: batch of m: a pattern begins with ^"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(write: Write, text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^corrections\.yaml: ") as failed:
        write(text)
    assert told in str(failed.value)


@pytest.fixture
def listed(db: None) -> None:
    """An imported list with one model of 1 USD."""
    import_price_list(price_list("1", [card("m", "1")]), now=NOW)


def imported(found: PriceList) -> Imported:
    return import_price_list(found, now=NOW)


@pytest.mark.usefixtures("listed")
def test_a_correction_wins_until_it_leaves_the_file(write: Write) -> None:
    text = one_card(", from: 2026-01-01", "input: 2, output: 2")
    first = imported(write(text))
    assert first.revision
    assert [rate(load(), "m", epoch_ms(datetime(year, 6, 1, tzinfo=UTC))) for year in (2025, 2026)] == [
        10**6,
        2 * 10**6,
    ]
    again = imported(write(text))
    assert (again.revision, again.difference.is_empty()) == (None, True)
    gone = imported(write("{}"))
    assert gone.revision
    assert rate(load(), "m") == 1_000_000
    assert rate(load(first.revision), "m") == 2_000_000
    assert imported(write(text)).revision
    assert rate(load(), "m") == 2_000_000


@pytest.mark.usefixtures("listed")
def test_names_models_tiers_and_spellings_leave_with_the_file(write: Write) -> None:
    text = f"""
acme:
  aliases:
    - {{alias: acme-llc, source: '{SOURCE}'}}
  models:
    - {{model: retired, source: '{SOURCE}'}}
  names:
    - {{name: retired-001, model: retired, to: 2027-01-01, source: '{SOURCE}'}}
  cards:
    - {{model: retired, rates: {{input: 4}}, source: '{SOURCE}'}}
  tiers:
    - {{tier: batch, factors: {{input: 0.5}}, source: '{SOURCE}'}}
"""
    imported(write(text))
    catalog = load()
    assert rate(catalog, "retired-001") == 4_000_000
    at = epoch_ms(datetime(2026, 6, 1, tzinfo=UTC))
    assert catalog.resolve("acme-llc", "m", at, "batch").rate_from == "policy"
    imported(write("{}"))
    catalog = load()
    assert rate(catalog, "retired-001") is None
    assert catalog.resolve("acme-llc", "m", at).status == "unpriced_provider"
    assert catalog.resolve("acme", "m", at, "batch").status == "unpriced_tier"


@pytest.mark.usefixtures("listed")
def test_a_rate_of_zero_is_free_and_priced(write: Write) -> None:
    imported(write(one_card(rates="input: 0, output: 1")))
    assert rate(load(), "m") == 0
    assert list(Rate.objects.filter(card__layer=20, card__model__provider="acme").values_list("meter", "is_free")) == [
        ("input", True),
        ("output", False),
    ]


@pytest.mark.usefixtures("listed")
def test_a_model_that_nobody_lists_is_refused(write: Write) -> None:
    with pytest.raises(UnknownModels, match=r"corrections\.yaml prices models that are not in the catalog: acme/nn"):
        imported(write(one_card().replace("model: m", "model: nn")))


@pytest.mark.usefixtures("listed")
def test_an_import_leaves_corrections_alone(write: Write) -> None:
    imported(write(one_card(rates="input: 2, output: 2")))
    import_price_list(price_list("2", [card("m", "3")]), now=NOW)
    assert rate(load(), "m") == 2_000_000


def test_the_project_s_own_file_loads_and_names_its_sources(catalog: Catalog) -> None:
    wanted = read_corrections()
    entries: list[Any] = [*wanted.provider_aliases, *wanted.aliases, *wanted.cards, *wanted.policies]
    assert entries
    assert [entry for entry in entries if not entry.source_url.startswith("https://")] == []
    assert wanted.version == version_of(PATH)
    listed = set(read_price_list().models)
    assert [model for model in wanted.models if model in listed] == [], "these models need no entry any more"


@pytest.mark.django_db
def test_the_project_s_own_file_is_in_the_catalog_and_stays_as_it_is(catalog: Catalog) -> None:
    assert RateCard.objects.filter(layer=20, superseded_revision=None).count() == len(read_corrections().cards)
    assert [each.revision for each in import_all(now=NOW)] == [None, None]
