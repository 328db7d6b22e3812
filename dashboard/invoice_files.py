"""An invoice as a file: what is in it, and what it is called."""

import re

from dashboard.export_files import csv_text
from metering.invoice_csv import csv_rows
from metering.invoice_document import InvoiceDocument
from metering.invoice_pdf import pdf


def pdf_file(document: InvoiceDocument) -> bytes:
    """The document of the customer, without what it cost to serve them."""
    return pdf(document)


def csv_file(document: InvoiceDocument) -> str:
    """Lines, what explains them, and credit notes."""
    return csv_text(csv_rows(document))


def file_name(document: InvoiceDocument, suffix: str) -> str:
    """The invoice's number or "draft-<id>", in letters, digits, dots and dashes only: it stands in a header."""
    number = re.sub(r"[^A-Za-z0-9.-]+", "-", document.number).strip("-.")
    return f"{number or f'{document.status}-{document.id}'}.{suffix}"
