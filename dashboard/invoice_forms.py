"""The forms of invoices: what a person typed, read and checked, in sentences that say what to do."""

from collections.abc import Iterable, Mapping

from django import forms

from events import form_tokens
from metering.models import CreditNote, Invoice


class DraftForm(forms.Form):
    """A customer's billing month for which an invoice is to be drawn up."""

    customer = forms.CharField(
        label="Customer id",
        max_length=255,
        error_messages={"required": "Give the customer's id, as your product sends it."},
    )
    month = forms.ChoiceField(
        label="Billing month",
        error_messages={
            "required": "Choose a billing month.",
            "invalid_choice": "Choose a billing month from the list.",
        },
    )

    def __init__(self, data: Mapping[str, str] | None, months: Iterable[tuple[str, str]], customer: str = "") -> None:
        super().__init__(data, initial={"customer": customer})
        month = self.fields["month"]
        assert isinstance(month, forms.ChoiceField)
        month.choices = list(months)


class FinalizeForm(forms.Form):
    """Nothing to fill in."""


class VoidForm(forms.Form):
    """Why an invoice is taken back."""

    reason = forms.CharField(
        max_length=Invoice._meta.get_field("void_reason").max_length,
        help_text="Printed on the invoice.",
        error_messages={"required": "Say why; the customer reads it."},
    )


class CreditForm(forms.Form):
    """How much of an invoice is taken back, and why. Sent twice it makes one credit note."""

    amount_usd = forms.DecimalField(
        label="Amount in USD",
        max_digits=18,
        decimal_places=2,
        widget=forms.TextInput(),
        error_messages={
            "required": "Give an amount.",
            "invalid": "This is not an amount; write it like 12.50.",
            "max_decimal_places": "Give at most two decimals: credit notes are in whole cents.",
        },
    )
    reason = forms.CharField(
        max_length=CreditNote._meta.get_field("reason").max_length,
        help_text="Printed on the invoice.",
        error_messages={"required": "Say why; the customer reads it."},
    )
    form_token = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, data: Mapping[str, str] | None, token: str = "") -> None:
        super().__init__(data, initial={form_tokens.FIELD: token})
