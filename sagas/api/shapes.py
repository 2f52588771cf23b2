"""What goes out: the JSON of sagas, versions, runs and journal lines. The schema is made from these."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from sagas.core.vocabulary import (
    NO_ITEM,
    CompensationStatus,
    Direction,
    OutcomeKind,
    Phase,
    RunStatus,
    StepStatus,
    Verb,
    WaitingFor,
)

if TYPE_CHECKING:
    from enum import StrEnum


class Moment(serializers.DateTimeField):
    """A time: RFC 3339, UTC, always with microseconds, so that texts sort as times do."""

    def to_representation(self, value: datetime) -> str:
        """Return `2026-01-31T12:00:00.000000Z`."""
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Anything(serializers.JSONField):
    """Any JSON value, null among them (not `allow_null`, which the schema would tell as two alternatives)."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """Let null pass as a value."""
        return (True, None) if data is None else super().validate_empty_values(data)


def word(kind: type[StrEnum], **options: Any) -> serializers.ChoiceField:
    """Return a field with one of a closed vocabulary's words."""
    return serializers.ChoiceField([(member.value, member.name) for member in kind], **options)


def address(name: str, source: str, kwarg: str) -> serializers.HyperlinkedIdentityField:
    """Return a field with the absolute address of an API resource."""
    return serializers.HyperlinkedIdentityField(view_name=name, lookup_field=source, lookup_url_kwarg=kwarg)


class SagaSummary(serializers.Serializer[Any]):
    """One saga in a list."""

    name = serializers.CharField()
    title = serializers.CharField()
    style = serializers.CharField()
    version = serializers.IntegerField(
        source="latest.number", allow_null=True, default=None, help_text="latest published version"
    )
    is_demo = serializers.BooleanField()
    archived_at = Moment(allow_null=True)
    created_at = Moment()
    url = address("sagas:api-saga", "name", "saga")


class VersionSummary(serializers.Serializer[Any]):
    """One version in a list."""

    number = serializers.IntegerField()
    content_hash = serializers.CharField(help_text="SHA-256 of the canonical document, hex")
    published_by = serializers.CharField()
    published_at = Moment()


class VersionWhole(VersionSummary):
    """One published version; never changes."""

    saga = serializers.CharField(source="saga.name")
    document = Anything(help_text="canonical form")
    source = serializers.CharField(help_text="as written, with comments")


class DocumentProblem(serializers.Serializer[Any]):
    """What is wrong in a document (an error), or allowed and probably not meant (a warning)."""

    detail = serializers.CharField(source="message")
    pointer = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    column = serializers.IntegerField(allow_null=True)
    code = serializers.CharField()


class SagaWhole(SagaSummary):
    """One saga with its latest version."""

    latest = VersionWhole(allow_null=True)
    runs_by_status = serializers.DictField(
        child=serializers.IntegerField(), help_text="each of the eight statuses; counting stops at 10,000 runs"
    )


class SagaPublished(SagaSummary):
    """What a publication came to."""

    latest = VersionWhole()
    is_new = serializers.BooleanField(help_text="false: the latest version had this content already")
    warnings = DocumentProblem(many=True)


class Validation(serializers.Serializer[Any]):
    """What a document would come to. Nothing is stored."""

    is_valid = serializers.BooleanField()
    errors = DocumentProblem(many=True)
    warnings = DocumentProblem(many=True)
    document = Anything(help_text="canonical form; null when not valid")


class RunSummary(serializers.Serializer[Any]):
    """One run in a list: no payloads."""

    id = serializers.UUIDField()
    saga = serializers.CharField(source="saga.name")
    version = serializers.IntegerField(source="version.number")
    status = word(RunStatus)
    direction = word(Direction)
    waiting_for = word(WaitingFor, allow_blank=True)
    is_turning = serializers.BooleanField(help_text="asked to turn round; attempts in flight are drained")
    is_past_pivot = serializers.BooleanField()
    is_paused = serializers.BooleanField()
    is_overdue = serializers.BooleanField()
    is_hanging = serializers.BooleanField(
        help_text="an action happened, by an answer that came too late, and nothing undoes it"
    )
    is_outcome_unknown = serializers.BooleanField()
    key = serializers.CharField(help_text="business key; empty without one")
    labels = serializers.DictField(child=serializers.CharField())
    amount = serializers.IntegerField(allow_null=True)
    revision = serializers.IntegerField(help_text="for `If-Match`; grows with each status change and order")
    sequence = serializers.IntegerField(help_text="entries in the journal")
    current_step = serializers.CharField()
    steps_done = serializers.IntegerField()
    steps_total = serializers.IntegerField()
    undo_done = serializers.IntegerField()
    undo_total = serializers.IntegerField()
    created_by = serializers.CharField()
    parent = serializers.UUIDField(source="parent_id", allow_null=True, help_text="the run it is a sub-saga of")
    parent_step = serializers.CharField(help_text="the step of that run; empty without one")
    rerun_of = serializers.UUIDField(source="rerun_of_id", allow_null=True, help_text="the run that it runs again")
    created_at = Moment()
    started_at = Moment(allow_null=True)
    updated_at = Moment()
    finished_at = Moment(allow_null=True)
    deadline_at = Moment(allow_null=True)
    url = address("sagas:api-run", "id", "run_id")
    page = serializers.SerializerMethodField(help_text="where a person looks at it")

    def get_page(self, run: Any) -> str:
        """Return the dashboard's address of the run."""
        path = reverse("sagas:run-detail", args=[run.id])
        return str(self.context["request"].build_absolute_uri(path))


class AttemptShape(serializers.Serializer[Any]):
    """One try of one half of a step, from the journal."""

    phase = word(Phase)
    number = serializers.IntegerField(help_text="from 1, over all editions of this half")
    edition = serializers.IntegerField(help_text="grows when an operator's retry gives a fresh key")
    outcome = word(OutcomeKind, allow_null=True, help_text="null: in flight")
    started_at = Moment()
    ended_at = Moment(allow_null=True)
    timeout_s = serializers.FloatField()
    input = Anything()
    output = Anything()
    code = serializers.CharField(help_text="why it did not succeed, for programs")
    message = serializers.CharField(help_text="why it did not succeed, for people")
    details = Anything()
    is_counted = serializers.BooleanField(help_text="whether it used up one of the policy's attempts")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Say null for an attempt in flight."""
        found = super().to_representation(instance)
        return found | {"outcome": found["outcome"] or None}


class WaitShape(serializers.Serializer[Any]):
    """What a step waits for."""

    since = Moment(allow_null=True)
    until = Moment(allow_null=True, help_text="when the time is up; null: it waits as long as the run may last")
    signal = serializers.CharField(help_text="name of the signal that ends it; empty for others")
    group = serializers.CharField(help_text="who may answer: a role, or a group; empty for others")
    prompt = serializers.CharField(help_text="what a person is asked; empty for others")

    def get_fields(self) -> dict[str, Any]:
        """Add `for`, which Python keeps for itself."""
        return {"for": word(WaitingFor, source="kind"), **super().get_fields()}


class SignalShape(serializers.Serializer[Any]):
    """A signal that came and that no step has taken yet."""

    name = serializers.CharField()
    payload = Anything()
    by = serializers.CharField()


class StepShape(serializers.Serializer[Any]):
    """One step of a run, both halves; behind a list come items of it (`pack[3]`), first those that need a person."""

    step = serializers.CharField(source="key", help_text="what `retry` takes as `step`")
    title = serializers.CharField(source="plan.title")
    status = word(StepStatus)
    compensation_status = word(CompensationStatus)
    is_pivot = serializers.BooleanField(source="plan.is_pivot")
    items_total = serializers.SerializerMethodField(help_text="of a list, once it is known; null elsewhere")
    items_done = serializers.SerializerMethodField(help_text="items that succeeded or were skipped")
    items_left_out = serializers.IntegerField(
        source="items_hidden", help_text="items that are not among the steps here: at most 50 of a list are"
    )
    output = Anything(help_text="of a list those of its items; null when some of them are left out here")
    error = Anything(help_text="{code, message, details} of the last failure")
    attempts_made = serializers.IntegerField(source="attempts")
    compensation_attempts_made = serializers.IntegerField(source="compensation_attempts")
    waits_for = WaitShape(source="wait", allow_null=True, help_text="null: it does not wait")
    next_attempt_at = Moment(allow_null=True)
    started_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    attempts = serializers.SerializerMethodField(
        help_text="of both halves and the probe, from the newest 1,000 journal entries"
    )

    def get_items_total(self, step: Any) -> int | None:
        """Return how many items a list has."""
        return None if step.tally is None else int(step.tally.total)

    def get_items_done(self, step: Any) -> int | None:
        """Return how many of them are done."""
        return None if step.tally is None else int(step.tally.done)

    @extend_schema_field(AttemptShape(many=True))
    def get_attempts(self, step: Any) -> list[dict[str, Any]]:
        """Return the tries of both halves and of the probe, in the order they began."""
        tries = sorted((*step.actions, *step.probes, *step.compensations), key=lambda one: one.started_at)
        return list(AttemptShape(tries, many=True).data)


class OrderShape(serializers.Serializer[Any]):
    """An order that was accepted and has not been looked at."""

    verb = word(Verb)
    by = serializers.CharField()
    at = Moment()


class WhyShape(serializers.Serializer[Any]):
    """The sentence a person reads on the run's page."""

    code = serializers.CharField()
    text = serializers.CharField()


class AttentionShape(serializers.Serializer[Any]):
    """What a person must clear."""

    step = serializers.CharField()
    item = serializers.SerializerMethodField(help_text="number under `for_each`; null elsewhere")
    phase = word(Phase)
    code = serializers.CharField()

    def get_item(self, one: dict[str, Any]) -> int | None:
        """Return the item's number."""
        return None if one["item"] == NO_ITEM else int(one["item"])


class RelativeShape(serializers.Serializer[Any]):
    """A run that this one started as a sub-saga, or that ran it again."""

    id = serializers.UUIDField()
    saga = serializers.CharField(source="saga.name")
    status = word(RunStatus)
    step = serializers.CharField(source="parent_step", help_text="of this run; empty for a rerun")
    url = address("sagas:api-run", "id", "run_id")


class RunWhole(RunSummary):
    """One run with everything."""

    reason = Anything(help_text="why it turned or stopped")
    attention = AttentionShape(many=True)
    input = Anything()
    output = Anything()
    why = WhyShape()
    signals = SignalShape(many=True, help_text="kept until a step takes them, oldest first")
    allowed = serializers.ListField(child=word(Verb), help_text="orders that the state allows now")
    orders_waiting = OrderShape(many=True)
    steps = StepShape(many=True, source="steps_shown")
    children = RelativeShape(many=True, source="children_shown", help_text="sub-sagas, newest first, at most 200")
    reruns = RelativeShape(many=True, source="reruns_shown", help_text="newest first")


class PlannedUndoShape(serializers.Serializer[Any]):
    """One compensation that a cancel would run."""

    step = serializers.CharField(source="key")
    action = serializers.CharField()
    input = Anything(help_text="as it would be sent; null when it needs what is not known yet")
    error = serializers.CharField(help_text="why its input has no value; empty otherwise")
    is_certain = serializers.BooleanField(help_text="false: only if the attempt in flight happened, or may have")


class CancelPlanShape(serializers.Serializer[Any]):
    """What a cancel would do now."""

    refusal = serializers.CharField(help_text="why a cancel would be refused; empty when it would not")
    in_flight = serializers.ListField(child=serializers.CharField(), help_text="steps that are waited for first")
    undo = PlannedUndoShape(many=True, help_text="in the order of starting")
    stays = serializers.ListField(child=serializers.CharField(), help_text="done, or perhaps, with no compensation")


class EntryShape(serializers.Serializer[Any]):
    """One line of the journal (format 1)."""

    sequence = serializers.IntegerField(help_text="from 1, without gaps")
    kind = serializers.CharField()
    data = Anything()
    at = Moment()


class _Page(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class SagaPage(_Page):
    """One page of sagas, by name."""

    results = SagaSummary(many=True)


class VersionPage(_Page):
    """One page of versions, newest first."""

    results = VersionSummary(many=True)


class RunPage(_Page):
    """One page of runs, newest first."""

    results = RunSummary(many=True)


class JournalPage(_Page):
    """One page of a journal, oldest first."""

    results = EntryShape(many=True)
