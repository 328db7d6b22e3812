"""How long calls took, as the rows of a small table."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.formats import count, duration
from dashboard.queries.latency import Latency, Percentiles

STREAMING = "From the first token of a streamed answer to its last, of the calls that tell"


@dataclass(frozen=True)
class LatencyRow:
    """One measure with the times that half, 95 and 99 percent of its calls did not exceed."""

    name: str
    what: str
    """What is measured, where the name does not say it."""
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
    measures = ("Whole call", "", found.answer), ("Streaming", STREAMING, found.last_token)
    whose = f"the {found.among}'s" if found.among else "the"
    note = f"Matches among {whose} latest {count(found.latest)} requests." if found.latest else ""
    return LatencyTable([_row(name, what, one) for name, what, one in measures if one], note)


def _row(name: str, what: str, found: Percentiles) -> LatencyRow:
    return LatencyRow(name, what, duration(found.p50), duration(found.p95), duration(found.p99), count(found.calls))
