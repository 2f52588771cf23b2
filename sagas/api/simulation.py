"""Simulate a saga over REST: nothing is stored, nothing is executed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
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
from sagas.core.example import example_input
from sagas.core.schema import check_input
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate
from sagas.core.simulation import SimulatedStatus, Why
from sagas.core.vocabulary import Phase, Role, Verb
from sagas.models import Saga, SagaVersion
from sagas.participants import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rest_framework.request import Request

    from sagas.core.definition import Definition
    from sagas.core.problem import Problem
    from sagas.core.vocabulary import Json

VERSION_MAX = 2**31 - 1
SIMULATION_S_MAX = 2.0  # of a request; the longest saga that people write takes a tenth


class SimulateBody(StrictSerializer):
    """What to simulate: a document, or a published saga."""

    document = shapes.Anything(required=False, help_text="a definition: a JSON object, or its YAML as text")
    saga = Text(max_length=limits.NAME_LENGTH_MAX, required=False, help_text="a published one, instead of `document`")
    version = Number(min_value=1, max_value=VERSION_MAX, required=False, help_text="the latest when not said")
    input = shapes.Anything(
        required=False,
        help_text="a small one is made from the schema when not said; to a choreography the data of the event that "
        "begins the run, the first of `starts_on` unless another one is early",
    )
    faults = shapes.Anything(
        required=False,
        help_text="by `step`, `step.compensation` or `step.probe`: rejected, failed, unknown, worker_lost or succeeded "
        "(of a probe also not_done) for every attempt; a list for one after the other; "
        "or {outcome, attempt?, output?, happened?}; of a reaction that is only watched succeeded, rejected or never",
    )
    events = shapes.Anything(
        required=False,
        help_text="to a choreography, from outside: a list of {type, data?, id?, source?} with one of at_s (seconds "
        "after the start), during (a reaction) or early: true; without one, when nothing more happens by itself",
    )


class LeftoverShape(serializers.Serializer[Any]):
    """What a step did, or may have done, that is not undone at the end."""

    step = serializers.CharField()
    why = shapes.word(Why)
    is_certain = serializers.BooleanField(help_text="false: nobody knows whether it is there")


class MissingShape(serializers.Serializer[Any]):
    """Any of these events is missing; nobody else publishes them."""

    reaction = serializers.CharField(help_text="of which it would tell; empty: an end of the run")
    events = serializers.ListField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField(), help_text="from whom")


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

    code = serializers.CharField(
        help_text="atomic, not_reached or output_missing; of a choreography also duplicate, event_kept, "
        "event_dropped or overdue"
    )
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
    undone_by = serializers.ListField(
        child=serializers.CharField(),
        help_text="of a choreography: beside each of `undone`, the reaction that undid it",
    )
    missing = MissingShape(many=True, help_text="of a choreography that rests")
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
            found = simulate(
                definition,
                value,
                body.get("faults", {}),
                orders=_events(body.get("events", [])),
                is_over=lambda: monotonic() > until,
            )
        except SimulationInvalidError as error:
            raise invalid(faults_of(_in_the_body(error.problems))) from None
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


def _events(said: Json) -> list[dict[str, Json]]:
    """Return events from outside as what a script orders."""
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        message = "`events` is a list of objects with a `type` each."
        raise invalid([Fault(message, pointer="/events")])
    return [{**one, "verb": Verb.EVENT.value} for one in said]


def _in_the_body(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems with the places of the body: what a script orders are its events; their verb is ours."""
    places = (re.sub(r"^/orders(?=/|$)", "/events", one.pointer).removesuffix("/verb") for one in problems)
    return [replace(one, pointer=place) for one, place in zip(problems, places, strict=True)]


def _example(definition: Definition) -> Json:
    value = example_input(definition)
    if problems := check_input(definition, value):
        why = "`input` is missing, and none that fits could be made from the schema."
        raise invalid([Fault(why, pointer="/input"), *faults_of(problems, "/input")])
    return value
