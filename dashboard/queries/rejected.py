"""Calls that were refused."""

from dataclasses import dataclass
from datetime import datetime

from dashboard.queries.reading import fetch


@dataclass(frozen=True)
class RejectedRow:
    """One refused call. `known_key` False: it showed no key of this organization, so it may be anybody's."""

    id: int
    at: datetime
    endpoint: str
    http_status: int
    error_type: str
    message: str
    key_prefix: str
    excerpt: str
    known_key: bool


def newest(
    organization_id: int, *, with_unknown: bool, limit: int, before: int | None = None
) -> tuple[RejectedRow, ...]:
    """Refused calls, newest first. `with_unknown` adds calls whose key belongs to nobody.

    rejected_call_newest (organization, -id), once for each of the two groups.
    """
    columns = "id, at, endpoint, http_status, error_type, message, key_prefix, excerpt, organization_id IS NOT NULL"
    end = 2**62 if before is None else before
    groups = ["organization_id = %s", "organization_id IS NULL"][: 2 if with_unknown else 1]
    each = [
        f"(SELECT {columns} FROM rejected_call WHERE {group} AND id < %s ORDER BY id DESC LIMIT %s)"  # noqa: S608
        for group in groups
    ]
    params = [organization_id, end, limit, *([end, limit] if with_unknown else [])]
    statement = f"SELECT * FROM ({' UNION ALL '.join(each)}) calls ORDER BY 1 DESC LIMIT %s"  # noqa: S608
    found = fetch(statement, (*params, limit))
    return tuple(RejectedRow(*row) for row in found)


def count_since(organization_id: int, since: datetime, *, with_unknown: bool) -> int:
    """How many calls were refused since a moment, at most 1,000. The newest rows of rejected_call_newest."""
    unknown = " OR organization_id IS NULL" if with_unknown else ""
    statement = f"""SELECT count(*) FROM (
    SELECT FROM rejected_call WHERE (organization_id = %s{unknown}) AND at >= %s LIMIT 1000) recent"""  # noqa: S608
    return int(fetch(statement, (organization_id, since))[0][0])
