"""Sign-ins of the REST API."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class ApiSession(models.Model):
    """One sign-in: the refresh token that is good for it, as a digest, and when it ended. Signing out ends it at once,
    also for access tokens that have not expired."""

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_sessions")
    refresh_sha256 = models.BinaryField(max_length=32)
    password_hash = models.CharField(max_length=64)  # `get_session_auth_hash`: another password ends the sign-in
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "api_session"

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at}"
