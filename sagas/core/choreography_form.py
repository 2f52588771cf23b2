"""Reading a document of the style `choreography`: which events there are, and who reacts to them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sagas.core.action_form import NO_ARGUMENTS, STEP_NAME, ActionReader, StepNames
from sagas.core.choreography import CORRELATION_NAMES, STYLES, Choreography, Early, EarlyKind, Reaction
from sagas.core.cloud_event import EVENT_TYPE
from sagas.core.definition import CommandAction, Half, HttpAction, Step
from sagas.core.duration import duration_text, parse_duration_s
from sagas.core.expressions import CompiledTemplate
from sagas.core.fields import DURATION, Fields
from sagas.core.limits import (
    DEADLINE_S_MAX,
    EVENT_TYPE_LENGTH_MAX,
    EVENT_TYPES_MAX,
    NAME_LENGTH_MAX,
    REACTIONS_MAX,
    TITLE_LENGTH_MAX,
)
from sagas.core.names import Names
from sagas.core.problem import Path, Report, found_text, hint
from sagas.core.redact_form import read_redact
from sagas.core.steps import RETRY, SAGA_NAME, STEP_KEYS, TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.definition import ActionFacts, RetryPolicy
    from sagas.core.vocabulary import Json

CHOREOGRAPHY_KEYS = (
    "saga", "title", "style", "description", "labels", "amount", "unit", "deadline", "starts_on", "correlate",
    "completes_on", "compensated_on", "publishes", "early", "defaults", "redact", "reactions",
)  # fmt: skip
REACTION_KEYS = (
    "name", "title", "service", "on", "action", "external", "with", "emits", "within", "undoes", "compensation",
    "timeout", "retry", "probe", "redact",
)  # fmt: skip
NOT_OF_EXTERNAL = ("with", "timeout", "retry", "probe", "redact")  # keys of what is called from here
EMITS_KEYS = ("succeeded", "rejected")
DEFAULTS_KEYS = ("timeout", "retry")
_OF_STEPS = (STYLES[0], STEP_KEYS)
EVENT_NAMES = Names(
    values=("event.data", "event.subject", "event.time"), texts=("event.type", "event.source", "event.id")
)
REACTION_NAMES = Names(
    values=(*EVENT_NAMES.values, "run.key", "run.labels"), texts=(*EVENT_NAMES.texts, "run.id", "run.started_at")
)
_TYPE_TEXT = (
    f"the type of an event: letters, digits, dashes and dots, at most {EVENT_TYPE_LENGTH_MAX}, such as order.placed"
)
_EARLY = re.compile(r"(start|park|drop)|buffer\s+(\S+)", re.ASCII)

assert set(CORRELATION_NAMES) == {*EVENT_NAMES.values, *EVENT_NAMES.texts}  # noqa: S101 - one list, in two kinds


def read_choreography(
    fields: Fields, actions: Mapping[str, ActionFacts], services: Mapping[str, str] | None
) -> tuple[tuple[Step, ...], Choreography]:
    """Read all that only a choreography has; the steps that come with it are its reactions."""
    timeout_s, retry = _defaults(fields)
    value = fields.raw("reactions")
    rows: list[Json] = []
    if "reactions" not in fields:
        fields.missing("reactions", "a choreography is a list of reactions to events.")
    elif not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else found_text(value)
        fields.error("reactions", "wrong_type", f"`reactions` must be a list of at least one reaction; found {found}.")
    elif len(value) > REACTIONS_MAX:
        message = f"a choreography has at most {REACTIONS_MAX} reactions; found {len(value)}."
        fields.error("reactions", "too_many", message)
    else:
        rows = value
    said = (row.get("name") if isinstance(row, dict) else None for row in rows)
    names = StepNames([name if isinstance(name, str) else "" for name in said])
    both: list[tuple[Reaction, Step]] = []
    for place, row in enumerate(rows):
        known = Fields(
            row, ("reactions", place), fields.report, what="a reaction", known=REACTION_KEYS, of_others=_OF_STEPS
        )
        both.append(_ReactionReader(known, names, place, actions, services).read(timeout_s, retry))
    early_default, early = _early(fields)
    chart = Choreography(
        starts_on=_types(fields, "starts_on", is_required="an event begins a run, such as [order.placed]."),
        correlate=_correlate(fields),
        completes_on=_types(fields, "completes_on", is_required="an event completes a run, such as [order.shipped]."),
        compensated_on=_types(fields, "compensated_on"),
        reactions=tuple(reaction for reaction, _ in both),
        publishes=_publishes(fields),
        early=early,
        early_default=early_default,
    )
    steps = tuple(replace(step, after=_after(chart, reaction)) for reaction, step in both)
    return steps, chart


def _after(chart: Choreography, reaction: Reaction) -> tuple[str, ...]:
    """Return the reactions that emit what this one reacts to. For pictures: nobody waits for them."""
    names = (one.name for kind in reaction.on for one in chart.emitting.get(kind, ()) if one.name != reaction.name)
    return tuple(dict.fromkeys(names))


def _defaults(fields: Fields) -> tuple[float, RetryPolicy]:
    if "defaults" not in fields:
        return TIMEOUT_S, RETRY
    said = Fields(fields.raw("defaults"), ("defaults",), fields.report, what="`defaults`", known=DEFAULTS_KEYS)
    return said.timeout_s(TIMEOUT_S), said.retry("retry", RETRY)


def _correlate(fields: Fields) -> CompiledTemplate:
    if "correlate" not in fields:
        fields.missing("correlate", "an expression over the event gives one value for each run, such as "
                       "${event.data.order_id}.")  # fmt: skip
        return NO_ARGUMENTS
    value = fields.raw("correlate")
    if not isinstance(value, str) or "${" not in value:
        message = "`correlate` must be an expression over the event, such as ${event.data.order_id}; "
        fields.error("correlate", "wrong_value", message + f"found {found_text(value)}.")
        return NO_ARGUMENTS
    return fields.template("correlate", EVENT_NAMES) or NO_ARGUMENTS


def _types(fields: Fields, key: str, *, is_required: str = "") -> tuple[str, ...]:
    if key not in fields:
        if is_required and fields.is_mapping:
            fields.missing(key, is_required)
        return ()
    return read_types(fields.raw(key), fields.at(key), key, fields.report)


def read_types(value: Json, path: Path, key: str, report: Report) -> tuple[str, ...]:
    """Read a list of types of events; report what is none."""
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else found_text(value)
        report.error(path, "wrong_type", f"`{key}` must be a list of types of events, such as [order.placed]; "
                     f"found {found}.")  # fmt: skip
        return ()
    if len(value) > EVENT_TYPES_MAX:
        report.error(path, "too_many", f"`{key}` names at most {EVENT_TYPES_MAX} events; found {len(value)}.")
        return ()
    found_types: dict[str, None] = {}
    for place, kind in enumerate(value):
        if not is_type(kind):
            report.error((*path, place), "wrong_value", f"`{key}` must name {_TYPE_TEXT}; found {found_text(kind)}.")
        elif kind in found_types:
            report.error((*path, place), "duplicate_name", f"`{kind}` is named twice.")
        else:
            found_types[kind] = None
    return tuple(found_types)


def is_type(value: Json) -> bool:
    """Whether `value` can be the type of an event."""
    return isinstance(value, str) and EVENT_TYPE.fullmatch(value) is not None


def _publishes(fields: Fields) -> dict[str, tuple[str, ...]]:
    value = fields.raw("publishes")
    if "publishes" not in fields:
        return {}
    if not isinstance(value, dict):
        message = "`publishes` must be a mapping of services to lists of events, such as {storefront: [order.placed]}; "
        fields.error("publishes", "wrong_type", message + f"found {found_text(value)}.")
        return {}
    found = {}
    for service, kinds in value.items():
        path = (*fields.at("publishes"), service)
        if not SAGA_NAME.fullmatch(service):
            message = f"a service's name is small letters, digits and single dashes; found {found_text(service)}."
            fields.report.error(path, "wrong_value", message, at_key=True)
        found[service] = read_types(kinds, path, "publishes", fields.report)
    return found


def _early(fields: Fields) -> tuple[Early, dict[str, Early]]:
    value = fields.raw("early")
    if "early" not in fields:
        return Early(), {}
    if not isinstance(value, dict):
        message = "`early` must be a mapping of events to what becomes of them, such as {default: park}; "
        fields.error("early", "wrong_type", message + f"found {found_text(value)}.")
        return Early(), {}
    found = {}
    for kind, said in value.items():
        path = (*fields.at("early"), kind)
        if kind != "default" and not is_type(kind):
            message = f"`early` must name {_TYPE_TEXT}, or `default`; found {found_text(kind)}."
            fields.report.error(path, "wrong_value", message, at_key=True)
        found[kind] = _early_of(said, path, fields.report)
    return found.pop("default", Early()), found


def _early_of(said: Json, path: Path, report: Report) -> Early:
    match = _EARLY.fullmatch(said) if isinstance(said, str) else None
    if match is None:
        message = f"must be start, park, drop, or buffer with a time such as `buffer 10m`; found {found_text(said)}."
        report.error(path, "wrong_value", message)
        return Early()
    if match[1]:
        return Early(EarlyKind(match[1]))
    seconds = parse_duration_s(match[2])
    if seconds is None or not 0 < seconds <= DEADLINE_S_MAX:
        message = f"`buffer` takes {DURATION}, at most {duration_text(DEADLINE_S_MAX)}; found {found_text(match[2])}."
        report.error(path, "wrong_value", message)
        return Early()
    return Early(EarlyKind.BUFFER, seconds)


class _ReactionReader(ActionReader):
    """Reads one reaction."""

    what = "reaction"
    says = "a reaction says what to call, such as shop.process_payment, or `external: true` when its service does it."
    item_scope = REACTION_NAMES

    def read(self, timeout_s: float, retry: RetryPolicy) -> tuple[Reaction, Step]:
        """Return the reaction, and the step that says what is called (nothing where it is only watched)."""
        fields = self.fields
        name = self._name() if fields.is_mapping else ""
        title = fields.text("title", name.replace("_", " ").capitalize(), length_max=TITLE_LENGTH_MAX)
        is_external = fields.flag("external")
        half, probe, writes = None, None, True
        if is_external:
            self._check_external()
        else:
            half, writes = self._half(timeout_s, retry)
            probe = self._probe(half)
        leaves_nothing = self._leaves_nothing()
        succeeded, rejected = self._emits()
        on: tuple[str, ...] = ()
        if "on" in fields:
            on = read_types(fields.raw("on"), fields.at("on"), "on", self.report)
        elif fields.is_mapping:
            fields.missing("on", "a reaction says to which events, such as [order.placed].")
        reaction = Reaction(
            name=name,
            service=self._service(half),
            on=on,
            succeeded=succeeded,
            rejected=rejected,
            undoes=self._undoes(name),
            is_external=is_external,
            within_s=fields.duration_s("within", 0.0, 0.001, DEADLINE_S_MAX) or None,
        )
        step = Step(
            name=name,
            title=title,
            position=self.position,
            action=half,
            compensation=None,
            writes=writes and not leaves_nothing,
            probe=probe,
            redact=() if is_external else read_redact(fields, name),
        )
        return reaction, step

    def _half(self, timeout_s: float, retry: RetryPolicy) -> tuple[Half, bool]:
        action, facts, arguments = self._action(self.fields, self.item_scope)
        half = Half(
            action, arguments, self.fields.timeout_s(timeout_s), self.fields.retry("retry", retry), facts.is_atomic
        )
        return half, not facts.reads_only

    def _check_external(self) -> None:
        if "action" in self.fields:
            message = "the service does it by itself (`external: true`), so there is no `action` here."
            self.fields.error("action", "two_kinds", message, at_key=True)
        for key in NOT_OF_EXTERNAL:
            if key in self.fields:
                message = f"a reaction that is only watched has no `{key}`: it is not called from here."
                self.fields.error(key, "not_of_external", message, at_key=True)

    def _service(self, half: Half | None) -> str:
        called = half.action.service if half is not None and isinstance(half.action, HttpAction | CommandAction) else ""
        if "service" not in self.fields and (called or not self.fields.is_mapping):
            return called
        return self.fields.name(
            "service", SAGA_NAME, f"small letters, digits and single dashes, at most {NAME_LENGTH_MAX}",
            "a reaction says which service does it, such as payments.",
        )  # fmt: skip

    def _emits(self) -> tuple[str, str]:
        if "emits" not in self.fields:
            return "", ""
        said = Fields(self.fields.raw("emits"), self.fields.at("emits"), self.report, what="`emits`", known=EMITS_KEYS)
        found = []
        for key in EMITS_KEYS:
            kind = said.raw(key)
            if key in said and not is_type(kind):
                said.error(key, "wrong_value", f"`{key}` must name {_TYPE_TEXT}; found {found_text(kind)}.")
            found.append(kind if is_type(kind) else "")
        if found[0] and found[0] == found[1]:
            said.error("rejected", "same_event", f"both outcomes emit `{found[0]}`: nobody could tell them apart.")
        return found[0], found[1]

    def _undoes(self, name: str) -> str:
        value = self.fields.raw("undoes")
        if "undoes" not in self.fields:
            return ""
        known = [one for one in self.names.all if one and one != name]
        if not isinstance(value, str) or value not in known:
            message = f"`undoes` must name another reaction; found {found_text(value)}.{hint(str(value), known)}"
            self.fields.error("undoes", "reaction_unknown", message)
            return ""
        return value if STEP_NAME.fullmatch(value) else ""

    def _leaves_nothing(self) -> bool:
        value = self.fields.raw("compensation")
        if "compensation" not in self.fields:
            return False
        if value != "none":
            message = "a reaction has no compensation of its own: write a reaction that `undoes` it, or `none`."
            self.fields.error("compensation", "wrong_value", f"{message} Found {found_text(value)}.")
        return True
