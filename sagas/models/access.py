"""Who may come in: API tokens, one-time sign-in links, idempotency keys. Secrets are stored hashed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from sagas.core.vocabulary import Role
from sagas.models.identity import uuid7
from sagas.models.run import SagaRun, _choices


class ApiToken(models.Model):
    """A bearer token with one role. The token itself is shown once and never stored."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    role = models.CharField(max_length=10, choices=_choices(Role))
    token_hash = models.CharField(max_length=64, unique=True)  # SHA-256 of the token, hex
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(name="token_role_is_known", condition=Q(role__in=[role.value for role in Role])),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.role})"


class SignInLink(models.Model):
    """A link that signs one person in, once. `up` prints one."""

    token_hash = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"


class IdempotencyKey(models.Model):
    """An `Idempotency-Key` header seen on a start: the same key and body give the same run for 7 days."""

    owner = models.CharField(max_length=80)  # namespace: `token:<id>` or `user:<id>`
    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64)
    run = models.ForeignKey(SagaRun, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(name="idempotency_key_once_per_owner", fields=["owner", "key"]),)

    def __str__(self) -> str:
        return self.key
