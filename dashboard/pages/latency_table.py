"""How long calls took, as the rows of a small table."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.formats import count, duration
from dashboard.queries.latency import Latency, Percentiles


@dataclass(frozen=True)
class LatencyRow:
    """One measure with the times that half, 95 and 99 percent of its calls did not exceed."""

    name: str
    p50: str
    p95: str
    p99: str
    calls: str


@dataclass(frozen=True)
class LatencyTable:
    """What `components/latency.html` prints."""

    rows: Sequence[LatencyRow]
    note: str
    """Which requests were looked at, where it is not all of them."""


def latency_table(found: Latency) -> LatencyTable:
    """The measures that at least one call told."""
    measures = {"Answer": found.answer, "Last token": found.last_token}
    note = f"Of the latest {count(found.latest)} requests." if found.latest else ""
    return LatencyTable([_row(name, one) for name, one in measures.items() if one], note)


def _row(name: str, found: Percentiles) -> LatencyRow:
    return LatencyRow(name, duration(found.p50), duration(found.p95), duration(found.p99), count(found.calls))
