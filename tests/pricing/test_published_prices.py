"""Published prices, exact to the last of 12 decimals at the event's own date: one test a table, published/*.csv.

Every row names the page that states its rate, and says what a call costs that was worked out from that page alone.
`usd` may also be the status of a call that has no price, or `partial:…` for a lower bound.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pricing.catalog import Catalog, epoch_ms
from pricing.costs import Usage, usd

PUBLISHED = sorted((Path(__file__).parent / "published").glob("*.csv"))
COLUMNS = (
    *("provider", "model", "at", "tier"),
    *("input", "output", "cached", "write", "write_1h", "reasoning"),
    *("usd", "source"),
)
UNPRICED = ("unpriced_provider", "unpriced_model", "unpriced_tier")


@dataclass(frozen=True)
class Row:
    """One line of a table, as text."""

    place: str
    cells: tuple[str, ...]

    def __str__(self) -> str:
        named = self.named()
        return f"{self.place}-{named.get('model')}-{named.get('tier')}-{named.get('at')}"

    def named(self) -> dict[str, str]:
        return dict(zip(COLUMNS, self.cells, strict=False))

    def problem(self) -> str:
        """What is wrong with the row itself; empty if nothing is."""
        named = self.named()
        if len(self.cells) != len(COLUMNS):
            return f"{self.place}: has {len(self.cells)} cells, not {len(COLUMNS)}: {', '.join(COLUMNS)}"
        if not named["source"].startswith("https://"):
            return f"{self.place}: source must be the https address that states the price, got {named['source']!r}"
        if datetime.fromisoformat(named["at"]).tzinfo is None:
            return f"{self.place}: at needs its zone, got {named['at']!r}"
        return ""

    def usage(self) -> Usage:
        named = self.named()
        return Usage(*(int(named[name]) for name in ("input", "output", "cached", "write", "write_1h", "reasoning")))


def header(path: Path) -> tuple[str, ...]:
    with path.open(newline="") as file:
        return tuple(next(csv.reader(file), ()))


def rows() -> Iterator[Row]:
    """Every row of the tables that have the right columns."""
    for path in PUBLISHED:
        with path.open(newline="") as file:
            lines = csv.reader(file)
            if tuple(next(lines, ())) == COLUMNS:
                yield from (Row(f"{path.name}:{lines.line_num}", tuple(cells)) for cells in lines if cells)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_columns(path: Path) -> None:
    found = header(path)
    unknown, missing = [c for c in found if c not in COLUMNS], [c for c in COLUMNS if c not in found]
    assert found == COLUMNS, f"{path.name}: unknown columns {unknown}, missing {missing}, wanted {','.join(COLUMNS)}"


def test_no_call_is_listed_twice() -> None:
    places: dict[tuple[str, ...], str] = {}
    for row in rows():
        # All but the price and its source: two answers to one question would hide a mistake in either.
        earlier = places.setdefault(row.cells[:-2], row.place)
        assert earlier == row.place, f"{row.place} asks the same as {earlier}"


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_published_prices(catalog: Catalog, path: Path) -> None:
    asked = [row for row in rows() if row.place.startswith(f"{path.name}:")]
    wrong = [f"{row}: {problem}" for row in asked if (problem := row.problem() or difference(catalog, row))]
    assert asked
    assert not wrong, "\n".join(wrong)


def difference(catalog: Catalog, row: Row) -> str:
    """How the catalog's price of the call differs from the row's; empty where it does not."""
    named = row.named()
    at = epoch_ms(datetime.fromisoformat(named["at"]))
    cost = catalog.price(named["provider"], named["model"], at, row.usage(), named["tier"])
    if sum(line.cost_picousd for line in cost.lines) != (cost.picousd or 0):
        return f"the lines {cost.lines} do not add up to {cost.picousd}"
    if named["usd"] in UNPRICED:
        unpriced = (cost.picousd, cost.status, cost.lines) == (None, named["usd"], ())
        return "" if unpriced else f"{cost} is not {named['usd']}, says {named['source']}"
    partial, _, amount = named["usd"].rpartition(":")
    if cost.picousd is None:
        return f"has no price ({cost.status}), says {named['source']}"
    found, wanted = (cost.status, usd(cost.picousd)), (partial or "priced", Decimal(amount))
    return "" if found == wanted else f"{found} is not {wanted}, says {named['source']}"


@pytest.mark.parametrize(
    ("provider", "model", "tier", "status"),
    [
        ("openai", "o1-nonexistent", "standard", "unpriced_model"),
        ("openai", "", "standard", "unpriced_model"),
        ("openai", "claude-sonnet-4-5", "standard", "unpriced_model"),
        ("nobody", "gpt-4o", "standard", "unpriced_provider"),
        ("", "my-own-model", "standard", "unpriced_provider"),
        ("nobody", "nothing/gpt-4o", "standard", "unpriced_provider"),
        ("openai", "gpt-4o", "Batch", "unpriced_tier"),
        ("openai", "gpt-4o", "auto", "unpriced_tier"),
        ("google", "gemma-3", "standard", "unpriced_model"),  # listed without a price: unknown, not free
    ],
)
def test_what_nobody_sells_has_no_cost(catalog: Catalog, provider: str, model: str, tier: str, status: str) -> None:
    at = epoch_ms(datetime.fromisoformat("2026-09-01T00:00Z"))
    cost = catalog.price(provider, model, at, Usage(1_000_000, 1_000_000), tier)
    assert (cost.picousd, cost.status, cost.lines) == (None, status, ())
