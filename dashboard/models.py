"""What the pages keep for themselves: files that people asked for."""

from datetime import datetime

from django.db import models

from events.models import Organization, User


class ExportFormat(models.TextChoices):
    """What kind of file; the value is also how its name ends."""

    CSV = "csv", "CSV"
    PARQUET = "parquet", "Parquet"


class ExportState(models.TextChoices):
    """How far an export is. Every change of it names the state it comes from, so that two cannot cross."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Being written"
    READY = "ready", "Ready"
    STOPPED = "stopped", "Stopped"
    FAILED = "failed", "Failed"


UNFINISHED = (ExportState.WAITING, ExportState.RUNNING)


class Export(models.Model):
    """A file of requests that a member asked for: which ones, who asked, and how far it is.

    `query` is the filters' query string as of `created_at`; `start_at` (included) and `end_at` (excluded) are what its
    period meant then, and only what was received up to `created_at` is in the file. Written by dashboard/exporting.py.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="exports")
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    format = models.CharField(max_length=10, choices=ExportFormat)
    query = models.TextField(blank=True)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ExportState, default=ExportState.WAITING)
    problem = models.CharField(max_length=500, blank=True, default="")
    attempts = models.SmallIntegerField(default=0)
    rows_done = models.BigIntegerField(default=0)
    rows_total = models.BigIntegerField(null=True)
    size_bytes = models.BigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "export"
        ordering = ("-id",)
        indexes = (models.Index(fields=["organization", "-id"], name="export_of_organization"),)

    def __str__(self) -> str:
        return f"{self.get_format_display()} of {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_unfinished(self) -> bool:
        """Whether it is still to be written."""
        return self.state in UNFINISHED

    def is_available(self, now: datetime) -> bool:
        """Whether its file can be downloaded at `now`."""
        return self.state == ExportState.READY and now < self.expires_at


class ViewedPage(models.TextChoices):
    """The pages whose address can be kept; the value is also the name of its URL."""

    OVERVIEW = "overview", "Overview"
    REQUESTS = "requests", "Requests"
    SESSIONS = "sessions", "Sessions"
    COSTS = "costs", "Costs"
    USER = "user", "Costs of a user"
    FEATURE = "feature", "Costs of a feature"
    USAGE = "usage", "Usage"
    CUSTOMERS = "customers", "Customers"


class SavedView(models.Model):
    """A page with its filters under a name: its owner's, or shared with the organization."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="saved_views")
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=20, choices=ViewedPage)
    name = models.CharField(max_length=80)
    query = models.TextField(blank=True)
    """The query string without its question mark; '' for the page as it opens."""
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "saved_view"
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["organization", "owner", "page", "name"], name="saved_view_of_one_owner_has_one_name"
            ),
        )

    def __str__(self) -> str:
        return self.name
