"""Runs and their step runs: the stored state, and the to-do list of the engine."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models import F, Q

from sagas.core.vocabulary import (
    FINAL,
    NO_ITEM,
    CompensationStatus,
    Direction,
    RunStatus,
    StepStatus,
    WaitingFor,
)
from sagas.models.definition import Saga, SagaVersion
from sagas.models.identity import uuid7
from sagas.models.sealed_json import SealedJSONField

FINAL_VALUES = sorted(status.value for status in FINAL)


def _choices(*kinds: type[StrEnum]) -> list[tuple[str, str]]:
    return [(member.value, member.value.replace("_", " ")) for kind in kinds for member in kind]


class SagaRun(models.Model):
    """One execution of one version. Written only by `engine.commands` (start, orders) and `engine.journal`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    saga = models.ForeignKey(Saga, on_delete=models.PROTECT, related_name="runs", db_index=False)
    version = models.ForeignKey(SagaVersion, on_delete=models.PROTECT, related_name="runs")
    status = models.CharField(max_length=24, choices=_choices(RunStatus), default=RunStatus.PENDING.value)
    direction = models.CharField(max_length=8, choices=_choices(Direction), default=Direction.FORWARD.value)
    is_turning = models.BooleanField(default=False)  # asked to turn round, draining attempts in flight
    is_past_pivot = models.BooleanField(default=False)
    is_paused = models.BooleanField(default=False)
    is_overdue = models.BooleanField(default=False)
    is_hanging = models.BooleanField(default=False)  # a late report tells of something that nothing will undo
    is_outcome_unknown = models.BooleanField(default=False)
    waiting_for = models.CharField(max_length=10, choices=_choices(WaitingFor), blank=True, default="")
    attention = models.JSONField(default=list)  # [{step, item, phase, code}], what a person must clear
    signals = SealedJSONField(default=list)  # [{name, payload, by}], that no step has taken yet
    reason = SealedJSONField(null=True)  # why it turned or stopped
    watch = models.JSONField(null=True)  # of a choreographed run: what its events say so far (core/watch.py)

    key = models.CharField(max_length=200, blank=True, default="", db_index=True)  # business key, searchable
    start_key = models.CharField(max_length=210, null=True)
    labels = models.JSONField(default=dict)
    amount = models.BigIntegerField(null=True)  # in the unit the definition says
    input = SealedJSONField()
    input_hash = models.CharField(max_length=64)
    output = SealedJSONField(null=True)
    created_by = models.CharField(max_length=150)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")  # of a sub-saga
    parent_step = models.CharField(max_length=80, blank=True, default="")  # `ship`, or `ship[3]`
    depth = models.PositiveSmallIntegerField(default=0)  # how many runs it stands within
    rerun_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="reruns")

    sequence = models.PositiveIntegerField(default=0)  # entries in the journal
    revision = models.PositiveIntegerField(default=1)  # grows with each status change and each accepted order
    steps_total = models.PositiveIntegerField(default=0)
    steps_done = models.PositiveIntegerField(default=0)  # succeeded or skipped
    undo_total = models.PositiveIntegerField(default=0)
    undo_done = models.PositiveIntegerField(default=0)
    current_step = models.CharField(max_length=80, blank=True, default="")

    token = models.PositiveBigIntegerField(default=0)  # fencing token: +1 with each claim
    lease_until = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)  # when somebody should look
    inbox_last = models.PositiveIntegerField(default=0)  # number of the newest order
    inbox_done = models.PositiveIntegerField(default=0)  # number of the newest order consumed

    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="run_status_is_known", condition=Q(status__in=[status.value for status in RunStatus])
            ),
            models.CheckConstraint(
                name="run_direction_is_known", condition=Q(direction__in=[way.value for way in Direction])
            ),
            models.CheckConstraint(
                name="run_finished_at_iff_final",
                condition=Q(status__in=FINAL_VALUES, finished_at__isnull=False)
                | (~Q(status__in=FINAL_VALUES) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="run_final_has_no_lease",
                condition=~Q(status__in=FINAL_VALUES) | Q(lease_until__isnull=True),
            ),
            models.CheckConstraint(name="run_inbox_in_order", condition=Q(inbox_done__lte=F("inbox_last"))),
            models.UniqueConstraint(
                name="run_start_key_once_per_saga",
                fields=["saga", "start_key"],
                condition=Q(start_key__isnull=False),
            ),
        )
        indexes = (
            models.Index(name="run_due", fields=["due_at"], condition=Q(due_at__isnull=False)),
            models.Index(name="run_by_status", fields=["status", "-id"]),
            models.Index(name="run_by_saga", fields=["saga", "-id"]),
            models.Index(name="run_open", fields=["-id"], condition=~Q(status__in=FINAL_VALUES)),
            models.Index(name="run_waits", fields=["waiting_for", "-id"], condition=~Q(waiting_for="")),
        )

    def __str__(self) -> str:
        return f"{self.id}"


class StepRun(models.Model):
    """One step of one run (one row per item under `for_each`). A step that was never touched has no row."""

    run = models.ForeignKey(SagaRun, on_delete=models.CASCADE, related_name="steps", db_index=False)
    step = models.CharField(max_length=64)
    item = models.IntegerField(default=NO_ITEM)
    status = models.CharField(max_length=10, choices=_choices(StepStatus), default=StepStatus.PENDING.value)
    compensation_status = models.CharField(
        max_length=10, choices=_choices(CompensationStatus), default=CompensationStatus.NONE.value
    )
    waits_for = models.CharField(max_length=10, choices=_choices(WaitingFor), blank=True, default="")  # while it waits
    attempts = models.PositiveIntegerField(default=0)  # of the action, all editions
    compensation_attempts = models.PositiveIntegerField(default=0)
    output = SealedJSONField(null=True)
    error = SealedJSONField(null=True)  # {code, message, details} of the last attempt that did not succeed
    halves = SealedJSONField(default=dict)  # the engine's own state of both halves (core/codec.py)
    next_attempt_at = models.DateTimeField(null=True)  # while it waits: when that ends by itself
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(name="step_run_once", fields=["run", "step", "item"]),
            models.CheckConstraint(
                name="step_status_is_known", condition=Q(status__in=[status.value for status in StepStatus])
            ),
            models.CheckConstraint(
                name="step_compensation_is_known",
                condition=Q(compensation_status__in=[status.value for status in CompensationStatus]),
            ),
        )
        indexes = (models.Index(name="step_run_waits", fields=["waits_for", "started_at"], condition=~Q(waits_for="")),)

    def __str__(self) -> str:
        return f"{self.run_id}:{self.step}"
