"""The three ways to enter a price: their forms, what they do when tried out, and what holds before."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, QueryDict

from events import admin_pricing_tables as tables
from events import price_changes
from events.admin_access import Access
from events.admin_pricing_forms import (
    PriceChangeForm,
    Question,
    QuestionForm,
    RatesForm,
    SetPriceForm,
    priced_models,
)
from pricing import catalog, entries
from pricing.catalog import Resolution, epoch_ms
from pricing.entries import Entered, Refused
from pricing.models import PricingRevision, RateCard
from pricing.resolution import Key

_SUGGESTIONS_WITHOUT = "openrouter"  # a third of all models, and hardly ever what a name means


@dataclass(frozen=True)
class Action:
    """One of the forms: what it is called, and how a valid one becomes an entry."""

    name: str
    title: str
    intro: str
    form: type[RatesForm]
    enter: Callable[[Any, Entered], PricingRevision]


def _set_price(form: SetPriceForm, by: Entered) -> PricingRevision:
    if form.needs_rates():
        return entries.correct_price(form.new_rates(), by)
    return entries.name_model(form.new_name(), by)


SET_PRICE = Action(
    "set_price",
    "Price a model",
    "For a model that has no price yet. Without a start, its past requests are priced too.",
    SetPriceForm,
    _set_price,
)
PRICE_CHANGE = Action(
    "price_change",
    "Price change",
    "A price that starts at a moment: no earlier request is touched. To put a wrong price of the past right, "
    "make a correction instead.",
    PriceChangeForm,
    lambda form, by: entries.change_price(form.new_rates(), by),
)
CORRECTION = Action(
    "correction",
    "Correction",
    "A price that should have been another one: requests of that time are priced anew. For a price that starts now or "
    "later, make a price change instead.",
    RatesForm,
    lambda form, by: entries.correct_price(form.new_rates(), by),
)


def question_asked(request: HttpRequest, access: Access) -> QueryDict | None:
    """The query of a link; an organization may be named by its slug."""
    if "model" not in request.GET:
        return None
    asked = request.GET.copy()
    for name, usual in (("tier", "standard"), ("region", "global")):
        asked[name] = asked.get(name) or usual
    by_slug = {owner.slug: str(owner.pk) for owner in access.organizations()}
    if pk := by_slug.get(asked.get("organization", "")):
        asked["organization"] = pk
    return asked


def entered_by(request: HttpRequest, form: forms.Form, organization_id: int | None) -> Entered:
    return Entered(
        now=datetime.now(UTC),
        author_id=request.user.pk,
        note=form.cleaned_data["note"],
        organization_id=organization_id,
    )


def show(refusal: Refused, asked: QuestionForm, form: RatesForm) -> None:
    """Puts a refusal at its field, whichever of the two forms has it."""
    is_name = isinstance(form, SetPriceForm) and not form.needs_rates()
    field = {"name": "model", "model": "means"}.get(refusal.field, refusal.field) if is_name else refusal.field
    if field in asked.fields:
        asked.add_error(field, str(refusal))
    else:
        form.add_error(field if field in form.fields else None, str(refusal))


def tried(enter: Callable[[], PricingRevision], key: Key | None, zone: ZoneInfo) -> dict[str, Any]:
    """What an entry would do: the rates that change, and the stored requests. Nothing is written. May refuse."""
    before = catalog.current()

    def changed() -> tuple[tables.Period, ...]:
        enter()
        return tables.periods(before, catalog.load(), key, zone) if key else ()

    found = price_changes.try_out(changed)
    return {"periods": found.result, "effect": tables.effect_table(found.effect.as_json())}


def key_of(question: Question) -> Key:
    return (question.provider, question.model, question.tier, question.region, question.organization_id)


def holding(question: Question) -> Resolution:
    """What holds now, apart from hours of the week that have rates of their own."""
    return catalog.current().choices(key_of(question), epoch_ms(datetime.now(UTC)))[-1][1]


def standing(question: Question) -> list[tuple[str, str]]:
    choices = catalog.current().choices(key_of(question), epoch_ms(datetime.now(UTC)))
    found = choices[-1][1]
    card = RateCard.objects.get(pk=found.card.card_id) if found.card and found.card.card_id else None
    return tables.standing(found, card, len(choices) > 1, question.zone)


def suggestions(question: Question) -> dict[str, Any]:
    known = priced_models(question.organization_id)
    if question.provider != _SUGGESTIONS_WITHOUT:
        known = known.exclude(provider=_SUGGESTIONS_WITHOUT)
    names = {str(model): model.key for model in known.order_by("provider", "key")}
    close = set(get_close_matches(question.model.lower(), set(names.values()), n=3, cutoff=0.7))
    return {"models": list(names), "similar": [name for name, key in names.items() if key in close][:5]}
