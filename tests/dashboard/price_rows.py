"""Rows of the price catalog for the tests of its pages: as an importer or the admin leaves them."""

from datetime import UTC, datetime
from typing import Any

from pricing.models import (
    ModelAlias,
    PricedModel,
    PricingRevision,
    Provider,
    ProviderTerms,
    Rate,
    RateCard,
    TierFactor,
    TierPolicy,
)

NOTED_AT = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
LIST = "https://prices.example/list"


def revision(kind: str = "override", note: str = "entered by hand", **values: Any) -> PricingRevision:
    """A change of the catalog."""
    return PricingRevision.objects.create(
        **{"kind": kind, "note": note, "created_at": NOTED_AT, "summary": {}} | values
    )


def model(key: str, provider: str = "acme", *, names: tuple[str, ...] = (), **values: Any) -> PricedModel:
    """A model with exact names, of a provider that may be new; `organization_id` makes both somebody's own."""
    if not Provider.objects.filter(slug=provider).exists():
        ProviderTerms.objects.create(
            provider=Provider.objects.create(slug=provider, name=provider.title()), created_revision=revision()
        )
    made = PricedModel.objects.create(provider_id=provider, key=key, **values)
    for name in names:
        alias(made, name, organization_id=made.organization_id)
    return made


def alias(model: PricedModel, name: str, **values: Any) -> ModelAlias:
    """A name that leads to the model."""
    fields: dict[str, Any] = {"match": "exact", "layer": 30, "source_url": LIST, "provider_id": model.provider_id}
    fields |= values
    return ModelAlias.objects.create(
        model=model, alias=name, created_revision=fields.pop("by", None) or revision(), **fields
    )


def card(model: PricedModel, rates: dict[str | tuple[str, int], str], **values: Any) -> RateCard:
    """A card; `rates` by meter, or by meter and the prompt size above which they apply."""
    fields: dict[str, Any] = {"tier": "standard", "layer": 30, "date_basis": "documented", "source_url": LIST} | values
    made = RateCard.objects.create(model=model, created_revision=fields.pop("by", None) or revision(), **fields)
    for meter, usd in rates.items():
        name, over = (meter, 0) if isinstance(meter, str) else meter
        Rate.objects.create(card=made, meter=name, prompt_over=over, usd_per_mtok=usd, is_free=float(usd) == 0)
    return made


def policy(model: PricedModel, tier: str, factors: dict[str, str], **values: Any) -> TierPolicy:
    """A policy of one model."""
    fields: dict[str, Any] = {"layer": 30, "source_url": LIST} | values
    made = TierPolicy.objects.create(
        model=model, provider_id=model.provider_id, tier=tier, created_revision=revision(), **fields
    )
    for meter, factor in factors.items():
        TierFactor.objects.create(policy=made, meter=meter, factor=factor)
    return made
