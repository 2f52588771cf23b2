"""Orders on a run: each verb sits directly under it and answers 202 with the run."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework import serializers

from sagas.api import shapes
from sagas.api.problems import ProblemError, invalid
from sagas.api.runs import no_such_run, show_run
from sagas.api.sagas import faults_of
from sagas.api.schema import describe, in_header
from sagas.api.views import ApiView, Choice, StrictSerializer, Text, read_body, read_if_match
from sagas.core.vocabulary import OutcomeKind, Phase, Role, Verb
from sagas.engine import errors, orders

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from rest_framework.request import Request
    from rest_framework.response import Response

REASON_LENGTH_MAX = 1_000  # a few sentences; it is shown beside the order
STEP_LENGTH_MAX = 80  # a name and an item number
IF_MATCH = in_header("If-Match", "the run's revision as you read it; another one now is a 412")
REFUSALS = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED)


class CancelBody(StrictSerializer):
    """Why."""

    reason = Text(max_length=REASON_LENGTH_MAX, required=False, allow_blank=True)


class RetryBody(StrictSerializer):
    """Which step, with what, why."""

    step = Text(max_length=STEP_LENGTH_MAX, required=False, help_text="all that wait for it, when not said")
    reason = Text(max_length=REASON_LENGTH_MAX, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        """Add `with`, which Python keeps for itself."""
        edited = serializers.DictField(required=False, help_text="edited input; needs `step`")
        return {**super().get_fields(), "with": edited}


class StopBody(StrictSerializer):
    """Why; it is written down."""

    reason = Text(max_length=REASON_LENGTH_MAX)


class SkipBody(StopBody):
    """Which step, and what it gives to those after it instead."""

    step = Text(max_length=STEP_LENGTH_MAX)
    output = serializers.JSONField(required=False, allow_null=True, help_text="what expressions see as its output")


class SettleBody(SkipBody):
    """What truly happened, and where that can be seen."""

    phase = Choice(["action", "compensation"])
    outcome = Choice(["succeeded", "rejected"], help_text="rejected: it did not happen")
    reference = Text(
        max_length=orders.REFERENCE_LENGTH_MAX, required=False, help_text="evidence; needed for a compensation"
    )


class GiveUpBody(StopBody):
    """Which failed compensation; all of them when not said."""

    step = Text(max_length=STEP_LENGTH_MAX, required=False)


def describe_order(name: str, summary: str, body: type[StrictSerializer]) -> Callable[[Any], Any]:
    """Say what one verb takes; all of them answer with the run."""
    return describe(
        name=name,
        summary=summary,
        body={"application/json": body},
        answers={202: shapes.RunWhole},
        parameters=(IF_MATCH,),
        refusals=REFUSALS,
    )


class RunOrder(ApiView):
    """One verb."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    def give(self, request: Request, run_id: UUID, verb: Verb, body: dict[str, Any]) -> Response:
        """Hand what a body asks to the engine and show the run; problems as `order` has them."""
        return self.order(request, run_id, verb, _ask(body))

    def order(self, request: Request, run_id: UUID, verb: Verb, ask: orders.Ask) -> Response:
        """Hand the order to the engine and show the run.

        Raises:
            ProblemError: 404, 409 naming the state and what is allowed, 412, 422.
        """
        try:
            orders.give_order(run_id, verb, by=self.caller().by, ask=ask, revision=read_if_match(request.headers))
        except errors.EngineError as error:
            raise problem_of(error, run_id) from None
        return show_run(request, run_id, HTTPStatus.ACCEPTED)


def problem_of(error: errors.EngineError, run_id: UUID) -> ProblemError:
    """Return the answer to an order that the engine refuses."""
    match error:
        case errors.RunUnknownError():
            return no_such_run(run_id)
        case errors.OrderRefusedError():
            state, allowed = str(error.status), list(error.allowed)
            return ProblemError(HTTPStatus.CONFLICT, "order-refused", error.why, state=state, allowed=allowed)
        case errors.InputInvalidError():
            return invalid(faults_of(error.problems, error.within))
        case errors.RevisionStaleError():
            return ProblemError(HTTPStatus.PRECONDITION_FAILED, "stale", str(error), revision=error.current)
        case errors.SagaArchivedError():
            return ProblemError(HTTPStatus.CONFLICT, "saga-archived", str(error))
        case errors.SagaUnreadableError():
            return ProblemError(HTTPStatus.CONFLICT, "saga-unreadable", str(error))
    raise error


def _ask(body: dict[str, Any]) -> orders.Ask:
    said: dict[str, Any] = {name: body[name] for name in ("reason", "step", "output", "reference") if name in body}
    if "with" in body:
        said |= {"arguments": body["with"], "has_arguments": True}
    if "phase" in body:
        said["phase"] = Phase(body["phase"])
    if "outcome" in body:
        said["outcome"] = OutcomeKind(body["outcome"])
    return orders.Ask(**said)


class RunCancel(RunOrder):
    """Turn a run round."""

    @describe_order("runs_cancel", "Cancel: undo what was done", CancelBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """Nothing new starts, attempts in flight end, then compensations run. Refused after the pivot."""
        return self.give(request, run_id, Verb.CANCEL, read_body(request, CancelBody))


class RunRetry(RunOrder):
    """Try again."""

    @describe_order("runs_retry", "Retry what failed or waits, now", RetryBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """One step, or all that wait for a retry or a person; with edited input when `with` is there."""
        return self.give(request, run_id, Verb.RETRY, read_body(request, RetryBody))


class RunSkip(RunOrder):
    """Go on without a step."""

    @describe_order("runs_skip", "Skip a step", SkipBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """A forward step that is pending, retrying or failed, while the run is paused or needs a person."""
        return self.give(request, run_id, Verb.SKIP, read_body(request, SkipBody))


class RunSettle(RunOrder):
    """Say what became of a step."""

    @describe_order("runs_settle", "Settle by hand what nobody knows, or what failed", SettleBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """An action in doubt happened or did not; a failed compensation was done by hand."""
        return self.give(request, run_id, Verb.SETTLE, read_body(request, SettleBody))


class RunGiveUp(RunOrder):
    """Let stay behind what could not be undone."""

    @describe_order("runs_give_up", "Give up failed compensations", GiveUpBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """What was given up stays behind; the run ends partially compensated."""
        return self.give(request, run_id, Verb.GIVE_UP, read_body(request, GiveUpBody))


class RunPause(RunOrder):
    """Send nothing more for now."""

    @describe_order("runs_pause", "Pause: send nothing new, in either direction", CancelBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """What is in flight ends and is written down. Time-outs and the deadline go on."""
        return self.give(request, run_id, Verb.PAUSE, read_body(request, CancelBody))


class RunResume(RunOrder):
    """Go on."""

    @describe_order("runs_resume", "Resume a paused run", CancelBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """From where it was paused."""
        return self.give(request, run_id, Verb.RESUME, read_body(request, CancelBody))


class RunTerminate(RunOrder):
    """Stop with no undo."""

    @describe_order("runs_terminate", "Terminate: stop at once and undo nothing", StopBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """What is in flight is written off as unknown; what was done stays, and is listed."""
        return self.give(request, run_id, Verb.TERMINATE, read_body(request, StopBody))
