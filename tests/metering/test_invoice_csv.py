"""The CSV of an invoice: every line with what explains it, exact, harmless in a spreadsheet."""

from decimal import Decimal
from typing import Any

import pytest

from metering.invoice_csv import COLUMNS, csv_rows
from metering.invoice_document import Noted
from tests.metering.documents import END, document, line


def rows(**changes: Any) -> list[dict[str, str]]:
    head, *found = csv_rows(document(**changes))
    assert head == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def test_lines_add_up_and_details_explain_them() -> None:
    found = rows()
    lines = [row for row in found if row["row"] == "line"]
    assert sum(Decimal(row["amount_usd"]) for row in lines) == document().total_usd
    exact = sum(Decimal(row["exact_usd"]) for row in lines)
    assert document().total_usd - exact == document().rounding_usd
    for row in lines:
        details = [each for each in found if (each["row"], each["line"]) == ("detail", row["line"])]
        assert not details or sum(Decimal(each["exact_usd"]) for each in details) == Decimal(row["exact_usd"])
        for each in details:
            assert Decimal(each["quantity"]) * Decimal(each["unit_price_usd"]) == Decimal(each["exact_usd"])


def test_a_line_and_a_tier_in_full() -> None:
    found = rows()
    assert found[2] == {
        "invoice": "INV-0007",
        "status": "finalized",
        "customer": "user-northwind",
        "row": "line",
        "line": "2",
        "kind": "usage",
        "description": "Documents processed",
        "period_start": "2026-09-30T22:00:00Z",
        "period_end": "2026-10-31T23:00:00Z",
        "records": "812",
        "over": "",
        "up_to": "",
        "quantity": "12345.5",
        "unit": "documents",
        "unit_price_usd": "",
        "exact_usd": "182.219",
        "amount_usd": "182.22",
    }
    tier = found[5]
    assert (tier["over"], tier["up_to"], tier["unit_price_usd"], tier["amount_usd"]) == ("1000", "10000", "0.012", "")


def test_credits_and_credit_notes_are_negative() -> None:
    assert [row["amount_usd"] for row in rows() if row["kind"] == "credit"] == ["-25.00"]
    last = rows()[-1]
    assert (last["row"], last["description"], last["amount_usd"]) == (
        "credit_note",
        "CN-0001: Seats counted twice",
        "-10.00",
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "＝1", "'=1"])
def test_no_text_is_a_formula(text: str) -> None:
    note = Noted(text, Decimal(1), text, END)
    row = line("usage", text, "1.00", unit=text, quantity=Decimal(1))
    for found in rows(customer=text, number=text, lines=[row], credit_notes=[note]):
        texts = [found[name] for name in ("invoice", "customer", "description", "unit")]
        assert all(each == f"'{text}" or each.startswith(f"'{text}:") for each in texts if each)
        assert found["amount_usd"] in ("1.00", "-1.00")


def test_no_exponents() -> None:
    row = line("usage", "Tokens", "0.00", exact_usd=Decimal("1E-12"), quantity=Decimal("1E+3"))
    found = rows(lines=[row])[0]
    assert (found["quantity"], found["exact_usd"]) == ("1000", "0.000000000001")
