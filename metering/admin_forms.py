"""What the forms of billing have in common: constraints, numbers as people write them, whose a customer is."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest

from events.admin_access import ModelForm, Scoped
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


class CustomerSelect(AutocompleteSelect):
    """A search among the customers, who may be very many."""

    @property
    def media(self) -> forms.Media:
        # In this order: it names what the other one has made.
        return super().media + forms.Media(js=["admin/js/autocomplete.js", "js/admin_search.js"])

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        return found | {"data-placeholder": "Search for a customer by id, name or e-mail address"}


class OfCustomer(Scoped):
    """The admin of what belongs to a customer, who is searched for."""

    autocomplete_fields = ("tracked_user",)

    def formfield_for_foreignkey(
        self, db_field: "models.ForeignKey[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "tracked_user":
            kwargs["widget"] = CustomerSelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


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
