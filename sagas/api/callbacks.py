"""Callbacks of services: what an attempt came to, said by whoever holds its token."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework import serializers
from rest_framework.response import Response

from sagas.api import shapes
from sagas.api.problems import Fault, ProblemError, invalid, not_found
from sagas.api.sagas import faults_of
from sagas.api.schema import describe
from sagas.api.views import ApiView, Choice, StrictSerializer, Text, read_body
from sagas.core.limits import MESSAGE_LENGTH_MAX
from sagas.core.outcome import Error, Failed, Outcome, Rejected, Succeeded
from sagas.core.problem import one_line
from sagas.core.vocabulary import OutcomeKind
from sagas.engine import errors
from sagas.engine.callback_token import read_token
from sagas.engine.callbacks import Heard, call_back
from sagas.participants.local import CODE_CHARACTERS_MAX

if TYPE_CHECKING:
    from rest_framework.request import Request

    from sagas.core.vocabulary import Role

NOBODYS = "Nobody was given this address."
OUTCOMES = (OutcomeKind.SUCCEEDED.value, OutcomeKind.REJECTED.value, OutcomeKind.FAILED.value)


class CallbackError(StrictSerializer):
    """Why an attempt did not succeed."""

    code = Text(max_length=CODE_CHARACTERS_MAX, required=False, help_text="stable, for programs; the outcome's word")
    message = Text(max_length=MESSAGE_LENGTH_MAX, required=False, help_text="a sentence for people")
    details = shapes.Anything(required=False)


class CallbackBody(StrictSerializer):
    """What the attempt came to."""

    outcome = Choice(
        OUTCOMES, help_text="rejected: no, and nothing happened; failed: it did not work, and had no effect"
    )
    output = shapes.Anything(required=False, help_text="of what succeeded: the output of the step")
    error = CallbackError(required=False, help_text="of what did not")


class CallbackAnswer(serializers.Serializer[Any]):
    """The callback counted."""

    result = serializers.ChoiceField([Heard.COUNTED.value])


class CallbackOne(ApiView):
    """One attempt that somebody has taken on."""

    authentication_classes = ()  # the token in the address is the right: whoever has it was given it
    permission_classes = ()
    http_method_names: ClassVar[list[str]] = ["post"]
    roles: ClassVar[dict[str, Role]] = {}

    @describe(
        name="callbacks_report",
        summary="Say what an attempt came to",
        body={"application/json": CallbackBody},
        answers={200: CallbackAnswer},
        refusals=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE),
        is_open=True,
    )
    def post(self, request: Request, token: str) -> Response:
        """Once, and without other credentials: the address is the one in the header `Saga-Callback`."""
        if read_token(token) is None:  # before a body of strangers is taken apart
            raise not_found(NOBODYS)
        try:
            found = call_back(token, _outcome(read_body(request, CallbackBody)))
        except errors.CallbackUnknownError:
            raise not_found(NOBODYS) from None
        except errors.InputInvalidError as error:
            raise invalid(faults_of(error.problems)) from None
        if found.heard is Heard.ENDED:
            raise ProblemError(HTTPStatus.GONE, "run-ended", found.why)
        if found.heard is not Heard.COUNTED:
            raise ProblemError(HTTPStatus.CONFLICT, "callback-kept", found.why)
        return Response({"result": found.heard.value})


def _outcome(body: dict[str, Any]) -> Outcome:
    kind = OutcomeKind(body["outcome"])
    if kind is OutcomeKind.SUCCEEDED:
        if "error" in body:
            raise invalid([Fault("What succeeded has no error.", pointer="/error")])
        return Succeeded(body.get("output"))
    if "output" in body:
        raise invalid([Fault("Only what succeeded has an output.", pointer="/output")])
    said = body.get("error", {})
    message = one_line(said.get("message", f"The service called back: {kind}."))
    error = Error(one_line(said.get("code", kind.value)), message, said.get("details"))
    return Rejected(error) if kind is OutcomeKind.REJECTED else Failed(error)
