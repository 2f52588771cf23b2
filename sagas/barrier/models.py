"""What a barrier remembers. No behaviour: that is `sagas.participants.barrier`."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

KEY_LENGTH_MAX = 255  # ours are 130 at most; other senders' `Idempotency-Key` may be longer


class Mark(models.Model):
    """What is known of one action key: that the action happened, that it was compensated, or both.

    One row for both halves, so that whoever holds it decides alone. A mark that was
    compensated though its action never happened is what a late action is refused by.
    An output is JSON as text: it comes back as it was given, from every database.
    """

    key = models.CharField(max_length=KEY_LENGTH_MAX, primary_key=True)
    action_at = models.DateTimeField(null=True)
    action_output = models.TextField(default="")
    compensated_at = models.DateTimeField(null=True)
    compensation_key = models.CharField(max_length=KEY_LENGTH_MAX, default="")
    compensation_output = models.TextField(default="")
    changed_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="mark_action_output_iff_it_happened",
                condition=Q(action_at__isnull=True, action_output="")
                | (Q(action_at__isnull=False) & ~Q(action_output="")),
            ),
            models.CheckConstraint(
                name="mark_compensation_iff_compensated",
                condition=Q(compensated_at__isnull=True, compensation_key="", compensation_output="")
                | (Q(compensated_at__isnull=False) & ~Q(compensation_key="") & ~Q(compensation_output="")),
            ),
        )

    def __str__(self) -> str:
        return self.key
