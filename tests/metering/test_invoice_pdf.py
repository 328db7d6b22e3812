"""The PDF of an invoice: what it says, that no text of a customer is more than text, pages, tags, always the same."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import typst

from metering.invoice_pdf import TEMPLATE, pdf, printed
from tests.metering.documents import CREDIT, DOCUMENTS, SEATS, document, line
from tests.metering.pdf_text import pages

HOSTILE = [
    '#read("/etc/passwd")',
    "#panic()",
    "*bold* _thin_ $x$ `raw` = head",
    "</text> <label> @label // no comment /* none */",
    '"; #let x = 1; "',
    "\\u{1F600} \\ #",
    "emoji \N{PILE OF POO} \N{FAMILY}",
    "العربية",
    "中文名字",
    "x" * 255,
    "\N{ZERO WIDTH JOINER}\N{RIGHT-TO-LEFT OVERRIDE}abc",
]


def said(pdf: bytes) -> str:
    # Long words are given places to break at.
    return " ".join(pages(pdf)).replace("\N{ZERO WIDTH SPACE}", "")


def test_all_of_it_is_there() -> None:
    text = said(pdf(document()))
    for part in (
        "Flux & Söhne GmbH",
        "InvoiceINV-0007",
        "Northwinduser-northwindai@northwind.example",
        "Date of issue4 Nov 2026",  # in the invoice's zone
        "Billing period1 Oct 2026 – 31 Oct 2026",
        "Time zoneEurope/Berlin",
        "Amount due$288.22",
        "Team plan29.00",
        "Documents processed12,345.5 documents182.22",
        "Free allowance1,000× $0.00= $0.00",
        "Units, up to 1,0001,000× $0.05= $50.00",
        "Units, over 1,000 up to 10,0009,000× $0.012= $108.00",
        "Units, over 10,0001,345.5× $0.018= $24.219",
        "Active seats12 seats$8.0096.00",
        "Active seats, late for INV-00031 Sep 2026 – 30 Sep 202614 seats16.00",
        "Units14× $8.00= $112.00Charged before, in cents1× −$96.00= −$96.00",
        "Subtotal323.22Goodwill−25.00Total (USD)298.22Credit note CN-0001−10.00Amount due (USD)288.22",
        "CN-0001, 20 Nov 2026: $10.00 taken back. Seats counted twice",
        "The exact sum of the lines is $298.219: rounding adds $0.001.",
        "Please pay within 14 days.",
        "Page 1 of 1",
    ):
        assert part in text
    assert "DRAFT" not in text
    assert "VOID" not in text


def test_a_draft_says_so() -> None:
    draft = document(status="draft", number="", finalized_at=None, credit_notes=[], rounding_usd=Decimal(0))
    text = said(pdf(draft))
    for part in ("DRAFT", "Draft invoice", "not an invoice until it is finalized", "Amount so far$298.22", "Drawn up"):
        assert part in text
    assert "exact sum" not in text


def test_a_void_one_says_so_and_why() -> None:
    void = document(status="void", voided_at=datetime(2026, 12, 1, tzinfo=UTC), void_reason="Wrong customer.")
    text = said(pdf(void))
    for part in ("VOID", "Void since 1 Dec 2026: nothing is owed. Wrong customer.", "Amount due$0.00"):
        assert part in text


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_texts_wherever_they_stand(text: str) -> None:
    unit = text[:50]
    found = said(
        pdf(
            document(
                customer=text,
                customer_name=text,
                customer_email=text,
                issuer=f"{text}\n{text}",
                note=text,
                number=text[:40],
                void_reason=text,
                status="void",
                voided_at=datetime(2026, 12, 1, tzinfo=UTC),
                lines=[line("usage", text[:300], "1.00", quantity=Decimal(1), unit=unit, details=DOCUMENTS.details)],
            )
        )
    )
    assert "root:" not in found
    if text.isascii():
        assert found.count(text.replace(" ", "")) + found.count(text) >= 3


def test_what_no_font_has_is_a_sign_that_copies_as_what_it_stands_for() -> None:
    assert "文名字" in said(pdf(document(customer_name="中文名字")))


@pytest.mark.parametrize("text", ["", " ", "\n", "\x00\x07\x1b", "\u2028a\u2029b", "a\r\nb"])
def test_odd_texts_do_no_harm(text: str) -> None:
    assert pdf(document(customer_name=text, customer_email=text, issuer=text, note=text)).startswith(b"%PDF")


def test_long_numbers_stay_in_their_columns() -> None:
    """Nothing overlaps: the figure is printed whole, broken where it must be."""
    many = "9" * 18
    row = line("usage", "Much", f"{many}.00", quantity=Decimal(f"{many}.123456789"), unit="tokens", details=[])
    assert f"{int(many):,}.123456789 tokens" in said(pdf(document(lines=[row])))


def test_two_hundred_lines_are_several_pages_each_with_the_head() -> None:
    found = pages(pdf(document(lines=[DOCUMENTS, SEATS] * 100)))
    assert 6 < len(found) < 20
    assert all("DescriptionQuantityRateAmount (USD)" in page for page in found[:-1])
    assert all(f"Page {number} of {len(found)}" in page for number, page in enumerate(found, 1))
    assert "Total (USD)" in found[-1]


def test_it_is_tagged_and_has_a_title() -> None:
    found = pdf(document())
    for part in (b"/StructTreeRoot", b"/Lang", b"/Title(Invoice INV-0007)"):
        assert part in found


def test_its_tags_are_what_readers_for_the_blind_need() -> None:
    """The compiler refuses this standard where a table has no head or a heading's level is left out."""
    for each in (document(), document(status="draft", lines=[DOCUMENTS] * 60, credit_notes=[])):
        inputs = {"invoice": json.dumps(printed(each))}
        template = TEMPLATE
        assert typst.compile(template, ignore_system_fonts=True, sys_inputs=inputs, pdf_standards="ua-1")


def test_the_same_document_gives_the_same_file() -> None:
    assert pdf(document()) == pdf(document())


def test_nothing_is_read_from_the_network_or_from_other_files() -> None:
    assert not re.search(r"@preview|\b(?:read|include|import|image|plugin)\b\s*\(?\"", TEMPLATE.read_text())
    assert [path.name for path in TEMPLATE.parent.iterdir()] == [TEMPLATE.name]


def test_a_credit_without_a_subtotal_is_left_out() -> None:
    assert "Subtotal" not in said(pdf(document(lines=[SEATS])))
    assert "Subtotal" in said(pdf(document(lines=[SEATS, CREDIT])))
