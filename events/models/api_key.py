"""API keys: what a program shows to send events. Only a digest is stored; see `events/keys.py` for their form."""

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from events.models.organization import Organization


class Environment(models.IntegerChoices):
    """Where a key's events are recorded; dashboards show `test` only when asked to."""

    LIVE = 0, "live"
    TEST = 1, "test"


class Scope(models.TextChoices):
    """What a key may do."""

    EVENTS_WRITE = "events:write", "Send LLM events"
    USAGE_WRITE = "usage:write", "Send metered usage"
    READ = "read", "Read events and costs"


def default_scopes() -> list[str]:
    return [Scope.EVENTS_WRITE.value]


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def in_force(self, now: datetime) -> "ApiKeyQuerySet":
        """Keys that are accepted at `now`: not revoked, not expired."""
        return self.filter(revoked_at=None).filter(models.Q(expires_at=None) | models.Q(expires_at__gt=now))


class ApiKey(models.Model):
    """A key as the database knows it: a digest, what it looks like, what it may do and until when."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="Where the key is used, for example: chat backend, production.")
    environment = models.SmallIntegerField(choices=Environment, default=Environment.LIVE)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope), default=default_scopes)
    prefix = models.CharField("begins with", max_length=15, editable=False)
    last4 = models.CharField("ends with", max_length=4, editable=False)
    sha256 = models.BinaryField(max_length=32, unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: the key does not expire.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    replaced_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        db_table = "api_key"
        verbose_name = "API key"
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last4})"
