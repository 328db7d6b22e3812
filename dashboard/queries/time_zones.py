"""How far the usage of an organization has followed to its new time zone."""

from dataclasses import dataclass

from dashboard.queries.reading import fetch


@dataclass(frozen=True)
class ZoneProgress:
    """A move that is not finished. `total` 0: it waits for its turn."""

    zone: str
    done: int
    total: int


def unfinished(organization_id: int) -> ZoneProgress | None:
    """The newest zone, with the progress of whichever move is at work. time_zone_change_unfinished."""
    found = fetch(
        """SELECT (array_agg(new_zone ORDER BY id DESC))[1], max(done), max(total) FROM time_zone_change
WHERE organization_id = %s AND finished_at IS NULL HAVING count(*) > 0""",
        (organization_id,),
    )
    return ZoneProgress(*found[0]) if found else None
