"""What the forms of billing have in common: constraints, numbers as people write them, whose a customer is."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from events.admin_access import ModelForm
from events.models import TrackedUser

NOT_ITS_CUSTOMER = "This customer belongs to another organization."


class NumberInput(forms.TextInput):
    """A decimal with the digits that it has, and no zeros after the last one."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"inputmode": "decimal", "size": 20, "autocomplete": "off", **(attrs or {})})

    def format_value(self, value: Any) -> str | None:
        return plain(value) if isinstance(value, Decimal) else super().format_value(value)


NUMBERS: "dict[type[models.Field[Any, Any]], dict[str, Any]]" = {models.DecimalField: {"widget": NumberInput}}
"""For `formfield_overrides`."""


class WholeForm(ModelForm):
    """Checks all constraints of its model, also those that name a field which cannot be changed here."""

    def validate_constraints(self) -> None:
        try:
            self.instance.validate_constraints(exclude=set(self.errors))
        except ValidationError as error:
            self.add_error(None, ValidationError(error.messages))

    def check_customer(self, customer: TrackedUser | None, organization_id: int | None) -> None:
        """Note an error where the customer is not the organization's; what is missing has one already."""
        if customer and organization_id and customer.organization_id != organization_id:
            self.add_error("tracked_user", NOT_ITS_CUSTOMER)


def plain(value: Decimal) -> str:
    """All digits of a number, without an exponent and without zeros after the last one."""
    whole, _, fraction = f"{value:f}".partition(".")
    return f"{whole}.{kept}" if (kept := fraction.rstrip("0")) else whole
