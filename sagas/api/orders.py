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
from sagas.api.views import ApiView, StrictSerializer, Text, read_body, read_if_match
from sagas.core.vocabulary import Role, Verb
from sagas.engine import commands, errors

if TYPE_CHECKING:
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


class RunOrder(ApiView):
    """One verb."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    def give(self, request: Request, run_id: UUID, verb: Verb, body: dict[str, Any]) -> Response:
        """Hand the order to the engine and show the run.

        Raises:
            ProblemError: 404, 409 naming the state and what is allowed, 412.
        """
        try:
            commands.give_order(
                run_id,
                verb,
                by=self.caller().by,
                reason=body.get("reason", ""),
                step=body.get("step"),
                arguments=body.get("with"),
                has_arguments="with" in body,
                revision=read_if_match(request.headers),
            )
        except errors.RunUnknownError:
            raise no_such_run(run_id) from None
        except errors.OrderRefusedError as error:
            raise ProblemError(
                HTTPStatus.CONFLICT, "order-refused", error.why, state=str(error.status), allowed=list(error.allowed)
            ) from None
        except errors.InputInvalidError as error:
            raise invalid(faults_of(error.problems)) from None
        except errors.RevisionStaleError as error:
            raise ProblemError(HTTPStatus.PRECONDITION_FAILED, "stale", str(error), revision=error.current) from None
        return show_run(request, run_id, HTTPStatus.ACCEPTED)


class RunCancel(RunOrder):
    """Turn a run round."""

    @describe(
        name="runs_cancel",
        summary="Cancel: undo what was done",
        body={"application/json": CancelBody},
        answers={202: shapes.RunWhole},
        parameters=(IF_MATCH,),
        refusals=REFUSALS,
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """Nothing new starts, attempts in flight end, then compensations run. Refused after the pivot."""
        return self.give(request, run_id, Verb.CANCEL, read_body(request, CancelBody))


class RunRetry(RunOrder):
    """Try again."""

    @describe(
        name="runs_retry",
        summary="Retry what failed or waits, now",
        body={"application/json": RetryBody},
        answers={202: shapes.RunWhole},
        parameters=(IF_MATCH,),
        refusals=REFUSALS,
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """One step, or all that wait for a retry or a person; with edited input when `with` is there."""
        return self.give(request, run_id, Verb.RETRY, read_body(request, RetryBody))
