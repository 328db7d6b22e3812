"""One model of the catalog: its names, and the revisions that made it what it is.

Raw SQL: what one organization may see of a revision is decided row by row, over unions that the ORM writes badly.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.queries.reading import fetch

MOST_REVISIONS = 100


@dataclass(frozen=True)
class ModelRow:
    """A model of the catalog. `dropped_in` names the revision in which its source no longer listed it."""

    id: int
    provider: str
    provider_name: str
    key: str
    is_own: bool
    dropped_in: int | None


@dataclass(frozen=True)
class NameRow:
    """A model id as applications send it to a provider; `match` is exact, prefix or regex."""

    provider: str
    alias: str
    match: str
    is_own: bool
    valid_from: datetime | None
    valid_to: datetime | None


@dataclass(frozen=True)
class RevisionRow:
    """A change of the catalog. `summary` is as events.price_changes and the importers left it."""

    id: int
    created_at: datetime
    kind: str
    note: str
    is_own: bool
    summary: dict[str, Any]


def model(organization_id: int, provider: str, key: str) -> ModelRow | None:
    """The model under this key; the organization's own comes before everybody's. Unique index of pricing_model."""
    found = fetch(
        """SELECT m.id, m.provider_id, p.name, m.key, m.organization_id IS NOT NULL, m.dropped_revision_id
FROM pricing_model m JOIN pricing_provider p ON p.slug = m.provider_id
WHERE m.provider_id = %s AND m.key = %s AND (m.organization_id IS NULL OR m.organization_id = %s)
ORDER BY m.organization_id NULLS LAST LIMIT 1""",
        (provider, key, organization_id),
    )
    return ModelRow(*found[0]) if found else None


def names(organization_id: int, model_id: int) -> tuple[NameRow, ...]:
    """The names that lead to the model, now or at some time. Index of pricing_model_alias by model."""
    statement = """SELECT provider_id, alias, match, organization_id IS NOT NULL, valid_from, valid_to
FROM pricing_model_alias WHERE model_id = %s AND superseded_revision_id IS NULL
AND (organization_id IS NULL OR organization_id = %s)
ORDER BY match = 'regex', match = 'prefix', provider_id, alias, valid_from"""
    return tuple(NameRow(*row) for row in fetch(statement, (model_id, organization_id)))


def resellers(provider: str) -> tuple[str, ...]:
    """Names of the providers that sell this provider's models at its standard price. A scan of some fifty rows."""
    statement = """SELECT p.name FROM pricing_provider_terms t JOIN pricing_provider p ON p.slug = t.provider_id
WHERE t.superseded_revision_id IS NULL AND %s = ANY(t.resells) ORDER BY lower(p.name)"""
    return tuple(row[0] for row in fetch(statement, (provider,)))


def revisions(organization_id: int, model_id: int) -> tuple[RevisionRow, ...]:
    """The revisions that wrote or replaced a card, a name or a policy of the model, newest first.

    A revision of another organization's own prices is not among them, nor what it wrote. Indexes by model.
    """
    visible = "model_id = %(model)s AND (organization_id IS NULL OR organization_id = %(organization)s)"
    statement = f"""SELECT r.id, r.created_at, r.kind, r.note, r.organization_id IS NOT NULL, r.summary
FROM pricing_revision r
WHERE (r.organization_id IS NULL OR r.organization_id = %(organization)s) AND r.id IN (
    SELECT unnest(ARRAY[created_revision_id, superseded_revision_id]) FROM pricing_rate_card WHERE {visible}
    UNION SELECT unnest(ARRAY[created_revision_id, superseded_revision_id]) FROM pricing_model_alias WHERE {visible}
    UNION SELECT unnest(ARRAY[created_revision_id, superseded_revision_id]) FROM pricing_tier_policy
        WHERE model_id = %(model)s
    UNION SELECT dropped_revision_id FROM pricing_model WHERE id = %(model)s
)
ORDER BY r.id DESC LIMIT {MOST_REVISIONS}"""  # noqa: S608
    params = {"model": model_id, "organization": organization_id}
    return tuple(RevisionRow(*[*row[:5], _document(row[5])]) for row in fetch(statement, params))


def _document(summary: str) -> dict[str, Any]:
    found = json.loads(summary)
    return found if isinstance(found, dict) else {}
