"""Running a run again."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from sagas.api import shapes
from sagas.api.idempotency import starting_once
from sagas.api.orders import IF_MATCH, REFUSALS, problem_of
from sagas.api.runs import show_run
from sagas.api.schema import describe, in_header
from sagas.api.views import ApiView, StrictSerializer, read_body, read_if_match
from sagas.core.vocabulary import Role
from sagas.engine import errors, reruns

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request
    from rest_framework.response import Response


class RerunBody(StrictSerializer):
    """With what; the same input when not said."""

    input = shapes.Anything(required=False, help_text="another input, whole")


class RunRerun(ApiView):
    """Run again."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="runs_rerun",
        summary="Run again: a new run of the latest version, linked to this one",
        body={"application/json": RerunBody},
        answers={200: shapes.RunWhole, 201: shapes.RunWhole},
        parameters=(
            IF_MATCH,
            in_header("Idempotency-Key", "the same again within 7 days gives the same new run; another body is a 409"),
        ),
        refusals=REFUSALS,
    )
    def post(self, request: Request, run_id: UUID) -> Response:
        """201 and the new run, which keeps the business key. Only of a run that has ended."""
        body, caller = read_body(request, RerunBody), self.caller()
        revision = read_if_match(request.headers)
        try:
            started = starting_once(
                caller.owner,
                request.headers.get("Idempotency-Key"),
                {"rerun": str(run_id), **body},
                lambda: reruns.rerun(
                    run_id, by=caller.by, value=body.get("input"), has_input="input" in body, revision=revision
                ),
            )
        except errors.EngineError as error:
            raise problem_of(error, run_id) from None
        response = show_run(request, started.run_id, HTTPStatus.CREATED if started.is_new else HTTPStatus.OK)
        response["Location"] = response.data["url"]
        return response
