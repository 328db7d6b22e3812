"""What the forms of invoices do once they are sent: checked, made, and told in a sentence."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from django import forms
from django.db import transaction

from dashboard.access import MemberRequest
from dashboard.formats import days, usd
from dashboard.invoice_forms import CreditForm, DraftForm, FinalizeForm, VoidForm
from dashboard.visit import Visit
from events import form_tokens
from events.models import Organization, Role, TrackedUser
from metering import invoicing
from metering.models import Invoice
from metering.months import period_of
from metering.periods import Period

MONTHS = 13
"""How many billing months a draft can be opened for by hand: usage may be as old as a year."""

type Done = tuple[forms.Form | None, str]
"""The form where it is not accepted, else None; and what was done."""


def drafting_form(visit: Visit, customer: str = "") -> DraftForm | None:
    """An empty form for opening a draft; None for those who may not."""
    return DraftForm(None, _choices(_periods(visit)), customer) if may_change(visit) else None


def may_change(visit: Visit) -> bool:
    """Whether the person may change invoices."""
    return visit.has_role(Role.ADMIN)


def open_draft(visit: Visit, sent: Mapping[str, str]) -> tuple[DraftForm, Invoice | None]:
    """The form as it was sent, and the draft of the month, new or there already; None where it is refused."""
    periods = _periods(visit)
    form = DraftForm(sent, _choices(periods))
    if not form.is_valid():
        return form, None
    rows = TrackedUser.objects.filter(organization=visit.organization_id, external_id=form.cleaned_data["customer"])
    customer = rows.first()
    if customer is None:
        form.add_error("customer", "There is no customer with this id.")
        return form, None
    try:
        start = periods[form.cleaned_data["month"]].start_at
        return form, invoicing.open_draft(visit.organization_id, customer.pk, start)
    except invoicing.Refused as refused:
        form.add_error("month", _sentence(refused, {"period": "This month"}))
        return form, None


def finalize(request: MemberRequest, invoice_id: int) -> Done:
    """Give the draft its number."""
    visit, form = request.visit, FinalizeForm(request.POST)
    return _tried(
        form, lambda: f"Finalized as {invoicing.finalize(invoice_id, visit.organization_id, visit.now).number}."
    )


def void(request: MemberRequest, invoice_id: int) -> Done:
    """Take the invoice back."""
    visit, form = request.visit, VoidForm(request.POST)

    def made() -> str:
        found = invoicing.void(invoice_id, visit.organization_id, form.cleaned_data["reason"], visit.now)
        return f"{found.number} is void, and its period is open again."

    return _tried(form, made)


def credit(request: MemberRequest, invoice_id: int) -> Done:
    """Make a credit note, once for each form that was shown."""
    visit, form = request.visit, CreditForm(request.POST.dict())

    def made() -> str:
        with transaction.atomic():
            form_tokens.claim(request)
            amount, reason = form.cleaned_data["amount_usd"], form.cleaned_data["reason"]
            note = invoicing.credit(invoice_id, visit.organization_id, amount, reason, visit.now)
            form_tokens.settle(request, note.pk)
        return f"Credit note {note.number} takes {usd(note.amount_usd)} back."

    try:
        return _tried(form, made)
    except form_tokens.AlreadySent as sent:
        if sent.made_id is not None:
            return None, "This form was sent before; its credit note is below."
        form.data = {**form.data, form_tokens.FIELD: form_tokens.new_token(request)}
        form.add_error(None, "This page was open for too long, so nothing was credited. Send the form again.")
        return form, ""


def _tried(form: forms.Form, made: Callable[[], str]) -> Done:
    if not form.is_valid():
        return form, ""
    try:
        return None, made()
    except invoicing.Refused as refused:
        field = refused.field if refused.field in form.fields else None
        form.add_error(field, _sentence(refused, {} if field else _SUBJECTS))
        return form, ""


_SUBJECTS = {
    "status": "This invoice",
    "period_end": "Not yet:",
    "lines": "It is not complete:",
    "credit_notes": "It has credit notes:",
}


def _sentence(refused: invoicing.Refused, subjects: Mapping[str, str]) -> str:
    """The refusal with what it is about, as a sentence."""
    text = f"{subjects.get(refused.field, '')} {refused.message}".strip()
    return f"{text[0].upper()}{text[1:]}."


def _periods(visit: Visit) -> dict[str, Period]:
    """The latest billing months by their first day, the present one first."""
    period = period_of(Organization.objects.get(pk=visit.organization_id), visit.now)
    found = {}
    for _ in range(MONTHS):
        found[period.first_day.isoformat()] = period
        period = period.previous()
    return found


def _choices(periods: Mapping[str, Period]) -> list[tuple[str, str]]:
    one_day = timedelta(days=1)
    return [(name, days(one.first_day, one.next().first_day - one_day)) for name, one in periods.items()]
