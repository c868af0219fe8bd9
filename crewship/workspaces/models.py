"""Users, workspaces (the tenants), memberships with roles, and API tokens."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower

from crewship.domain.ids import (
    new_audit_event_id,
    new_invitation_id,
    new_membership_id,
    new_token_id,
    new_workspace_id,
)
from crewship.domain.roles import Role

ROLE_CHOICES = [(role.value, role.value.title()) for role in Role]
SLUG_PATTERN = r"^[a-z0-9][a-z0-9_-]{1,49}\Z"
validate_slug = RegexValidator(
    SLUG_PATTERN,
    "A slug is 2 to 50 of a-z, 0-9, - and _, and begins with a letter or digit.",
)


class UserManager(BaseUserManager["User"]):
    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """A user with a normalised email; without a password nobody can sign in as it."""
        user = self.model(email=self.normalize_email(email).lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by the email. Superusers may open the admin, where they see
    all tenants; nobody else may."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique_ignoring_case")
        ]

    def __str__(self) -> str:
        return self.email


def new_cache_key() -> str:
    return secrets.token_hex(32)


class Workspace(models.Model):
    """A tenant. Limits that are null are the installation's (README, settings)."""

    id = models.CharField(primary_key=True, max_length=70, default=new_workspace_id, editable=False)
    slug = models.CharField(max_length=50, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=100)
    starts_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Accepted provision starts in any 60 s; more answer 429."
    )
    running_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Jobs that run at once; more wait as pending.",
    )
    cache_key = models.CharField(
        max_length=64,
        default=new_cache_key,
        editable=False,
        help_text="Mixed into every hash when CREWSHIP_CACHE_SCOPE=workspace.",
    )
    last_turn_at = models.DateTimeField(
        null=True, editable=False, help_text="When a worker last took one of its jobs."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """A user's place in a workspace."""

    id = models.CharField(
        primary_key=True, max_length=70, default=new_membership_id, editable=False
    )
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=ROLE_CHOICES, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "user"], name="membership_once_per_workspace"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]),
                name="membership_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.workspace} as {self.role}"


class ApiToken(models.Model):
    """A bearer token; only its SHA-256 is stored (the secret has 256 random bits, so a slow
    password hash would add nothing)."""

    id = models.CharField(primary_key=True, max_length=70, default=new_token_id, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    workspace = models.ForeignKey(
        Workspace, models.CASCADE, null=True, blank=True, related_name="tokens"
    )
    role = models.CharField(
        max_length=10,
        choices=ROLE_CHOICES,
        blank=True,
        help_text="The most this token may do; empty: whatever its user may.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class Invitation(models.Model):
    """A link that takes the person of an email into a workspace, once; only the SHA-256 of its
    secret is stored, as of a token's."""

    id = models.CharField(
        primary_key=True, max_length=70, default=new_invitation_id, editable=False
    )
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=ROLE_CHOICES, default=Role.MEMBER)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]),
                name="invitation_role_is_known",
            ),
            models.UniqueConstraint(
                fields=["workspace", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_one_open_per_email",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.workspace_id} as {self.role}"


class AuditEvent(models.Model):
    """Something that somebody did; written by ``audit.note`` alone, never changed, and kept for
    ``CREWSHIP_AUDIT_KEEP_DAYS``.

    Keys are null once what they name is deleted; the labels stay.
    """

    id = models.CharField(
        primary_key=True, max_length=70, default=new_audit_event_id, editable=False
    )
    workspace = models.ForeignKey(Workspace, models.SET_NULL, null=True, related_name="+")
    workspace_label = models.CharField(max_length=50, blank=True)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    actor_label = models.CharField(max_length=254, blank=True)
    token_name = models.CharField(max_length=100, blank=True)
    via = models.CharField(max_length=10)
    action = models.CharField(max_length=40)
    target_type = models.CharField(max_length=20, blank=True)
    target_id = models.CharField(max_length=70, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    data = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)
    request_id = models.CharField(max_length=70, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="audit_of_workspace"),
            models.Index(fields=["workspace", "target_id"], name="audit_by_target"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_label}"
