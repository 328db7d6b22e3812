"""The price catalog as one organization may see it: its own and everybody's rows, never another organization's.

Raw SQL: rows of the catalog joined with figures that come in as arrays, and the rollups, which have no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from dashboard.filters import Filters
from dashboard.price_search import PriceSearch
from dashboard.queries.conditions import contains, environment_of
from dashboard.queries.reading import Sql, fetch

MOST_NAMES = 1_000
"""Names come from callers: of more of them than this, those with the most requests are read."""


@dataclass(frozen=True)
class NameUse:
    """The calls of one local day under one provider and model, as sent."""

    day: date
    provider: str
    model: str
    events: int
    cost_picousd: int


@dataclass(frozen=True)
class UnpricedName:
    """A provider and model, as sent, with calls that have no cost; days are local, both with such calls."""

    environment: int
    provider: str
    model: str
    first_day: date
    last_day: date


@dataclass(frozen=True)
class UnpricedUse:
    """The calls without a cost of one name at one tier (as stored)."""

    environment: int
    provider: str
    model: str
    service_tier: int
    events: int
    input_tokens: int
    output_tokens: int
    first_day: date
    last_day: date


@dataclass(frozen=True)
class ModelUse:
    """The calls under one name whose model the catalog knows, and the standard card of that time, if there is one."""

    sent_provider: str
    sent_model: str
    provider: str
    model: str
    card_id: int | None
    events: int
    cost_picousd: int

    def plus(self, other: "ModelUse") -> "ModelUse":
        """Both of them as one use of the same name."""
        return replace(self, events=self.events + other.events, cost_picousd=self.cost_picousd + other.cost_picousd)


@dataclass(frozen=True)
class ListedModel:
    """A model of the catalog with its use. `sent` is one of the `names` under which its calls were sent."""

    id: int
    provider: str
    provider_name: str
    key: str
    is_own: bool
    is_dropped: bool
    events: int
    cost_picousd: int
    names: int
    sent_provider: str
    sent_model: str
    found: int
    """How many models the search finds."""


@dataclass(frozen=True)
class RepricingProgress:
    """A re-pricing that is not finished: of how many events it has looked at how many, for which revision."""

    revision: int
    done: int
    total: int


def repricing(organization_id: int) -> RepricingProgress | None:
    """The re-pricing that is at work, if it concerns the organization at all. A few rows of reprice_job."""
    found = fetch(
        """SELECT j.to_revision, least(j.done, j.total), j.total FROM reprice_job j
LEFT JOIN pricing_revision r ON r.id = j.to_revision
WHERE j.finished_at IS NULL AND j.total > 0 AND (r.organization_id IS NULL OR r.organization_id = %s)
ORDER BY j.id LIMIT 1""",
        (organization_id,),
    )
    return RepricingProgress(*found[0]) if found else None


def unpriced_names(organization_id: int) -> tuple[UnpricedName, ...]:
    """Names with calls without a cost, at any time, at most MOST_NAMES, the busiest. One index range of usage_day."""
    statement = """SELECT environment, provider, value, min(day), max(day) FROM (
    SELECT environment, provider, value, day, sum(unpriced) AS unpriced FROM usage_day_now
    WHERE organization_id = %s AND environment IN (0, 1) AND kind = 'model'
    GROUP BY environment, provider, value, day HAVING sum(unpriced) > 0
) days GROUP BY environment, provider, value ORDER BY sum(unpriced) DESC, provider, value LIMIT %s"""
    return tuple(UnpricedName(*row) for row in fetch(statement, (organization_id, MOST_NAMES)))


def unpriced_use(organization_id: int, names: Sequence[UnpricedName]) -> tuple[UnpricedUse, ...]:
    """What was called without a cost under these names, by tier, most requests first.

    From usage_day_cell within the names' days. Tokens are those of the cells: where calls of one cell got a cost and
    others did not (the day on which a price begins), theirs are in it too.
    """
    if not names:
        return ()
    statement = """SELECT environment, provider, model, service_tier, sum(unpriced), sum(input_tokens),
sum(output_tokens), min(day), max(day) FROM (
    SELECT environment, provider, model, service_tier, day, feature, step, status, sum(unpriced) AS unpriced,
        sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
    FROM usage_day_cell_now
    WHERE organization_id = %s AND environment IN (0, 1) AND day >= %s AND day <= %s AND (environment, provider, model)
        IN (SELECT * FROM unnest(%s::smallint[], %s::text[], %s::text[]))
    GROUP BY environment, provider, model, service_tier, day, feature, step, status HAVING sum(unpriced) > 0
) cells GROUP BY environment, provider, model, service_tier ORDER BY 5 DESC, provider, model, service_tier"""
    days = min(name.first_day for name in names), max(name.last_day for name in names)
    keys = [list(column) for column in zip(*((n.environment, n.provider, n.model) for n in names), strict=True)]
    rows = fetch(statement, (organization_id, *days, *keys))
    return tuple(UnpricedUse(*row[:4], *(int(figure) for figure in row[4:7]), *row[7:]) for row in rows)


def name_use(organization_id: int, filters: Filters) -> tuple[NameUse, ...]:
    """Calls by name and local day of a period of whole days, of at most MOST_NAMES names. One range of usage_day."""
    statement = """WITH used AS (
    SELECT day, provider, value AS model, sum(events) AS events, sum(cost_picousd) AS cost FROM usage_day_now
    WHERE organization_id = %s AND environment = %s AND kind = 'model' AND day >= %s AND day <= %s
    GROUP BY 1, 2, 3 HAVING sum(events) > 0
)
SELECT day, provider, model, events, cost FROM used JOIN (
    SELECT provider, model FROM used GROUP BY 1, 2 ORDER BY sum(cost) DESC, sum(events) DESC, 1, 2 LIMIT %s
) kept USING (provider, model)"""
    params = (organization_id, environment_of(filters), filters.days[0], filters.days[-1], MOST_NAMES)
    return tuple(
        NameUse(day, provider, model, int(events), int(cost))
        for day, provider, model, events, cost in fetch(statement, params)
    )


def providers(organization_id: int) -> tuple[tuple[str, str], ...]:
    """Slug and name of the providers that have a model which the organization may see, by name."""
    statement = """SELECT p.slug, p.name FROM pricing_provider p WHERE EXISTS (
    SELECT FROM pricing_model m WHERE m.provider_id = p.slug AND (m.organization_id IS NULL OR m.organization_id = %s)
) ORDER BY lower(p.name), p.slug"""
    return tuple(fetch(statement, (organization_id,)))


def models(
    organization_id: int, search: PriceSearch, used: Sequence[ModelUse], also: int | None, limit: int
) -> tuple[ListedModel, ...]:
    """The models that the search finds, those in use first, dearest first, then by provider and name.

    `also` is a rate card whose model is found too, whatever its names. A scan of some thousand models and names:
    sorting and searching them in the database needs one statement, in memory two and the whole catalog each time.
    """
    wanted = _wanted(organization_id, search, also)
    statement = f"""WITH used AS (
    SELECT coalesce(c.model_id, m.id) AS model_id, sum(u.events) AS events, sum(u.cost) AS cost,
        count(DISTINCT (u.sent_provider, u.sent_model)) AS names, min(u.sent_provider) AS sent_provider,
        min(u.sent_model) AS sent_model
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::numeric[])
        AS u (sent_provider, sent_model, provider, key, card_id, events, cost)
    LEFT JOIN pricing_rate_card c ON c.id = u.card_id
    LEFT JOIN LATERAL (
        SELECT id FROM pricing_model WHERE provider_id = u.provider AND key = u.key AND c.id IS NULL
        AND (organization_id IS NULL OR organization_id = %s) ORDER BY organization_id NULLS LAST LIMIT 1
    ) m ON true
    GROUP BY 1
)
SELECT m.id, m.provider_id, p.name, m.key, m.organization_id IS NOT NULL, m.dropped_revision_id IS NOT NULL,
    coalesce(u.events, 0), coalesce(u.cost, 0), coalesce(u.names, 0), coalesce(u.sent_provider, ''),
    coalesce(u.sent_model, ''), count(*) OVER ()
FROM pricing_model m JOIN pricing_provider p ON p.slug = m.provider_id LEFT JOIN used u ON u.model_id = m.id
WHERE {wanted.text}
ORDER BY u.events IS NULL, u.cost DESC, u.events DESC, p.slug, m.key, m.id LIMIT %s OFFSET %s"""  # noqa: S608
    columns = [[_columns(use)[at] for use in used] for at in range(7)]
    params = (*columns, organization_id, *wanted.params, limit, search.after)
    return tuple(_listed(row) for row in fetch(statement, params))


def _wanted(organization_id: int, search: PriceSearch, also: int | None) -> Sql:
    found = [Sql("(m.organization_id IS NULL OR m.organization_id = %s)", (organization_id,))]
    if search.provider:
        found.append(Sql("m.provider_id = %s", (search.provider,)))
    if search.used:
        found.append(Sql("u.events > 0"))
    if search.q:
        pattern = contains(search.q)
        found.append(
            Sql(
                """(m.provider_id || '/' || m.key ILIKE %s OR p.name ILIKE %s OR EXISTS (
    SELECT FROM pricing_model_alias a WHERE a.model_id = m.id AND a.superseded_revision_id IS NULL
    AND a.alias ILIKE %s AND (a.organization_id IS NULL OR a.organization_id = %s)
) OR m.id = (SELECT model_id FROM pricing_rate_card WHERE id = %s))""",
                (pattern, pattern, pattern, organization_id, also),
            )
        )
    return Sql.all_of(found)


def _columns(use: ModelUse) -> tuple[Any, ...]:
    return (
        use.sent_provider,
        use.sent_model,
        use.provider,
        use.model,
        use.card_id,
        use.events,
        use.cost_picousd,
    )


def _listed(row: tuple[Any, ...]) -> ListedModel:
    *who, events, cost, names, sent_provider, sent_model, found = row
    return ListedModel(*[*who, int(events), int(cost), names, sent_provider, sent_model, found])
