"""What the catalog's page shows of the catalog, as its URL says it. Pure: query parameters in, an immutable value out.

Bad input falls back to a default, because a link that somebody kept must never lead to an error page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.filters import ENVIRONMENTS, MAX_TEXT

MOST_ROWS = 100_000


@dataclass(frozen=True)
class PriceSearch:
    """Which models are listed, and from which row on."""

    q: str = ""
    """A part of a model's name, of a name as applications send it, or of its provider's; '' lists all."""
    provider: str = ""
    """Slug of the provider whose models are listed; '' lists all."""
    used: bool = False
    """Only models with calls in the last 30 days."""
    environment: str = "live"
    after: int = 0
    """How many rows come before."""

    @classmethod
    def from_query(cls, params: Mapping[str, str]) -> "PriceSearch":
        """Read the query parameters; what is missing, unknown or malformed takes its default."""
        environment, after = params.get("environment", ""), params.get("after", "")
        return cls(
            q=_text(params.get("q", "")),
            provider=_text(params.get("provider", "")),
            used=params.get("used") == "yes",
            environment=environment if environment in ENVIRONMENTS else "live",
            after=min(int(after), MOST_ROWS) if after.isdecimal() and after.isascii() and len(after) < 10 else 0,
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether some models may be left out."""
        return bool(self.q or self.provider or self.used)

    def href(self, path: str, *, after: int = 0, rev: str = "") -> str:
        """The canonical address of this search, from the row after `after` on."""
        words = {
            "environment": self.environment if self.environment != "live" else "",
            "q": self.q,
            "provider": self.provider,
            "used": "yes" if self.used else "",
            "after": str(after) if after else "",
            "rev": rev,
        }
        query = urlencode({word: value for word, value in words.items() if value})
        return f"{path}?{query}" if query else path


def _text(given: str) -> str:
    return "" if "\0" in given else given.strip()[:MAX_TEXT]
