"""The look-up order on a small hand-made catalog, without a database."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from pricing import resolution
from pricing.catalog import Catalog
from pricing.costs import RateCard, TierFactors, Usage
from pricing.index import (
    SINCE_EVER,
    UNTIL_FURTHER_NOTICE,
    CardEntry,
    ModelEntry,
    NameEntry,
    NameIndex,
    NameMatch,
    PolicyEntry,
    ProviderEntry,
    Rows,
    Validity,
)
from pricing.windows import WeeklyWindow

ALWAYS = Validity(SINCE_EVER, UNTIL_FURTHER_NOTICE)
HOUR = 3_600_000
MONDAY = 4 * 24 * HOUR  # 5 January 1970
PEAK = WeeklyWindow("UTC", (1, 2, 3, 4, 5), (("01:00", "04:00"),))


def card(
    card_id: int,
    *,
    tier: str = "standard",
    region: str = "global",
    organization_id: int | None = None,
    layer: int = 10,
    window: WeeklyWindow | None = None,
    revision: int = 1,
    validity: Validity = ALWAYS,
) -> CardEntry:
    rates = RateCard.of(card_id, [("input", 0, 1000 * card_id), ("output", 0, 1000 * card_id)])
    return CardEntry(rates, tier, region, organization_id, layer, window, revision, validity)


def name(
    match: NameMatch, alias: str, model_id: int = 1, *, rank: int = 0, layer: int = 10, validity: Validity = ALWAYS
) -> NameEntry:
    return NameEntry(match, alias, rank, layer, model_id, validity)


def policy(policy_id: int, factor: str, model_id: int | None = None, pattern: str = "") -> PolicyEntry:
    factors = TierFactors(policy_id, (("input", 0, Decimal(factor)),))
    return PolicyEntry(factors, model_id, re.compile(pattern) if pattern else None, 10, ALWAYS)


def catalog_of(
    cards: Iterable[CardEntry] = (),
    *,
    names: Iterable[NameEntry] = (name("exact", "m"),),
    policies: Mapping[tuple[str, str], tuple[PolicyEntry, ...]] | None = None,
    own_names: Mapping[tuple[int, str], NameIndex] | None = None,
) -> Catalog:
    models = {1: ModelEntry(1, "acme", "m", tuple(cards)), 2: ModelEntry(2, "acme", "other", (card(2),))}
    providers = {
        "acme": ProviderEntry("acme", (), re.compile("^m")),
        "shop": ProviderEntry("shop", ("acme",), None),
        "router": ProviderEntry("router", (), None),
        "gateway": ProviderEntry("gateway", (), None),
    }
    routed = [NameEntry("exact", "acme/m", 0, 10, 2, ALWAYS)]
    indexes = {"acme": NameIndex.of(names), "router": NameIndex.of(routed)}
    return Catalog(1, Rows(providers, {"acme-inc": "acme"}, indexes, own_names or {}, models, policies or {}))


def card_id(catalog: Catalog, at: int = 0, **question: Any) -> int | None:
    found = catalog.resolve("acme", "m", at, **question)
    return found.card.card_id if found.card else None


@pytest.mark.parametrize(
    ("cards", "question", "expected"),
    [
        ([card(1), card(2, layer=20), card(3, layer=30)], {}, 3),
        ([card(1, layer=30), card(2, organization_id=7)], {"organization_id": 7}, 2),
        ([card(1, layer=30), card(2, organization_id=7)], {"organization_id": 8}, 1),
        ([card(1, layer=30), card(2, organization_id=7)], {}, 1),
        ([card(1), card(2, region="eu")], {"region": "eu"}, 2),
        ([card(1), card(2, region="eu")], {"region": "us"}, 1),
        ([card(2, region="eu")], {}, None),
        ([card(1, layer=30), card(2, region="eu")], {"region": "eu"}, 2),
        ([card(1, revision=1), card(2, revision=2, layer=10)], {}, 2),
        ([card(1), card(2, tier="batch")], {"tier": "batch"}, 2),
        ([card(1), card(2, tier="batch")], {"tier": "flex"}, None),
    ],
)
def test_precedence(cards: list[CardEntry], question: dict[str, Any], expected: int | None) -> None:
    assert card_id(catalog_of(cards), **question) == expected


@pytest.mark.parametrize(
    ("at", "expected"), [(-(10**15), 1), (999, 1), (1000, 2), (1999, 2), (2000, None), (10**15, None)]
)
def test_a_price_starts_at_its_instant_and_ends_before_the_next(at: int, expected: int | None) -> None:
    catalog = catalog_of([card(1, validity=Validity(SINCE_EVER, 1000)), card(2, validity=Validity(1000, 2000))])
    assert card_id(catalog, at) == expected
    assert catalog.resolve("acme", "m", at).status == ("priced" if expected else "unpriced_model")


def test_a_window_wins_while_it_is_open() -> None:
    catalog = catalog_of([card(1), card(2, window=PEAK)])
    ids = [card_id(catalog, MONDAY + hour * HOUR) for hour in (0, 1, 3, 4, 23)]
    assert ids == [1, 2, 2, 1, 1]
    assert card_id(catalog, MONDAY - 2 * 24 * HOUR + HOUR) == 1  # Saturday


def test_outside_its_only_window_a_model_has_no_price() -> None:
    catalog = catalog_of([card(2, window=PEAK)])
    assert [card_id(catalog, MONDAY + hour * HOUR) for hour in (0, 1)] == [None, 2]


def test_an_override_without_window_hides_the_windows_below_it() -> None:
    assert card_id(catalog_of([card(1), card(2, window=PEAK), card(3, layer=30)]), MONDAY + HOUR) == 3


@pytest.mark.parametrize(
    ("sent", "kind"),
    [("m", "exact"), ("M ", "exact"), ("m-2025", "regex"), ("m-long-x", "prefix"), ("m-x", "prefix"), ("xm", None)],
)
def test_names_match_exactly_then_by_expression_then_by_the_longest_prefix(sent: str, kind: str | None) -> None:
    names = [name("prefix", "m-", 2), name("prefix", "m-long-"), name("regex", r"^m-\d+$"), name("exact", "m")]
    found = catalog_of([card(1)], names=names).resolve("acme", sent, 0)
    assert found.match_kind == kind
    assert found.status == ("priced" if kind else "unpriced_model")
    if kind:
        assert found.model == ("other" if sent == "m-x" else "m")


def test_a_name_that_moved_is_priced_by_the_model_it_meant_then() -> None:
    names = [
        name("exact", "latest", 1, validity=Validity(SINCE_EVER, 1000)),
        name("exact", "latest", 2, validity=Validity(1000, UNTIL_FURTHER_NOTICE)),
    ]
    catalog = catalog_of([card(1)], names=names)
    assert [catalog.resolve("acme", "latest", at).model for at in (999, 1000)] == ["m", "other"]


def test_a_corrected_name_wins_over_the_imported_one() -> None:
    catalog = catalog_of([card(1)], names=[name("exact", "m", 2), name("exact", "m", 1, layer=20)])
    assert catalog.resolve("acme", "m", 0).model == "m"


@pytest.mark.parametrize(
    ("policies", "policy_id", "rate"),
    [
        ((policy(1, "0.5"),), 1, 500),
        ((policy(1, "0.5"), policy(2, "0.8", model_id=1)), 2, 800),
        ((policy(1, "0.5"), policy(2, "0.8", pattern="^m$")), 2, 800),
        ((policy(1, "0.5"), policy(2, "0.8", pattern="^n$")), 1, 500),
        ((policy(1, "0.5", model_id=2),), None, None),
        ((), None, None),
    ],
)
def test_a_tier_without_cards_follows_the_narrowest_policy(
    policies: tuple[PolicyEntry, ...], policy_id: int | None, rate: int | None
) -> None:
    ordered = tuple(sorted(policies, key=PolicyEntry.precedence, reverse=True))
    found = catalog_of([card(1)], policies={("acme", "batch"): ordered}).resolve("acme", "m", 0, "batch")
    assert found.status == ("priced" if policies and policy_id else "unpriced_tier")
    assert found.rate_from == ("policy" if policy_id else None)
    if found.card:
        assert (found.card.card_id, found.card.tier_policy_id, found.card.bands[0].per_token[0]) == (1, policy_id, rate)


def test_a_policy_scales_every_window() -> None:
    catalog = catalog_of([card(1), card(2, window=PEAK)], policies={("acme", "batch"): (policy(1, "0.5"),)})
    rates = []
    for at in (MONDAY, MONDAY + HOUR):
        found = catalog.resolve("acme", "m", at, "batch").card
        assert found
        rates.append(found.bands[0].per_token[0])
    assert rates == [500, 1000]


def test_own_tier_cards_win_over_a_policy_and_the_policy_fills_the_time_before_them() -> None:
    cards = [card(1), card(2, tier="batch", validity=Validity(1000, UNTIL_FURTHER_NOTICE))]
    catalog = catalog_of(cards, policies={("acme", "batch"): (policy(1, "0.5"),)})
    assert [catalog.resolve("acme", "m", at, "batch").rate_from for at in (999, 1000)] == ["policy", "card"]


def test_a_reseller_passes_on_the_standard_price_only() -> None:
    cards, policies = [card(1), card(2, tier="batch")], {("acme", "flex"): (policy(1, "0.5"),)}
    catalog = catalog_of(cards, policies=policies)
    standard = catalog.resolve("shop", "m", 0)
    assert (standard.status, standard.provider, standard.model_provider) == ("priced", "shop", "acme")
    assert [catalog.resolve("shop", "m", 0, tier).status for tier in ("batch", "flex")] == ["unpriced_tier"] * 2
    assert [catalog.resolve("acme", "m", 0, tier).status for tier in ("batch", "flex")] == ["priced"] * 2


@pytest.mark.parametrize(
    ("provider", "model", "status", "seller", "key", "kind"),
    [
        ("acme", "m", "priced", "acme", "m", "exact"),
        (" Acme_Inc ", "m", "priced", "acme", "m", "exact"),
        ("acme.chat", "acme/m", "priced", "acme", "m", "exact"),
        ("acme", "acme-inc/m", "priced", "acme", "m", "exact"),
        ("acme", "router/m", "unpriced_model", "acme", "", None),
        ("router", "acme/m", "priced", "router", "other", "exact"),
        ("router", "m", "unpriced_model", "router", "", None),
        ("", "m", "priced", "acme", "m", "inferred_provider"),
        ("litellm", "m", "priced", "acme", "m", "inferred_provider"),
        ("", "acme/m", "priced", "acme", "m", "inferred_provider"),
        ("unheard-of", "acme/m", "priced", "acme", "m", "inferred_provider"),
        ("unheard-of", "m", "unpriced_provider", "", "", None),
        ("", "m-unknown", "unpriced_provider", "", "", None),
        ("", "", "unpriced_provider", "", "", None),
    ],
)
def test_providers(provider: str, model: str, status: str, seller: str, key: str, kind: str | None) -> None:
    found = catalog_of([card(1)]).resolve(provider, model, 0)
    assert (found.status, found.provider, found.model, found.match_kind) == (status, seller, key, kind)


def test_a_name_that_two_providers_claim_is_not_guessed() -> None:
    catalog = catalog_of([card(1)])
    catalog._rows.providers["router"] = ProviderEntry("router", ("acme",), re.compile("^m"))  # type: ignore[index]
    assert catalog.resolve("", "m", 0).status == "unpriced_provider"


def test_the_memo_is_bounded_and_forgetting_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolution, "MEMO_SIZE", 10)
    catalog = catalog_of([card(1)])
    for number in range(50):
        assert catalog.resolve("acme", f"m{number}", 0).status == "unpriced_model"
    assert len(catalog._memo) == 10
    assert card_id(catalog) == 1


def test_organizations_without_prices_of_their_own_share_the_memo() -> None:
    catalog = catalog_of([card(1), card(2, organization_id=7)])
    assert [card_id(catalog, organization_id=number) for number in (7, 8, 9, None)] == [2, 1, 1, 1]
    assert len(catalog._memo) == 2


def test_price_is_the_cost_of_the_resolved_card_or_unknown() -> None:
    catalog = catalog_of([card(1)])
    cost = catalog.price("acme", "m", 0, Usage(2, 3))
    assert (cost.picousd, cost.status, cost.card_id) == (5000, "priced", 1)
    unknown = catalog.price("acme", "x", 0, Usage(2, 3))
    assert (unknown.picousd, unknown.status, unknown.card_id) == (None, "unpriced_model", None)


def test_an_organizations_own_name_comes_before_everybodys_and_is_nobody_elses() -> None:
    own = {(7, "acme"): NameIndex.of([NameEntry("exact", "m", 0, 30, 2, ALWAYS)])}
    catalog = catalog_of([card(1)], own_names=own)
    assert catalog.resolve("acme", "m", 0, organization_id=7).model == "other"
    assert catalog.resolve("acme", "m", 0, organization_id=8).model == "m"
    assert catalog.resolve("acme", "m", 0).model == "m"
    # A reseller sells it under that name too.
    assert catalog.resolve("shop", "m", 0, organization_id=7).model == "other"


def test_a_provider_that_only_another_organization_named_is_unknown_to_everybody_else() -> None:
    own = {(7, "gateway"): NameIndex.of([NameEntry("exact", "tuned", 0, 30, 2, ALWAYS)])}
    catalog = catalog_of([card(1)], own_names=own)
    assert catalog.resolve("gateway", "tuned", 0, organization_id=7).model == "other"
    # What the gateway passes on is inferred from the name, as if nobody had named the gateway.
    for organization_id in (8, None):
        assert catalog.resolve("gateway", "tuned", 0, organization_id=organization_id).status == "unpriced_provider"
        assert catalog.resolve("gateway", "acme/m", 0, organization_id=organization_id).model == "m"
