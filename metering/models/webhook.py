"""Webhooks: where an organization wants to be told of its invoices, and what became of each message."""

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from events.models import Organization


class WebhookEndpoint(models.Model):
    """An address that is told of invoices, and the secret that signs what it is told."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.URLField(max_length=500)
    secret = models.CharField(max_length=60, editable=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "webhook_endpoint"
        ordering = ("id",)

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One message to one endpoint. `next_try_at` NULL: delivered, or given up after the last try."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    message_id = models.UUIDField(unique=True)
    event_type = models.CharField(max_length=40)
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    problem = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        db_table = "webhook_delivery"
        verbose_name_plural = "webhook deliveries"
        ordering = ("-id",)
        indexes = (
            models.Index(F("next_try_at"), condition=models.Q(next_try_at__isnull=False), name="webhook_delivery_due"),
        )

    def __str__(self) -> str:
        return f"{self.event_type} to {self.endpoint}"
