"""Simulate a saga over REST: nothing is stored, nothing is executed."""

from __future__ import annotations

import json
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework import serializers
from rest_framework.response import Response

from sagas.api import shapes
from sagas.api.problems import Fault, ProblemError, invalid, nearest
from sagas.api.sagas import COUNT_MAX, faults_of
from sagas.api.schema import describe
from sagas.api.views import ApiView, Number, StrictSerializer, Text, read_body
from sagas.catalog.errors import VersionUnreadableError
from sagas.catalog.load import load_version
from sagas.core import limits
from sagas.core.document import check_source, compile_document
from sagas.core.example import example_of
from sagas.core.schema import check_input
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate
from sagas.core.simulation import SimulatedStatus, Why
from sagas.core.vocabulary import Phase, Role
from sagas.models import Saga, SagaVersion
from sagas.participants import registry

if TYPE_CHECKING:
    from rest_framework.request import Request

    from sagas.core.definition import Definition
    from sagas.core.vocabulary import Json

VERSION_MAX = 2**31 - 1
SIMULATION_S_MAX = 2.0  # of a request; the longest saga that people write takes a tenth


class SimulateBody(StrictSerializer):
    """What to simulate: a document, or a published saga."""

    document = shapes.Anything(required=False, help_text="a definition: a JSON object, or its YAML as text")
    saga = Text(max_length=limits.NAME_LENGTH_MAX, required=False, help_text="a published one, instead of `document`")
    version = Number(min_value=1, max_value=VERSION_MAX, required=False, help_text="the latest when not said")
    input = shapes.Anything(required=False, help_text="a small one is made from the schema when not said")
    faults = shapes.Anything(
        required=False,
        help_text="by `step`, `step.compensation` or `step.probe`: rejected, failed, unknown, worker_lost or succeeded "
        "(of a probe also not_done) for every attempt; a list for one after the other; "
        "or {outcome, attempt?, output?, happened?}",
    )


class LeftoverShape(serializers.Serializer[Any]):
    """What a step did, or may have done, that is not undone at the end."""

    step = serializers.CharField()
    why = shapes.word(Why)
    is_certain = serializers.BooleanField(help_text="false: nobody knows whether it is there")


class SimulatedStep(serializers.Serializer[Any]):
    """One step at the end, both halves."""

    step = serializers.CharField()
    title = serializers.CharField()
    status = shapes.word(shapes.StepStatus)
    compensation_status = shapes.word(shapes.CompensationStatus)
    is_pivot = serializers.BooleanField()
    items_total = serializers.IntegerField(allow_null=True, help_text="of the list; null where there is none")
    items_done = serializers.IntegerField(allow_null=True, help_text="that succeeded or were skipped")
    attempts_made = serializers.IntegerField()
    compensation_attempts_made = serializers.IntegerField()
    error = shapes.Anything(help_text="{code, message} of the last failure")


class NoteShape(serializers.Serializer[Any]):
    """What a reader of the result should know."""

    code = serializers.CharField(help_text="atomic, not_reached or output_missing")
    message = serializers.CharField()
    step = serializers.CharField(help_text="empty: about the run")
    phase = shapes.word(Phase, allow_null=True)


class SimulationShape(serializers.Serializer[Any]):
    """A run on paper. Times are seconds from its start."""

    saga = serializers.CharField()
    status = shapes.word(SimulatedStatus, help_text="where it ends, or rests until a person comes")
    reason = shapes.Anything(help_text="why it turned or stopped")
    attention = serializers.ListField(child=serializers.CharField(), help_text="steps that wait for a person")
    input = shapes.Anything()
    output = shapes.Anything()
    took_s = serializers.FloatField()
    waited_s = serializers.FloatField(help_text="of `took_s`, with nothing in flight")
    undone = serializers.ListField(child=serializers.CharField(), help_text="steps, in the order of their undoing")
    leftovers = LeftoverShape(many=True)
    steps = SimulatedStep(many=True)
    notes = NoteShape(many=True)
    cut_short = serializers.CharField(help_text="the limit that ended the simulation: entries, expressions, time")
    trace = serializers.ListField(
        child=serializers.DictField(), help_text="{sequence, at_s, kind, …}: the journal, payloads up to 256 KiB in all"
    )


class Simulate(ApiView):
    """A run on paper."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.VIEWER}

    @describe(
        name="sagas_simulate",
        summary="Simulate a run; nothing is stored or executed",
        body={"application/json": SimulateBody},
        answers={200: SimulationShape},
        refusals=(HTTPStatus.CONFLICT,),
    )
    def post(self, request: Request) -> Response:
        """What `faults` does not name succeeds. At most two seconds and 10,000 entries; then it is cut short."""
        body = read_body(request, SimulateBody)
        definition = _definition(body)
        value = body["input"] if "input" in body else _example(definition)
        until = monotonic() + SIMULATION_S_MAX
        try:
            found = simulate(definition, value, body.get("faults", {}), is_over=lambda: monotonic() > until)
        except SimulationInvalidError as error:
            raise invalid(faults_of(error.problems)) from None
        return Response(found.as_json())


def _definition(body: dict[str, Any]) -> Definition:
    if ("document" in body) == ("saga" in body):
        message = "Say what to simulate: either `document` or `saga`."
        raise invalid([Fault(message, pointer="/document" if "document" in body else "")])
    if "saga" in body:
        return _published(body["saga"], body.get("version"))
    if "version" in body:
        message = "`version` goes with `saga`."
        raise invalid([Fault(message, pointer="/version")])
    document, facts = body["document"], registry.facts()
    is_text = isinstance(document, str)
    checked = check_source(document if is_text else json.dumps(document, ensure_ascii=False), facts)
    if checked.document is None:
        faults = faults_of(checked.problems, "/document")
        raise invalid(faults if is_text else [Fault(one.detail, pointer=one.pointer, code=one.code) for one in faults])
    return compile_document(checked.document, facts)


def _published(name: str, number: int | None) -> Definition:
    saga = Saga.objects.filter(name=name).first()
    if saga is None:
        names = Saga.objects.values_list("name", flat=True)[:COUNT_MAX]
        raise _unknown(f"There is no saga {name!r}.{nearest(name, names)}", "/saga")
    wanted = {"id": saga.latest_id} if number is None else {"saga": saga, "number": number}
    version = SagaVersion.objects.filter(**wanted).values_list("id", flat=True).first()
    if version is None:
        raise _unknown(f"The saga {name!r} has no version {number}.", "/version")
    try:
        return load_version(version)
    except VersionUnreadableError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "saga-unreadable", str(error)) from None


def _unknown(message: str, pointer: str) -> ProblemError:
    return invalid([Fault(message, pointer=pointer)])


def _example(definition: Definition) -> Json:
    value = example_of(definition.input_schema or {"type": "object"})
    if problems := check_input(definition, value):
        why = "`input` is missing, and none that fits could be made from the schema."
        raise invalid([Fault(why, pointer="/input"), *faults_of(problems, "/input")])
    return value
