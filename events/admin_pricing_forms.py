"""The forms of the price pages: which price is meant, the rates of a card, from when to when, why and by whose word."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import URLValidator
from django.db.models import Q, QuerySet
from django.http import QueryDict

from events.admin_access import Access
from events.models import Organization
from pricing.costs import METERS, TIERS, Meter, RateCard, Tier, usd_per_mtok
from pricing.entries import NewName, NewRates
from pricing.importers.rows import RateRow
from pricing.models import PricedModel

EVERYONE: Final = "everyone"
THRESHOLDS: Final = (1, 2, 3)
METER_WORDS: Final[dict[Meter, str]] = {
    "input": "Input",
    "cache_read": "Cache reads",
    "cache_write_5m": "Cache writes, 5 minutes",
    "cache_write_1h": "Cache writes, 1 hour",
    "output": "Output",
    "reasoning": "Reasoning",
}
METER_HELP: Final[dict[Meter, str]] = {
    "input": "Needed; 0 means free.",
    "cache_read": "Empty: charged like input.",
    "cache_write_5m": "Empty: charged like input.",
    "cache_write_1h": "Empty: charged like 5-minute writes, and marked as a lower bound where those have a rate.",
    "output": "Needed; 0 means free.",
    "reasoning": "Empty: charged like output.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """Which price is meant: names as calls send them or the catalog says them; organization None: everyone's price."""

    provider: str
    model: str
    tier: Tier
    region: str
    organization: Organization | None
    zone: ZoneInfo

    @property
    def organization_id(self) -> int | None:
        return self.organization.pk if self.organization else None

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}" if self.provider else self.model


class QuestionForm(forms.Form):
    """Asks which price is meant, among the organizations that the person manages."""

    provider = forms.CharField(max_length=255, required=False, help_text="As the calls say it. Empty: they say none.")
    model = forms.CharField(max_length=255)
    tier = forms.ChoiceField(choices=[(tier, tier) for tier in TIERS], initial="standard", required=False)
    region = forms.CharField(max_length=64, initial="global", required=False, help_text="global, unless it differs.")
    organization = forms.ChoiceField(label="Whose price", required=False)

    def __init__(self, *args: Any, access: Access, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organizations = {str(each.pk): each for each in access.organizations()}
        everyone = [(EVERYONE, "Everyone's")] if access.everything else []
        self.choices = [*everyone, *((pk, f"{each.name}'s own") for pk, each in self.organizations.items())]
        chosen: Any = self.fields["organization"]
        chosen.choices = self.choices

    def clean_tier(self) -> str:
        return self.cleaned_data["tier"] or "standard"

    def clean_region(self) -> str:
        return self.cleaned_data["region"].strip().lower() or "global"

    def clean_organization(self) -> Organization | None:
        return self.organizations.get(self.cleaned_data["organization"] or self.choices[0][0])

    def question(self) -> Question:
        """What a valid form asks for. Times are those of its organization, or of the only one, or else UTC."""
        organization = self.cleaned_data["organization"]
        only = next(iter(self.organizations.values())) if len(self.organizations) == 1 else None
        place = organization or only
        zone = place.zone if place else ZoneInfo("UTC")
        values = {name: self.cleaned_data[name] for name in ("provider", "model", "tier", "region")}
        return Question(**values, organization=organization, zone=zone)


class LocalTimeField(forms.CharField):
    """A moment typed in `zone`, as an aware time in UTC; None when empty."""

    widget = forms.TextInput(attrs={"type": "datetime-local", "step": "1"})
    zone = ZoneInfo("UTC")

    def clean(self, value: Any) -> datetime | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            typed = datetime.fromisoformat(text)
        except ValueError:
            raise forms.ValidationError("Write a date and a time, such as 2026-11-21T09:30.") from None
        if not 2000 <= typed.year < 2100:
            raise forms.ValidationError("The year must lie between 2000 and 2099.")
        if typed.tzinfo is not None:
            return typed.astimezone(UTC)
        at = typed.replace(tzinfo=self.zone).astimezone(UTC)
        if at.astimezone(self.zone).replace(tzinfo=None) != typed:
            raise forms.ValidationError(f"The clocks of {self.zone} skip this time. Take one before or after.")
        return at


class RateField(forms.DecimalField):
    """USD per million tokens."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "size": 10, "class": "rate"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, min_value=0, max_digits=16, decimal_places=6, **kwargs)


class ReasonsForm(forms.Form):
    """What every entry says about itself."""

    note = forms.CharField(
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        max_length=2000,
        help_text="Kept with the change for whoever asks later.",
    )
    form_token = forms.CharField(widget=forms.HiddenInput, required=False)


class RatesForm(ReasonsForm):
    """A rate card: six rates, up to three thresholds, a validity, the source and the reason."""

    valid_from = LocalTimeField(required=False)
    valid_to = LocalTimeField(required=False)
    has_other_charges = forms.BooleanField(
        label="The provider also bills something else than tokens",
        required=False,
        help_text="Such as requests or searches. Costs are then marked as partial.",
    )
    source_url = forms.URLField(
        label="Source",
        max_length=1000,
        assume_scheme="https",
        widget=forms.URLInput(attrs={"class": "vLargeTextField", "placeholder": "https://"}),
        help_text="The page where the provider publishes it. It begins with https://.",
    )
    field_order = ("valid_from", "valid_to", "has_other_charges", "source_url", "note")

    def __init__(self, *args: Any, question: Question, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.question = question
        source: Any = self.fields["source_url"]
        source.validators = [URLValidator(schemes=["https"], message="Enter an address that begins with https://.")]
        for name, label, empty in (("valid_from", "Holds from", "since ever"), ("valid_to", "Until", "further notice")):
            field: Any = self.fields[name]
            field.zone, field.label = question.zone, f"{label} ({question.zone} time)"
            field.help_text = f"Stored as UTC. Empty: {'until ' if name == 'valid_to' else ''}{empty}."
        for meter in METERS:
            self.fields[meter] = RateField(label=METER_WORDS[meter], help_text=METER_HELP[meter])
        for number in THRESHOLDS:
            self._add_threshold(number)

    def _add_threshold(self, number: int) -> None:
        above = forms.IntegerField(label=f"Threshold {number}: prompts above", min_value=1, max_value=10**9)
        above.required = False
        above.widget = forms.TextInput(
            attrs={"inputmode": "numeric", "size": 9, "class": "rate", "aria-label": above.label}
        )
        self.fields[f"above_{number}"] = above
        for meter in METERS:
            field = RateField(label=f"{METER_WORDS[meter]}, threshold {number}")
            field.widget.attrs["aria-label"] = field.label
            self.fields[f"{meter}_above_{number}"] = field

    def needs_rates(self) -> bool:
        return True

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.needs_rates():
            return cleaned
        for meter in ("input", "output"):
            if cleaned.get(meter) is None and meter not in self.errors:
                self.add_error(meter, "This rate is needed; 0 means free.")
        seen: set[int] = set()
        for number in THRESHOLDS:
            self._check_threshold(number, cleaned, seen)
        return cleaned

    def _check_threshold(self, number: int, cleaned: dict[str, Any], seen: set[int]) -> None:
        above = cleaned.get(f"above_{number}")
        has_rates = any(cleaned.get(f"{meter}_above_{number}") is not None for meter in METERS)
        if above is None and has_rates:
            self.add_error(f"above_{number}", "Say above how many prompt tokens these rates hold.")
        if above is not None and not has_rates:
            self.add_error(f"above_{number}", "Enter at least one rate for prompts above this size.")
        if above in seen:
            self.add_error(f"above_{number}", "Another threshold has the same number.")
        seen |= {above} if above else set()

    def new_rates(self) -> NewRates:
        """The card that a valid form describes."""
        cleaned, question = self.cleaned_data, self.question
        rows = [RateRow(meter, 0, cleaned[meter]) for meter in METERS if cleaned[meter] is not None]
        for number in THRESHOLDS:
            for meter in METERS:
                if (usd := cleaned[f"{meter}_above_{number}"]) is not None:
                    rows.append(RateRow(meter, cleaned[f"above_{number}"], usd))
        return NewRates(
            provider=question.provider,
            model=question.model,
            tier=question.tier,
            region=question.region,
            rates=tuple(rows),
            source_url=cleaned["source_url"],
            valid_from=cleaned["valid_from"],
            valid_to=cleaned["valid_to"],
            has_other_charges=cleaned["has_other_charges"],
        )

    def meter_rows(self) -> list[Any]:
        """The bound fields of the six rates."""
        return [self[meter] for meter in METERS]

    def threshold_rows(self) -> list[tuple[str, list[Any]]]:
        """For each meter its name, and its bound field of every threshold."""
        return [(METER_WORDS[m], [self[f"{m}_above_{number}"] for number in THRESHOLDS]) for m in METERS]

    def thresholds(self) -> list[Any]:
        return [self[f"above_{number}"] for number in THRESHOLDS]

    def threshold_errors(self) -> list[str]:
        """Errors of the thresholds' table, each with the name of its field: there is no room beside them."""
        names = [f"above_{n}" for n in THRESHOLDS] + [f"{m}_above_{n}" for n in THRESHOLDS for m in METERS]
        return [f"{self.fields[name].label}: {error}" for name in names for error in self.errors.get(name, ())]

    def has_thresholds(self) -> bool:
        """Whether the thresholds should be seen at once."""
        return bool(self.threshold_errors()) or any(field.value() not in (None, "") for field in self.thresholds())


class PriceChangeForm(RatesForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["valid_from"].required = True
        self.fields["valid_from"].help_text = "Stored as UTC. No earlier request is touched."


class SetPriceForm(RatesForm):
    """A price for a name that has none: what else it is called, or rates of its own."""

    how = forms.ChoiceField(
        label="What is it?",
        choices=[("name", "Another name for a model of the catalog"), ("rates", "A model with the rates below")],
        widget=forms.RadioSelect,
        initial="rates",
    )
    means = forms.CharField(
        label="It is another name for",
        max_length=512,
        required=False,
        widget=forms.TextInput(attrs={"list": "models", "class": "vLargeTextField", "autocomplete": "off"}),
        help_text="provider/model, as the catalog says it; type a part of it to search.",
    )

    def needs_rates(self) -> bool:
        return self.data.get("how") == "rates"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("how") == "name":
            cleaned["model"] = self._meant(cleaned.get("means", ""))
        return cleaned

    def _meant(self, text: str) -> PricedModel | None:
        provider, _, key = text.strip().partition("/")
        known = priced_models(self.question.organization_id)
        model = (
            known.filter(provider=provider, key=key).first()
            or known.filter(provider=self.question.provider, key=text.strip()).first()
        )
        if model is None:
            self.add_error("means", "The catalog has no such model: write its provider, a slash and its name.")
        return model

    def new_name(self) -> NewName:
        """The name that a valid form describes, when it is one."""
        return NewName(
            provider=self.question.provider,
            name=self.question.model,
            model=self.cleaned_data["model"],
            source_url=self.cleaned_data["source_url"],
            valid_from=self.cleaned_data["valid_from"],
            valid_to=self.cleaned_data["valid_to"],
        )


def priced_models(organization_id: int | None) -> QuerySet[PricedModel]:
    """The models that a name may mean: everybody's and the organization's own."""
    return PricedModel.objects.filter(Q(organization_id=None) | Q(organization_id=organization_id))


def initial_rates(card: RateCard) -> dict[str, Any]:
    """A card's rates as initial values of a RatesForm; thresholds beyond the third do not fit."""
    first, *above = card.bands
    found: dict[str, Any] = {meter: _text(rate) for meter, rate in first.listed().items()}
    for number, band in zip(THRESHOLDS, above, strict=False):
        found[f"above_{number}"] = band.prompt_over
        found |= {f"{meter}_above_{number}": _text(rate) for meter, rate in band.listed().items()}
    return found | {"has_other_charges": card.has_other_charges}


def _text(rate_picousd: int) -> str:
    return plain(usd_per_mtok(rate_picousd))


def plain(amount: Decimal, at_least: int = 2) -> str:
    """A decimal with every digit that it has, and `at_least` digits after the point; no exponent, no separators."""
    whole, _, fraction = f"{amount:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(at_least, '0')}"


def hidden_values(posted: QueryDict, *asked: forms.Form) -> list[tuple[str, str]]:
    """What was posted in these forms, for the hidden fields of a page that asks once more."""
    return [(name, str(posted[name])) for form in asked for name in form.fields if name in posted]
