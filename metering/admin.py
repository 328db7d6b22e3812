"""The admin of billing: what it registers. Who sees what is decided in `events/admin_access.py`."""

from django.contrib import admin

from metering.admin_invoices import InvoiceAdmin, UsageRecordAdmin
from metering.admin_meters import MeterAdmin, MeterRateAdmin
from metering.admin_plans import BillingSettingsAdmin, CreditAdmin, PlanAdmin, SubscriptionAdmin
from metering.admin_webhooks import WebhookDeliveryAdmin, WebhookEndpointAdmin
from metering.models import (
    BillingSettings,
    Credit,
    Invoice,
    Meter,
    MeterRate,
    Plan,
    Subscription,
    UsageRecord,
    WebhookDelivery,
    WebhookEndpoint,
)

admin.site.register(Meter, MeterAdmin)
admin.site.register(MeterRate, MeterRateAdmin)
admin.site.register(Plan, PlanAdmin)
admin.site.register(Subscription, SubscriptionAdmin)
admin.site.register(Credit, CreditAdmin)
admin.site.register(BillingSettings, BillingSettingsAdmin)
admin.site.register(Invoice, InvoiceAdmin)
admin.site.register(UsageRecord, UsageRecordAdmin)
admin.site.register(WebhookEndpoint, WebhookEndpointAdmin)
admin.site.register(WebhookDelivery, WebhookDeliveryAdmin)
