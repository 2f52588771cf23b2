"""The outbox: command messages that wait to be handed to a broker; and replies that nobody could take."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from sagas.models.identity import uuid7
from sagas.models.run import SagaRun
from sagas.models.sealed_json import SealedJSONField


class OutgoingCommand(models.Model):
    """A command that was written down with the attempt it belongs to, in one transaction.

    A courier hands it to the broker and then deletes it; after a crash between
    the two it is handed over again, with the same id and the same key.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(SagaRun, on_delete=models.CASCADE, related_name="+")
    service = models.CharField(max_length=64)  # its name: a command outlives a service that is taken away
    message = SealedJSONField()  # {name, headers, body, correlation}
    due_at = models.DateTimeField()  # when to hand it over next; while a courier has it, when it may be taken again
    expires_at = models.DateTimeField()  # when its attempt is over, and the command is not sent any more
    tries = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(name="command_due", fields=["service", "due_at"]),)

    def __str__(self) -> str:
        return f"{self.id} to {self.service}"


class DeadReply(models.Model):
    """A message in the queue of replies that says nothing about any attempt. Its content is not kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    broker = models.CharField(max_length=500)  # its address, without a password
    why = models.CharField(max_length=300)
    correlation = models.CharField(max_length=100, blank=True, default="")  # the beginning: the rest is a secret
    size_bytes = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (models.CheckConstraint(name="dead_reply_says_why", condition=~Q(why="")),)

    def __str__(self) -> str:
        return f"{self.why} ({self.at:%Y-%m-%d %H:%M})"
