"""Texts that would be more than text where a page, a chart or a spreadsheet took them for what they look like."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from events.models import Organization
from metering import invoicing
from metering.models import BillingSettings, Credit, Plan, Subscription
from tests.metering.billing import Billing

MARK = "xss"
"""Part of every payload: what of it became markup is found by this word."""

FORMULAS = (
    '=HYPERLINK("https://xss.example","xss")',
    "@SUM(1+9)*cmd|' /C xss'!A0",
    "+xss|' /C calc'!A0",
    "-2+3+cmd|' /C xss'!A0",
)
PAYLOADS = (
    "<script>alert('xss')</script>",
    "\"'><img src=xss onerror=alert(1)>",
    "<svg onload=alert('xss')>",
    '" autofocus onfocus=alert(1) xss="',
    "javascript:alert('xss')",
    "<b>xss</b> &lt;i&gt;xss&lt;/i&gt; <a href=\"javascript:alert('xss')\">xss</a>",
    "</script><script>alert('xss')</script><!--",
    "{{7*7}}{% now 'Y' %}%(xss)s${7*7} xss",
    "$\\href{javascript:alert(1)}{xss}$",
    # As the schema keeps a null byte, and with an override of the direction of writing.
    "xss\ufffd\u202egpj.exe",
    "'; DROP TABLE event; -- xss",
    "xss\u2028\u2029<style>*{display:none}</style>",
    *FORMULAS,
)


def store_billing(organization: Organization, payload: str, now: datetime) -> None:
    """A meter with usage, a plan, an invoice with a credit note, and one that is void."""
    billing, moments = Billing(of=organization), (now - timedelta(days=70), now - timedelta(days=35))
    customer = billing.customer(payload)
    meter = billing.meter(payload[:100], "UNIQUE_COUNT", unit=payload[:50])
    billing.per_unit(meter, "100")
    for moment in (now, *moments):
        used: dict[str, Any] = {"unique_value": payload, "metadata": {"seat": payload}}
        billing.used(meter, customer=customer, occurred_at=moment, **used)
    plan = Plan.objects.create(organization=organization, name=payload[:100], fee_usd=Decimal(1))
    Subscription.objects.create(tracked_user=customer, plan=plan, starts_on=moments[0].date())
    Credit.objects.create(tracked_user=customer, amount_usd=Decimal(1), note=payload)
    BillingSettings.objects.update_or_create(organization=organization, defaults={"issuer": payload, "note": payload})
    opened = (invoicing.open_draft(organization.pk, customer.pk, moment) for moment in moments)
    void, credited = (invoicing.finalize(draft.pk, organization.pk, now) for draft in opened)
    invoicing.void(void.pk, organization.pk, payload, now)
    invoicing.credit(credited.pk, organization.pk, Decimal(1), payload, now)
    invoicing.open_draft(organization.pk, customer.pk, now)
