"""Rate cards with their rates, and the policies that derive tiers from them, as one organization may see them.

Raw SQL: rates and factors come as one array a card, so that any number of models is one statement.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.queries.reading import Sql, fetch
from pricing.costs import RateCard, TierFactors, picousd_per_token
from pricing.windows import WeeklyWindow


@dataclass(frozen=True)
class CardRow:
    """The rates of a model, tier and region over one validity. `source` '' : entered by hand.

    `superseded_in` names the revision that replaced it; None while it holds.
    """

    model_id: int
    tier: str
    region: str
    valid_from: datetime | None
    valid_to: datetime | None
    window: WeeklyWindow | None
    layer: int
    is_own: bool
    date_basis: str
    source: str
    source_url: str
    created_in: int
    created_at: datetime
    superseded_in: int | None
    rates: RateCard


@dataclass(frozen=True)
class PolicyRow:
    """A tier as factors of the standard rates: of one model, of the models whose key matches, or of a provider's."""

    provider: str
    model_id: int | None
    pattern: str
    tier: str
    layer: int
    source_url: str
    factors: TierFactors

    def applies_to(self, model_id: int, provider: str, key: str) -> bool:
        """Whether it is a policy of this model."""
        if self.model_id is not None:
            return self.model_id == model_id
        return self.provider == provider and (
            not self.pattern or re.compile(self.pattern, re.DOTALL).match(key) is not None
        )

    @property
    def precedence(self) -> tuple[bool, bool, int]:
        """The narrower policy first, then the higher layer; as the catalog orders them."""
        return (self.model_id is not None, bool(self.pattern), self.layer)


def cards_at(organization_id: int, model_ids: Sequence[int], at: datetime) -> tuple[CardRow, ...]:
    """The cards of these models that are valid at a moment. Index of pricing_rate_card by model."""
    valid = Sql(
        """c.superseded_revision_id IS NULL AND (c.valid_from IS NULL OR c.valid_from <= %s)
AND (c.valid_to IS NULL OR c.valid_to > %s)""",
        (at, at),
    )
    return _cards(organization_id, model_ids, valid)


def all_cards(organization_id: int, model_id: int) -> tuple[CardRow, ...]:
    """Every card that the model ever had, the newest validity first; what was replaced too. The same index."""
    return _cards(organization_id, (model_id,), Sql("true"))


def _cards(organization_id: int, model_ids: Sequence[int], wanted: Sql) -> tuple[CardRow, ...]:
    statement = f"""SELECT c.model_id, c.tier, c.region, c.valid_from, c.valid_to, c.weekly_window, c.layer,
    c.organization_id IS NOT NULL, c.date_basis, coalesce(s.source || ' ' || s.version, ''), c.source_url,
    c.created_revision_id, r.created_at, c.superseded_revision_id, c.id, c.has_other_charges, rates.meters,
    rates.prompt_overs, rates.usd
FROM pricing_rate_card c
JOIN pricing_revision r ON r.id = c.created_revision_id
LEFT JOIN pricing_snapshot s ON s.id = c.snapshot_id
LEFT JOIN LATERAL (
    SELECT array_agg(meter) AS meters, array_agg(prompt_over) AS prompt_overs, array_agg(usd_per_mtok) AS usd
    FROM pricing_rate WHERE card_id = c.id
) rates ON true
WHERE c.model_id = ANY(%s) AND (c.organization_id IS NULL OR c.organization_id = %s) AND {wanted.text}
ORDER BY c.valid_from DESC NULLS LAST, c.layer DESC, c.id DESC"""  # noqa: S608
    return tuple(_card(row) for row in fetch(statement, (list(model_ids), organization_id, *wanted.params)))


def _card(row: tuple[Any, ...]) -> CardRow:
    *shown, card_id, has_other_charges, meters, prompt_overs, usd = row
    shown[5] = WeeklyWindow.parse(json.loads(shown[5])) if shown[5] else None
    listed = zip(meters or (), prompt_overs or (), map(picousd_per_token, usd or ()), strict=True)
    return CardRow(*[*shown, RateCard.of(card_id, listed, has_other_charges=has_other_charges)])


def policies_at(model_ids: Sequence[int], providers: Iterable[str], at: datetime) -> tuple[PolicyRow, ...]:
    """The tier policies of these models and of these providers that are valid at a moment, the first to apply first.

    A scan of some hundred rows.
    """
    statement = """SELECT p.provider_id, p.model_id, p.model_pattern, p.tier, p.layer, p.source_url, p.id,
    factors.meters, factors.prompt_overs, factors.factors
FROM pricing_tier_policy p
LEFT JOIN LATERAL (
    SELECT array_agg(meter) AS meters, array_agg(prompt_over) AS prompt_overs, array_agg(factor) AS factors
    FROM pricing_tier_factor WHERE policy_id = p.id
) factors ON true
WHERE p.superseded_revision_id IS NULL AND (p.valid_from IS NULL OR p.valid_from <= %s)
AND (p.valid_to IS NULL OR p.valid_to > %s)
AND (p.model_id = ANY(%s) OR (p.model_id IS NULL AND p.provider_id = ANY(%s)))
ORDER BY p.id"""
    found = [_policy(row) for row in fetch(statement, (at, at, list(model_ids), sorted(set(providers))))]
    return tuple(sorted(found, key=lambda policy: policy.precedence, reverse=True))


def _policy(row: tuple[Any, ...]) -> PolicyRow:
    *shown, policy_id, meters, prompt_overs, factors = row
    listed = tuple(zip(meters or (), prompt_overs or (), factors or (), strict=True))
    return PolicyRow(*[*shown, TierFactors(policy_id, listed)])
