"""What ends a wait from outside: a signal, a person's yes or no."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from sagas.api import shapes
from sagas.api.orders import REASON_LENGTH_MAX, RunOrder, describe_order, problem_of
from sagas.api.problems import ProblemError, not_found
from sagas.api.views import Flag, StrictSerializer, Text, read_body
from sagas.core import limits
from sagas.core.vocabulary import OutcomeKind, Role, Verb
from sagas.engine import errors, orders
from sagas.presentation.questions import refusal_words

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request
    from rest_framework.response import Response


class SignalBody(StrictSerializer):
    """Which signal, and what it brings."""

    name = Text(max_length=limits.NAME_LENGTH_MAX, help_text="one that a step of the saga waits for")
    payload = shapes.Anything(required=False, help_text="the output of the step that takes it; null when not said")


class ApprovalBody(StrictSerializer):
    """Yes or no, and what there is to say about it."""

    approve = Flag(help_text="true: yes; false: no")
    comment = Text(max_length=REASON_LENGTH_MAX, required=False, allow_blank=True)


class RunSignals(RunOrder):
    """Tell a run something."""

    @describe_order("runs_signal", "Send a signal to a run", SignalBody)
    def post(self, request: Request, run_id: UUID) -> Response:
        """Ends the wait of a step for it; kept when it comes early. Two are two: `If-Match` guards a repeat."""
        body = read_body(request, SignalBody)
        ask = orders.Ask(signal=body["name"], arguments=body.get("payload"), has_arguments=True)
        return self.order(request, run_id, Verb.SIGNAL, ask)


class RunApproval(RunOrder):
    """Answer what an approval asks."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.VIEWER}  # and whom the approval asks

    @describe_order("runs_approve", "Say yes or no to a step that asks", ApprovalBody)
    def post(self, request: Request, run_id: UUID, step: str) -> Response:
        """Only whom the approval asks may answer: its `group`. A no is a refusal: the run is undone."""
        self.check_is_asked(run_id, step)
        body = read_body(request, ApprovalBody)
        outcome = OutcomeKind.SUCCEEDED if body["approve"] else OutcomeKind.REJECTED
        ask = orders.Ask(step=step, outcome=outcome, reason=body.get("comment", ""))
        return self.order(request, run_id, Verb.APPROVE, ask)

    def check_is_asked(self, run_id: UUID, step: str) -> None:
        """Let pass only those whom the approval asks.

        Raises:
            ProblemError: 403 that says who may; 404 when the run has no such approval; 409 when its version
                cannot be read here.
        """
        try:
            group = orders.find_group(run_id, step)
        except errors.EngineError as error:
            raise problem_of(error, run_id) from None
        if group is None:
            raise not_found(f"No step of this run named {step[:80]!r} asks for an approval.")
        if not self.caller().standing.may_answer(group):
            raise ProblemError(HTTPStatus.FORBIDDEN, "forbidden", refusal_words(group))
