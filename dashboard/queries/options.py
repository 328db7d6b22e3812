"""What the drop-downs of the filter form offer."""

from dashboard.filters import Filters
from dashboard.queries.conditions import environment_of
from dashboard.queries.reading import fetch

MOST = 200


def in_use(organization_id: int, filters: Filters) -> dict[str, list[str]]:
    """Models, features and providers with events in the period, at most MOST of each, the busiest.

    Three index ranges of usage_day; one of usage_hour each within 24 hours.
    """
    table, column = ("usage_day_now", "day") if filters.whole_days else ("usage_hour_now", "hour")
    bounds = (filters.days[0], filters.days[-1]) if filters.whole_days else (filters.start, filters.end)
    statement = f"""SELECT kind, value FROM (
    SELECT kind, value, row_number() OVER (PARTITION BY kind ORDER BY sum(events) DESC, value) AS place FROM {table}
    WHERE organization_id = %s AND environment = %s AND kind IN ('model', 'feature', 'provider')
        AND {column} >= %s AND {column} <= %s
    GROUP BY kind, value HAVING sum(events) > 0
) ranked WHERE place <= {MOST}"""  # noqa: S608
    found: dict[str, list[str]] = {}
    for kind, value in fetch(statement, (organization_id, environment_of(filters), *bounds)):
        found.setdefault(kind, []).append(value)
    return found
