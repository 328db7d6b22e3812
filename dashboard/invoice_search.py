"""Which invoices the list shows, as its URL says it. Pure; bad input falls back to a default."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.filters import MAX_TEXT

STATUSES = ("draft", "finalized", "void")


@dataclass(frozen=True)
class InvoiceSearch:
    """A status, a customer, and the invoice after which the list goes on."""

    status: str = ""
    user: str = ""
    """External id of a customer."""
    after: int | None = None

    @classmethod
    def from_query(cls, params: Mapping[str, str]) -> "InvoiceSearch":
        """Read the query parameters."""
        status, user, after = (params.get(word, "").strip() for word in ("status", "user", "after"))
        return cls(
            status if status in STATUSES else "",
            "" if "\0" in user else user[:MAX_TEXT],
            int(after) if after.isdecimal() and after.isascii() and len(after) < 19 else None,
        )

    def href(self, path: str, **changes: str) -> str:
        """`path` with the words that say something; `changes` go before them."""
        words = {"status": self.status, "user": self.user} | changes
        query = urlencode({word: text for word, text in words.items() if text})
        return f"{path}?{query}" if query else path
