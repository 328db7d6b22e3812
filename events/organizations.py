"""What members change about their organization, each change noted in the admin's log."""

from datetime import datetime

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction

from events import jobs, time_zones
from events.models import Organization, TimeZoneChange, User


def rename(organization: Organization, name: str, *, by: User) -> bool:
    """Give the organization another name; False when it is called so already."""
    if organization.name == name:
        return False
    with transaction.atomic():
        old, organization.name = organization.name, name
        organization.save(update_fields=["name"])
        _log(organization, by, f"Name: {old} → {name}.")
    return True


def move_to_time_zone(organization: Organization, zone: str, *, by: User, now: datetime) -> TimeZoneChange | None:
    """Let days and hours start in `zone`, and queue the rebuild of the usage; None when they do so already.

    Raises time_zones.UnknownZone.
    """
    with transaction.atomic():
        old = organization.time_zone
        if old == zone:
            return None
        _log(organization, by, f"Time zone: {old} → {zone}.")
        jobs.defer_time_zone_rebuild()
        change = time_zones.change(organization, zone, asked_by=by, now=now)
        if change is None:
            # Somebody else did so a moment ago: what was noted and queued is theirs.
            transaction.set_rollback(True)
        return change


def _log(organization: Organization, by: User, words: str) -> None:
    LogEntry.objects.log_actions(by.pk, [organization], CHANGE, words, single_object=True)
