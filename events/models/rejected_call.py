"""Calls that were refused. The callers ignore answers, so people must be able to see why nothing arrives."""

from django.db import models
from django.db.models.functions import Now

from events.models.organization import Organization


class RejectedCall(models.Model):
    """One refused call or one refused event of a batch; kept in bounded number, with secrets removed."""

    organization = models.ForeignKey(
        Organization, null=True, on_delete=models.CASCADE, related_name="rejected_calls", editable=False
    )
    at = models.DateTimeField(db_default=Now())
    endpoint = models.CharField(max_length=50)
    http_status = models.SmallIntegerField()
    error_type = models.CharField(max_length=40)
    message = models.CharField(max_length=1000)
    key_prefix = models.CharField(max_length=15, blank=True, default="")
    excerpt = models.TextField(blank=True, default="")

    class Meta:
        db_table = "rejected_call"
        ordering = ("-id",)
        indexes = (models.Index(fields=["organization", "-id"], name="rejected_call_newest"),)

    def __str__(self) -> str:
        return f"{self.http_status} {self.message}"
