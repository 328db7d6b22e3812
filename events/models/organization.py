"""Organizations (the tenants), the people who sign in, and who may do what."""

from __future__ import annotations

from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Now


def validate_time_zone(value: str) -> None:
    """Refuse a name that the time zone database does not know."""
    if value not in available_timezones():
        raise ValidationError("%(value)s is not a time zone; use a name like Europe/Berlin.", params={"value": value})


class Organization(models.Model):
    """The tenant: owns keys, events, tracked users and prices of its own."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="Days and months of every page start in this zone, for example Europe/Berlin.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "organization"
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which this organization's days start."""
        return ZoneInfo(self.time_zone)


class UserManager(BaseUserManager["User"]):
    """People are known by their e-mail address, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in. Not a tracked user, who is an account of an organization's own product."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("can open the admin", default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "person"
        ordering = ("email",)
        constraints = (
            models.UniqueConstraint(
                Lower("email"),
                name="person_email_any_case",
                violation_error_message="This e-mail address has an account.",
            ),
        )

    def __str__(self) -> str:
        return self.email


class Role(models.TextChoices):
    """What a member may do; each includes the ones below it."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    MEMBER = "member", "Member"
    VIEWER = "viewer", "Viewer"


class Membership(models.Model):
    """One person's role in one organization."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "membership"
        ordering = ("organization", "user")
        constraints = (models.UniqueConstraint(fields=["organization", "user"], name="membership_once"),)

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"
