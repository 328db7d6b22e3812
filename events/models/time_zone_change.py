"""Time zones: an organization's move to another one, and how far its usage has followed."""

from django.conf import settings
from django.db import models

from events.models.organization import Organization


class TimeZoneChange(models.Model):
    """From `created_at` on, the organization's days start in `new_zone`; at `finished_at` all its usage does so too.

    `done` of `total` events are counted anew. A rebuild that is cut off starts from the beginning: nothing of it shows
    before all of it is committed.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="time_zone_changes")
    old_zone = models.CharField(max_length=64)
    new_zone = models.CharField(max_length=64)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    total = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)

    class Meta:
        db_table = "time_zone_change"
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=["organization", "-id"],
                condition=models.Q(finished_at=None),
                name="time_zone_change_unfinished",
            ),
        )

    def __str__(self) -> str:
        return f"{self.old_zone} → {self.new_zone}"
