"""The receipt of a stored event, rebuilt from what the event keeps: its counters and a reference to its rates."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple, cast

from pricing.costs import CardRateFrom, Cost, Meter, RateCard, TierFactors, Usage, cost_of, derive, picousd_per_token
from pricing.models import RateCard as RateCardRow
from pricing.models import TierPolicy


class CardReference(NamedTuple):
    """What an event stores about its price. With tier_policy_id the card is the standard one that was scaled."""

    rate_card_id: int
    tier_policy_id: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A cost with where its rates come from. valid_from None: since ever; valid_to None: until further notice."""

    cost: Cost
    provider: str
    model: str
    tier: str
    region: str
    rate_from: CardRateFrom
    valid_from: datetime | None
    valid_to: datetime | None
    date_basis: str
    source: str  # package and version, or the kind of entry that was made by hand
    source_url: str
    revision: int  # the revision that added the card
    superseded: bool  # a later revision replaced the card, so pricing the event again may give another cost


def explain(reference: CardReference, usage: Usage) -> Receipt:
    """The receipt of a normalised usage. Cards are never deleted; RateCard.DoesNotExist means a wrong reference."""
    row = RateCardRow.objects.select_related("model", "snapshot").get(pk=reference.rate_card_id)
    card = RateCard.of(
        row.pk,
        [(cast(Meter, rate.meter), rate.prompt_over, picousd_per_token(rate.usd_per_mtok)) for rate in row.rates.all()],
        has_other_charges=row.has_other_charges,
    )
    receipt = Receipt(
        cost=cost_of(usage, card),
        provider=row.model.provider_id,
        model=row.model.key,
        tier=row.tier,
        region=row.region,
        rate_from="card",
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        date_basis=row.date_basis,
        source=str(row.snapshot) if row.snapshot else RateCardRow.Layer(row.layer).label,
        source_url=row.source_url,
        revision=row.created_revision_id,
        superseded=row.superseded_revision_id is not None,
    )
    return receipt if reference.tier_policy_id is None else _scaled(receipt, card, reference.tier_policy_id, usage)


def _scaled(receipt: Receipt, card: RateCard, tier_policy_id: int, usage: Usage) -> Receipt:
    policy = TierPolicy.objects.get(pk=tier_policy_id)
    factors = tuple((cast(Meter, row.meter), row.prompt_over, row.factor) for row in policy.factors.all())
    derived = derive(card, TierFactors(policy.pk, factors))
    superseded = receipt.superseded or policy.superseded_revision_id is not None
    return replace(receipt, cost=cost_of(usage, derived), tier=policy.tier, rate_from="policy", superseded=superseded)
