"""What customers are billed for: meters with their rates, usage records, plans, credits, invoices. A customer is a
tracked user (`events.models`): one account has LLM cost and metered usage."""

from metering.models.api_session import ApiSession
from metering.models.billing_settings import BillingSettings
from metering.models.credit import Credit
from metering.models.invoice import CreditNote, Invoice, InvoiceLine, InvoiceStatus, LineKind
from metering.models.meter import Aggregation, Meter
from metering.models.plan import Plan, Subscription
from metering.models.rate import MeterRate, RateKind, RateTier
from metering.models.usage_record import UsageRecord
from metering.models.webhook import WebhookDelivery, WebhookEndpoint

__all__ = [
    "Aggregation",
    "ApiSession",
    "BillingSettings",
    "Credit",
    "CreditNote",
    "Invoice",
    "InvoiceLine",
    "InvoiceStatus",
    "LineKind",
    "Meter",
    "MeterRate",
    "Plan",
    "RateKind",
    "RateTier",
    "Subscription",
    "UsageRecord",
    "WebhookDelivery",
    "WebhookEndpoint",
]
