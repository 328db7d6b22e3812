"""Meters: the billable quantities of an organization, and how the records of one become one number."""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from events.models import Organization


class Aggregation(models.TextChoices):
    """How the records of a period become its quantity. MAX and LATEST go by the record's own time."""

    SUM = "SUM", "Sum of the quantities"
    COUNT = "COUNT", "Number of records"
    MAX = "MAX", "Largest quantity"
    LATEST = "LATEST", "Latest quantity"
    UNIQUE_COUNT = "UNIQUE_COUNT", "Number of different values of a metadata key"


class Meter(models.Model):
    """A named billable quantity. Programs name it by its token, which says nothing about it."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="meters")
    name = models.CharField(max_length=100)
    token = models.UUIDField(default=uuid4, unique=True, editable=False)
    unit = models.CharField(max_length=50, blank=True, default="", help_text="What is counted, for example: documents.")
    aggregation = models.CharField(max_length=12, choices=Aggregation, default=Aggregation.SUM)
    unique_key = models.CharField(
        max_length=255,
        blank=True,
        default="",
        help_text="Only for the number of different values: the metadata key that holds the value, for example: seat.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "meter"
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=Q(archived_at=None),
                name="meter_name",
                violation_error_message="There is a meter of this name.",
            ),
            models.CheckConstraint(
                condition=(Q(aggregation="UNIQUE_COUNT") & ~Q(unique_key=""))
                | (~Q(aggregation="UNIQUE_COUNT") & Q(unique_key="")),
                name="meter_unique_key",
                violation_error_message="A metadata key belongs to meters that count different values, only to them.",
            ),
        )

    def __str__(self) -> str:
        return self.name
