"""The billing months of an organization, as its settings and its zone have them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from events.models import Organization
from metering.models import BillingSettings
from metering.periods import Period, period_at
from metering.rate_book import Month


def settings_of(organization_id: int) -> BillingSettings:
    """The organization's billing settings; where it has none yet, the defaults, unsaved."""
    found = BillingSettings.objects.filter(organization_id=organization_id).first()
    return found or BillingSettings(organization_id=organization_id)


def locked_settings(organization_id: int) -> BillingSettings:
    """The same for whoever takes a number: made where there are none, and locked until the transaction's end."""
    BillingSettings.objects.get_or_create(organization_id=organization_id)
    return BillingSettings.objects.select_for_update().get(organization_id=organization_id)


def period_of(organization: Organization, moment: datetime) -> Period:
    """The billing month that holds the moment."""
    return period_at(moment, organization.zone, anchor_day_of(organization.pk))


def anchor_day_of(organization_id: int) -> int:
    """The day of the month on which the organization's billing months start, 1 to 28."""
    rows = BillingSettings.objects.filter(organization_id=organization_id)
    return rows.values_list("anchor_day", flat=True).first() or 1


def month_of(start: datetime, end: datetime, zone: ZoneInfo) -> Month:
    """The days of a period, which rates go by."""
    return Month(start.astimezone(zone).date(), end.astimezone(zone).date())
