"""The operator's entries: which calls they price, for whom, what they leave alone, and that taking back undoes them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import entries
from pricing.catalog import Catalog, epoch_ms, load
from pricing.costs import METERS
from pricing.entries import Entered, NewName, NewRates, Refused
from pricing.importers.rows import AliasRow, CardRow, FactorRow, PolicyRow, PriceList, ProviderRow, RateRow
from pricing.importers.store import import_price_list
from pricing.models import ModelAlias, PricedModel, PricingRevision, RateCard
from pricing.publishing import catalog_locked

pytestmark = pytest.mark.django_db
SOURCE = "https://acme.example/prices"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
START = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
OURS, THEIRS = 7, 8
IMPORTED = Decimal("2.5")


def listed(usd: str | Decimal) -> tuple[RateRow, ...]:
    """The same rate for input and output: tests read it back by its amount."""
    return (RateRow("input", 0, Decimal(usd)), RateRow("output", 0, Decimal(usd)))


def price_list() -> PriceList:
    models = (("openai", "gpt-4o"), ("openai", "gpt-4o-mini"))
    half = tuple(FactorRow(meter, 0, Decimal("0.5")) for meter in METERS)
    return PriceList(
        source="a test",
        version="1",
        raw=b"1",
        providers=(ProviderRow("openai", "OpenAI", (), "^gpt"), ProviderRow("azure", "Azure", ("openai",))),
        provider_aliases=(),
        models=models,
        aliases=tuple(AliasRow("openai", "exact", key, 0, ("openai", key), SOURCE) for _, key in models),
        cards=tuple(
            CardRow(model, "standard", None, None, None, "assumed", False, SOURCE, listed(usd))
            for model, usd in zip(models, (IMPORTED, Decimal(1)), strict=True)
        ),
        policies=tuple(PolicyRow(provider, None, "batch", SOURCE, half) for provider in ("openai", "azure")),
    )


@pytest.fixture(autouse=True)
def small_catalog(no_prices: None) -> None:
    """Two models of one provider and another one that resells them: a catalog that loads in no time."""
    import_price_list(price_list(), now=START - 1000 * DAY)


def rates(usd: str = "5", model: str = "gpt-4o", provider: str = "openai", **fields: Any) -> NewRates:
    return NewRates(provider=provider, model=model, rates=fields.pop("rates", listed(usd)), source_url=SOURCE, **fields)


def by(organization_id: int | None = None, **fields: Any) -> Entered:
    values: dict[str, Any] = {"now": NOW, "author_id": 1, "note": "a test", "organization_id": organization_id}
    return Entered(**values | fields)


def change(wanted: NewRates, organization_id: int | None = None) -> PricingRevision:
    with catalog_locked():
        return entries.change_price(wanted, by(organization_id))


def correct(wanted: NewRates, organization_id: int | None = None) -> PricingRevision:
    with catalog_locked():
        return entries.correct_price(wanted, by(organization_id))


def retract(entered: PricingRevision, organization_id: int | None = None) -> PricingRevision:
    with catalog_locked():
        return entries.retract(entered, by(organization_id))


def name(alias: str, model: str = "gpt-4o", organization_id: int | None = None, **fields: Any) -> PricingRevision:
    means = PricedModel.objects.get(provider="openai", key=model, organization_id=None)
    wanted: dict[str, Any] = {"provider": "openai", "name": alias, "model": means, "source_url": SOURCE} | fields
    with catalog_locked():
        return entries.name_model(NewName(**wanted), by(organization_id))


def price(
    at: datetime, model: str = "gpt-4o", provider: str = "openai", *, catalog: Catalog | None = None, **question: Any
) -> Decimal | None:
    """The input rate that a call has, USD per million tokens."""
    found = (catalog or load()).resolve(provider, model, epoch_ms(at), **question)
    rate = found.card.bands[0].per_token[0] if found.card else None
    return None if rate is None else Decimal(rate) / 10**6


# From when on, and until when


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_a_price_change_starts_at_its_instant_in_any_zone(zone: str) -> None:
    midnight = datetime(2026, 11, 1, tzinfo=ZoneInfo(zone))
    at = midnight.astimezone(UTC)
    change(rates(valid_from=midnight, valid_to=at + DAY))
    moments = [at - 9 * DAY, at - MS, at, at + MS, at + DAY - MS, at + DAY]
    assert [price(moment) for moment in moments] == [IMPORTED, IMPORTED, 5, 5, 5, IMPORTED]


def test_a_correction_reaches_back_as_far_as_there_are_calls() -> None:
    correct(rates(valid_to=START))
    assert [price(at) for at in (datetime(2020, 1, 1, tzinfo=UTC), START - MS, START)] == [5, 5, IMPORTED]


def day(number: int | None) -> datetime | None:
    return None if number is None else START + number * DAY


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        # The first entry, "A", holds on the days 10 to 19; the second one, "B", on the days of `span`. Days 5, 10, 12,
        # 15, 19 and 25 are asked for; "." is the imported price.
        ((0, 8), "BAAAA."),
        ((0, 10), "BAAAA."),
        ((0, 12), "BBAAA."),
        ((0, 20), "BBBBB."),
        ((0, 30), "BBBBBB"),
        ((10, 20), ".BBBB."),
        ((10, 15), ".BBAA."),
        ((12, 15), ".ABAA."),
        ((12, 20), ".ABBB."),
        ((12, 30), ".ABBBB"),
        ((20, 30), ".AAAAB"),
        ((21, 30), ".AAAAB"),
        ((None, 12), "BBAAA."),
        ((12, None), ".ABBBB"),
        ((None, None), "BBBBBB"),
    ],
)
def test_a_later_entry_takes_its_time_out_of_an_earlier_one(span: tuple[int | None, int | None], expected: str) -> None:
    correct(rates("5", valid_from=day(10), valid_to=day(20)))
    correct(rates("6", valid_from=day(span[0]), valid_to=day(span[1])))
    catalog, letters = load(), {Decimal(5): "A", Decimal(6): "B", IMPORTED: "."}
    asked = [price(START + number * DAY, catalog=catalog) for number in (5, 10, 12, 15, 19, 25)]
    assert "".join(letters[found] for found in asked if found is not None) == expected


def test_what_is_left_of_an_entry_keeps_its_rates_and_charges() -> None:
    all_of_it = (*listed("5"), RateRow("cache_read", 0, Decimal("0.5")), RateRow("input", 200_000, Decimal(10)))
    correct(rates(rates=all_of_it, has_other_charges=True))
    correct(rates("6", valid_from=START, valid_to=START + DAY))
    catalog = load()
    before, after = (catalog.resolve("openai", "gpt-4o", epoch_ms(at)).card for at in (START - MS, START + DAY))
    assert before
    assert after
    assert (before.bands, before.has_other_charges) == (after.bands, True)
    assert [band.prompt_over for band in before.bands] == [0, 200_000]
    assert RateCard.objects.filter(layer=30, superseded_revision=None).count() == 3


def test_tiers_and_regions_have_prices_of_their_own() -> None:
    correct(rates("5", tier="batch"))
    correct(rates("6", region="us"))
    catalog = load()
    asked = {
        (tier, region): price(NOW, catalog=catalog, tier=tier, region=region)
        for tier in ("standard", "batch", "flex")
        for region in ("global", "us")
    }
    assert list(asked.values()) == [IMPORTED, 6, 5, 5, None, None]


def test_everything_else_stays_as_it_is() -> None:
    change(rates(valid_from=START))
    catalog = load()
    assert price(NOW, "gpt-4o-mini", catalog=catalog) == 1
    assert price(NOW, "gpt-4o", "azure", catalog=catalog) == 5  # passed on


# For whom


def test_an_organization_s_entry_is_for_nobody_else() -> None:
    change(rates(valid_from=START), OURS)
    name("fable", organization_id=OURS)
    catalog = load()
    for model in ("gpt-4o", "fable"):
        assert price(NOW, model, catalog=catalog, organization_id=OURS) == 5
    for organization_id in (THEIRS, None):
        assert price(NOW, catalog=catalog, organization_id=organization_id) == IMPORTED
        assert price(NOW, "fable", catalog=catalog, organization_id=organization_id) is None


def test_an_organization_s_own_price_goes_before_everybody_s() -> None:
    correct(rates("6"))
    correct(rates("5", valid_to=START), OURS)
    asked = [price(at, organization_id=who) for at in (START - MS, START) for who in (OURS, THEIRS)]
    assert asked == [5, 6, 6, 6]


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "gpt-9"), ("house", "tuned"), ("House ", "TUNED"), ("openai", "tuned-20260102")]
)
def test_an_unknown_model_becomes_priced_for_who_enters_it(provider: str, model: str) -> None:
    correct(rates(model=model, provider=provider), OURS)
    catalog = load()
    asked = [price(NOW, model, provider, catalog=catalog, organization_id=who) for who in (OURS, THEIRS, None)]
    assert asked == [5, None, None]
    correct(rates("6", model=model, provider=provider))
    assert [price(NOW, model, provider, organization_id=who) for who in (OURS, THEIRS)] == [5, 6]


def test_two_organizations_may_use_the_same_name_for_different_things() -> None:
    correct(rates("5", model="tuned"), OURS)
    correct(rates("6", model="tuned"), THEIRS)
    change(rates("7", model="tuned", valid_from=START), OURS)
    assert [price(NOW, "tuned", organization_id=who) for who in (OURS, THEIRS, None)] == [7, 6, None]


# Resold models, and names


def test_a_resold_model_gets_a_price_of_its_own() -> None:
    change(rates(provider="azure", valid_from=START, valid_to=START + DAY))
    catalog = load()
    at_azure = [price(at, provider="azure", catalog=catalog) for at in (START - MS, START, START + DAY)]
    assert at_azure == [IMPORTED, 5, IMPORTED]
    assert price(START, catalog=catalog) == IMPORTED
    assert price(START, provider="azure", catalog=catalog, tier="batch") == Decimal("2.5")


def test_a_resold_model_s_later_prices_go_to_the_same_entry() -> None:
    change(rates("5", provider="azure", valid_from=START, valid_to=START + DAY))
    change(rates("6", provider="azure", valid_from=START + 2 * DAY))
    correct(rates("7", provider="azure", tier="batch", valid_from=START + 3 * DAY))
    moments = (START - MS, START, START + DAY, START + 2 * DAY)
    assert [price(at, provider="azure") for at in moments] == [IMPORTED, 5, IMPORTED, 6]
    assert price(NOW, provider="azure", tier="batch") == 7
    assert PricedModel.objects.filter(provider="azure").count() == 1


@pytest.mark.parametrize(("field", "value"), [("tier", "batch"), ("region", "us")])
def test_a_resold_model_needs_a_standard_price_first(field: str, value: str) -> None:
    """Or its calls at the standard price would have none."""
    with pytest.raises(Refused, match="passes on the price of openai/gpt-4o") as refusal:
        correct(rates(provider="azure", **{field: value}))
    assert refusal.value.field == field


def test_a_name_may_mean_a_model_for_a_while() -> None:
    name("latest", valid_from=START)
    name("latest", "gpt-4o-mini", valid_from=START + DAY, valid_to=START + 2 * DAY)
    asked = [price(START + moment, "latest") for moment in (-MS, 0 * DAY, DAY - MS, DAY, 2 * DAY)]
    assert asked == [None, IMPORTED, IMPORTED, 1, IMPORTED]


def test_a_price_for_a_name_of_another_provider_s_model_leaves_that_model_alone() -> None:
    name("gpt-4o", provider="house")
    assert price(NOW, provider="house") == IMPORTED
    change(rates(provider="house", valid_from=START))
    assert [price(at, provider="house") for at in (START - MS, START)] == [IMPORTED, 5]
    assert price(NOW) == IMPORTED


def test_a_name_for_an_organization_s_own_model_is_for_it_alone() -> None:
    correct(rates("5", model="tuned"), OURS)
    own = PricedModel.objects.get(key="tuned")
    wanted = NewName(provider="openai", name="tuned-2", model=own, source_url=SOURCE)
    with pytest.raises(Refused) as refusal, catalog_locked():
        entries.name_model(wanted, by(THEIRS))
    assert refusal.value.field == "model"
    with catalog_locked():
        entries.name_model(wanted, by(OURS))
    assert [price(NOW, "tuned-2", organization_id=who) for who in (OURS, THEIRS)] == [5, None]


# What is refused


@pytest.mark.parametrize(
    ("enter", "field"),
    [
        (lambda: change(rates()), "valid_from"),
        (lambda: correct(rates(valid_from=NOW + MS)), "valid_from"),
        (lambda: change(rates(valid_from=START, valid_to=START)), "valid_to"),
        (lambda: correct(rates(valid_from=START, valid_to=START - MS)), "valid_to"),
        (lambda: correct(rates(rates=listed("5")[1:])), "input"),
        (lambda: correct(rates(rates=listed("5")[:1])), "output"),
        (lambda: correct(rates("-0.1")), "input"),
        (lambda: correct(rates("0.0000001")), "input"),
        (lambda: correct(rates("NaN")), "input"),
        (lambda: correct(rates("10000000000")), "input"),
        (lambda: correct(rates(rates=(*listed("5"), *listed("6")))), ""),
        (lambda: correct(rates(model=" ")), "model"),
        (lambda: correct(rates(model="tuned", provider="")), "provider"),
        (lambda: correct(rates(model="tuned", provider="LiteLLM")), "provider"),
        (lambda: correct(replace(rates(), source_url="")), "source_url"),
        (lambda: correct(replace(rates(), source_url="javascript:alert(1)")), "source_url"),
        (lambda: entries.correct_price(rates(), by(note=" ")), "note"),
        (lambda: name(" "), "name"),
        (lambda: name("m", valid_from=START, valid_to=START), "valid_to"),
        (lambda: name("m", source_url="http://acme.example"), "source_url"),
        (lambda: entries.retract(correct(rates()), by(note="")), "note"),
    ],
)
def test_refusals_name_their_field_and_leave_nothing_behind(enter: Callable[[], object], field: str) -> None:
    with pytest.raises(Refused) as refusal:
        enter()
    assert (refusal.value.field, bool(str(refusal.value))) == (field, True)


def test_a_refused_entry_leaves_nothing_behind() -> None:
    before = PricingRevision.objects.count(), ModelAlias.objects.count()
    with pytest.raises(Refused), transaction.atomic():
        correct(rates(provider="azure", tier="batch"))
    assert (PricingRevision.objects.count(), ModelAlias.objects.count()) == before


def test_a_zero_is_a_price_when_it_was_entered() -> None:
    correct(rates("0"))
    assert price(NOW) == 0


# Taking back


def test_an_import_and_a_retraction_cannot_be_taken_back() -> None:
    entered = correct(rates())
    taken_back = retract(entered)
    for revision, message in (
        (PricingRevision.objects.earliest("pk"), "entered here"),
        (taken_back, "entered here"),
        (entered, "taken back before"),
    ):
        with pytest.raises(Refused, match=message):
            retract(revision)


@pytest.mark.parametrize(("whose", "who"), [(None, OURS), (OURS, None), (OURS, THEIRS)])
def test_an_entry_is_taken_back_for_whom_it_was_made(whose: int | None, who: int | None) -> None:
    entered = correct(rates(), whose)
    with pytest.raises(Refused, match="somebody else"):
        retract(entered, who)
    assert price(NOW, organization_id=OURS) == 5


def test_what_later_entries_build_on_is_taken_back_after_them() -> None:
    first = correct(rates("5"))
    second = correct(rates("6", valid_from=START))
    with pytest.raises(Refused, match=f"Revision {second.pk} changed it since"):
        retract(first)
    retract(second)
    assert price(NOW) == 5
    retract(first)
    assert price(NOW) == IMPORTED


def test_an_entry_that_was_restored_and_changed_again_waits_for_the_change() -> None:
    first = correct(rates("5"))
    retract(correct(rates("6", valid_from=START)))
    third = correct(rates("7", valid_from=START))
    with pytest.raises(Refused, match=f"Revision {third.pk} changed it since"):
        retract(first)


def test_a_retraction_says_what_it_took_back() -> None:
    entered = correct(rates(valid_to=START), OURS)
    taken_back = retract(entered, OURS)
    assert taken_back.retracts == entered
    assert (taken_back.kind, taken_back.author_id, taken_back.organization_id) == ("retraction", 1, OURS)
    assert taken_back.summary == {**entered.summary, "retracts": entered.pk}


def test_an_unknown_provider_s_price_can_be_entered_taken_back_and_entered_again() -> None:
    for usd in ("5", "6"):
        entered = correct(rates(usd, model="tuned", provider="house"))
        assert price(NOW, "tuned", "house") == Decimal(usd)
        retract(entered)
        assert load().resolve("house", "tuned", epoch_ms(NOW)).status == "unpriced_provider"


def test_a_provider_stays_known_while_another_entry_needs_it() -> None:
    first = correct(rates("5", model="one", provider="house"))
    second = correct(rates("6", model="two", provider="house"))
    retract(first)
    assert price(NOW, "two", "house") == 6
    retract(second)
    assert load().resolve("house", "two", epoch_ms(NOW)).status == "unpriced_provider"


QUESTIONS = [
    (provider, model, tier, START + at * DAY, organization_id)
    for provider, model in (("openai", "gpt-4o"), ("azure", "gpt-4o"), ("house", "tuned"), ("openai", "fable"))
    for tier in ("standard", "batch")
    for at in (-1, 0, 2, 5, 9, 30)
    for organization_id in (None, OURS, THEIRS)
]


def answers() -> list[tuple[Any, ...]]:
    """What the catalog says to many questions, without the numbers of its rows."""
    catalog = load()
    found = [
        catalog.resolve(provider, model, epoch_ms(at), tier, "global", who)
        for provider, model, tier, at, who in QUESTIONS
    ]
    return [(each.status, each.card and (each.card.bands, each.card.has_other_charges)) for each in found]


days = st.one_of(st.none(), st.integers(0, 10))
entry = st.tuples(
    st.sampled_from(["openai gpt-4o", "azure gpt-4o", "house tuned", "openai fable", "name"]),
    days,
    days,
    st.sampled_from(["standard", "batch"]),
    st.sampled_from([None, OURS]),
    st.integers(1, 9),
)


def enter_one(what: str, start: int | None, end: int | None, tier: str, who: int | None, usd: int) -> PricingRevision:
    span = {"valid_from": day(start), "valid_to": day(end)}
    if what == "name":
        return name("fable", ("gpt-4o", "gpt-4o-mini")[usd % 2], who, **span)
    provider, model = what.split()
    return correct(rates(str(usd), model, provider, tier=tier, **span), who)


@settings(max_examples=30)
@given(wanted=st.lists(entry, min_size=1, max_size=6))
def test_entries_taken_back_in_reverse_leave_the_first_prices(wanted: Sequence[tuple[Any, ...]]) -> None:
    with transaction.atomic():
        states = [answers()]
        made: list[PricingRevision] = []
        for each in wanted:
            try:
                made.append(enter_one(*each))
            except Refused:
                continue
            states.append(answers())
        for revision in reversed(made):
            assert answers() == states.pop()
            retract(revision, revision.organization_id)
            assert answers() == states[-1]
        transaction.set_rollback(True)


@settings(max_examples=30)
@given(wanted=st.lists(entry, min_size=1, max_size=5))
def test_an_organization_s_entries_change_nobody_else_s_price(wanted: Sequence[tuple[Any, ...]]) -> None:
    others = [number for number, question in enumerate(QUESTIONS) if question[4] != OURS]
    with transaction.atomic():
        before = answers()
        for what, start, end, tier, _, usd in wanted:
            try:
                enter_one(what, start, end, tier, OURS, usd)
            except Refused:
                continue
        after = answers()
        assert [after[n][1] for n in others] == [before[n][1] for n in others]
        transaction.set_rollback(True)
