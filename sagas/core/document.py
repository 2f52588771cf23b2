"""The definition document: one form for the editor, the REST API, files and code.

`check_source` reads YAML or JSON text and says everything that is wrong with it
at once; `compile_document` makes of a checked document what the engine drives.
Both read it by the same code, so what was accepted once compiles for ever: rules
that depend on more than the document itself (which actions write) are in
`rules.py` and belong to checking only.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core import rules
from sagas.core.definition import ActionFacts, Definition, Half, PythonAction, RetryPolicy, Step
from sagas.core.expressions import CompiledTemplate, compile_template
from sagas.core.fields import NOT_BUILT, Fields, template
from sagas.core.limits import (
    ACTION_NAME_LENGTH_MAX,
    DEADLINE_S_MAX,
    DESCRIPTION_LENGTH_MAX,
    LABELS_MAX,
    NAME_LENGTH_MAX,
    PROBLEMS_MAX,
    STEPS_MAX,
    TITLE_LENGTH_MAX,
    UNIT_LENGTH_MAX,
)
from sagas.core.names import Names
from sagas.core.problem import Path, Problem, Report, check_payload, few_guesses, found_text, hint
from sagas.core.schema import check_input, check_schema
from sagas.core.source import read_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.vocabulary import Json

__all__ = [
    "Checked",
    "DocumentBrokenError",
    "Problem",
    "canonical_json",
    "check_input",
    "check_payload",
    "check_source",
    "compile_document",
    "content_hash",
]

TIMEOUT_S = 30.0
RETRY = RetryPolicy()
COMPENSATION_RETRY = RetryPolicy(attempts=10, wait_s_max=300.0)

SAGA_KEYS = (
    "saga", "title", "style", "description", "input", "key", "labels", "amount", "unit", "output", "deadline",
    "on_compensation_failure", "in_doubt", "defaults", "steps",
)  # fmt: skip
SAGA_KEYS_LATER = ("starts_on", "correlate", "completes_on", "compensated_on", "publishes", "early", "reactions")
STEP_KEYS = ("name", "title", "action", "with", "compensation", "pivot", "timeout", "retry")
STEP_KEYS_LATER = (
    "after", "when", "for_each", "max_parallel", "sleep", "sleep_until", "wait_for", "approval", "run", "probe",
    "redact",
)  # fmt: skip

_SAGA_NAME = re.compile(rf"(?=.{{1,{NAME_LENGTH_MAX}}}$)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_STEP_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{NAME_LENGTH_MAX - 1}}}", re.ASCII)
_ACTION_NAME = re.compile(rf"(?=.{{1,{ACTION_NAME_LENGTH_MAX}}}$)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_RESERVED = frozenset((  # words of the expression language: `steps.in.output` could not be said
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
    "namespace", "null", "package", "return", "true", "var", "void", "while",
))  # fmt: skip
_SAGA_RESERVED = frozenset(("actions", "new", "publish", "simulate", "start", "validate", "versions"))  # of addresses
_RUN = Names(values=("input", "run.key", "run.labels"), texts=("run.id", "run.started_at"))
_START = Names(values=("input",))


class DocumentBrokenError(Exception):
    """A stored document cannot be compiled; it was not stored by `publish`."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check: `document` is there when nothing is wrong."""

    document: dict[str, Json] | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check_source(text: str, actions: Mapping[str, ActionFacts]) -> Checked:
    """Check YAML or JSON text and report every problem at once.

    Args:
        text: the document as written.
        actions: what this process knows about Python actions. An action that nobody
            registered is a warning: it may be registered where the workers run.
    """
    document, report = read_source(text)
    if not report.problems:
        with few_guesses():
            definition = _read(document, actions, report)
        if definition is not None:
            _check_name(definition.saga, report)
            rules.check(definition, document, actions, report)
    problems = sorted(report.problems, key=_place)[:PROBLEMS_MAX]
    warnings = sorted(report.warnings, key=_place)[:PROBLEMS_MAX]
    return Checked(None if problems else document, tuple(problems), tuple(warnings))


def _check_name(saga: str, report: Report) -> None:
    """Refuse names that our own addresses use. Of new documents only: one stored before still compiles."""
    if saga in _SAGA_RESERVED:
        report.error(("saga",), "reserved", f"`{saga}` is a word of our own addresses; choose another name.")


def compile_document(document: dict[str, Json], actions: Mapping[str, ActionFacts]) -> Definition:
    """Compile a document that was checked before.

    Raises:
        DocumentBrokenError: it breaks the format.
    """
    report = Report()
    definition = _read(document, actions, report)
    if definition is None or report.problems:
        raise DocumentBrokenError(tuple(report.problems))
    return definition


def canonical_json(value: Json) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(document: dict[str, Json]) -> str:
    """Return the SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line or 0, problem.column or 0


def _read(document: Json, actions: Mapping[str, ActionFacts], report: Report) -> Definition | None:
    """Read the whole document; the result is only good when the report has no problems."""
    if isinstance(document, dict) and document.get("style") == "choreography":
        report.error(("style",), "not_built", f"`style: choreography` {NOT_BUILT}.")
        return None
    fields = Fields(document, (), report, what="a saga", known=SAGA_KEYS, later=SAGA_KEYS_LATER)
    if not fields.is_mapping:
        return None
    saga = fields.name(
        "saga", _SAGA_NAME, f"small letters, digits and single dashes, at most {NAME_LENGTH_MAX}, such as create-order",
        "the name by which this saga is known for life, such as create-order.",
    )  # fmt: skip
    fields.choice("style", ("orchestration",))
    fields.text("description", length_max=DESCRIPTION_LENGTH_MAX)
    if "input" in fields:
        check_schema(fields.raw("input"), ("input",), report)
    steps = _steps(fields, _Defaults.read(fields), actions)
    deadline_s = fields.duration_s("deadline", 0.0, 0.001, DEADLINE_S_MAX)
    return Definition(
        saga=saga,
        title=fields.text("title", saga.replace("-", " ").capitalize(), length_max=TITLE_LENGTH_MAX),
        steps=steps,
        input_schema=fields.raw("input"),
        key=_text_template(fields, "key"),
        labels=_labels(fields),
        amount=_amount(fields),
        unit=fields.text("unit", length_max=UNIT_LENGTH_MAX),
        output=fields.template("output", _readable(_RUN, [step.name for step in steps], ())),
        deadline_s=deadline_s or None,
        stops_on_compensation_failure=fields.choice("on_compensation_failure", ("stop", "continue")) == "stop",
        asks_when_in_doubt=fields.choice("in_doubt", ("compensate", "ask")) == "ask",
        content_hash=content_hash(document),
    )


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What a step is given when it does not say otherwise."""

    timeout_s: float
    retry: RetryPolicy
    compensation_retry: RetryPolicy

    @classmethod
    def read(cls, fields: Fields) -> _Defaults:
        if "defaults" not in fields:
            return cls(TIMEOUT_S, RETRY, COMPENSATION_RETRY)
        known = ("timeout", "retry", "compensation_retry")
        said = Fields(fields.raw("defaults"), ("defaults",), fields.report, what="`defaults`", known=known)
        return cls(
            said.timeout_s(TIMEOUT_S),
            said.retry("retry", RETRY),
            said.retry("compensation_retry", COMPENSATION_RETRY),
        )


def _readable(base: Names, before: list[str], later: tuple[str, ...]) -> Names:
    usable = tuple(name for name in before if _STEP_NAME.fullmatch(name) and name not in _RESERVED)
    return Names(values=base.values, texts=base.texts, steps=usable, later_steps=frozenset(later))


def _text_template(fields: Fields, key: str) -> CompiledTemplate | None:
    if key in fields and not isinstance(fields.raw(key), str):
        message = f"`{key}` must be text with an expression; found {found_text(fields.raw(key))}."
        fields.error(key, "wrong_value", message)
        return None
    return fields.template(key, _START)


def _amount(fields: Fields) -> CompiledTemplate | None:
    value = fields.raw("amount")
    if "amount" in fields and not (isinstance(value, str) and "${" in value) and type(value) is not int:
        expected = "an expression such as ${input.amount}, or a whole number"
        fields.error("amount", "wrong_value", f"`amount` must be {expected}; found {found_text(value)}.")
        return None
    return fields.template("amount", _START)


def _labels(fields: Fields) -> dict[str, CompiledTemplate]:
    if "labels" not in fields:
        return {}
    value, path = fields.raw("labels"), ("labels",)
    if not isinstance(value, dict):
        message = f"`labels` must be a mapping of names to values; found {found_text(value)}."
        fields.error("labels", "wrong_type", message)
        return {}
    if len(value) > LABELS_MAX:
        fields.error("labels", "too_many", f"a saga has at most {LABELS_MAX} labels; found {len(value)}.")
    found = {}
    for name, source in value.items():
        if not _STEP_NAME.fullmatch(name):
            message = f"a label's name must be small letters, digits and underscores; found {found_text(name)}."
            fields.report.error((*path, name), "wrong_value", message, at_key=True)
        if isinstance(source, list | dict) or source is None:
            message = f"a label must be text, a number, true or false; found {found_text(source)}."
            fields.report.error((*path, name), "wrong_value", message)
        elif compiled := template(source, (*path, name), _START, fields.report):
            found[name] = compiled
    return found


def _steps(fields: Fields, defaults: _Defaults, actions: Mapping[str, ActionFacts]) -> tuple[Step, ...]:
    value = fields.raw("steps")
    if "steps" not in fields:
        fields.missing("steps", "a saga is a list of steps.")
        return ()
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else found_text(value)
        fields.error("steps", "wrong_type", f"`steps` must be a list of at least one step; found {found}.")
        return ()
    if len(value) > STEPS_MAX:
        fields.error("steps", "too_many", f"a saga has at most {STEPS_MAX} steps; found {len(value)}.")
        return ()
    names = [str(each.get("name", "")) if isinstance(each, dict) else "" for each in value]
    return tuple(
        _StepReader(each, position, names, defaults, actions, fields.report).read()
        for position, each in enumerate(value)
    )


class _StepReader:
    """Reads one step."""

    def __init__(
        self,
        value: Json,
        position: int,
        names: list[str],
        defaults: _Defaults,
        actions: Mapping[str, ActionFacts],
        report: Report,
    ) -> None:
        path: Path = ("steps", position)
        self.fields = Fields(value, path, report, what="a step", known=STEP_KEYS, later=STEP_KEYS_LATER)
        self.position = position
        self.names = names
        self.defaults = defaults
        self.actions = actions
        self.report = report
        self.scope = _readable(_RUN, names[:position], tuple(names[position:]))

    def read(self) -> Step:
        fields = self.fields
        name = self._name() if fields.is_mapping else ""
        action, facts = self._action(fields)
        timeout_s = fields.timeout_s(self.defaults.timeout_s)
        return Step(
            name=name,
            title=fields.text("title", name.replace("_", " ").capitalize(), length_max=TITLE_LENGTH_MAX),
            position=self.position,
            action=Half(
                action=action,
                arguments=self._arguments(fields, self.scope),
                timeout_s=timeout_s,
                retry=fields.retry("retry", self.defaults.retry),
                is_atomic=facts.is_atomic,
            ),
            compensation=self._compensation(timeout_s),
            writes=not facts.reads_only,
            after=tuple(self.names[self.position - 1 : self.position]),
            is_pivot=fields.flag("pivot"),
        )

    def _name(self) -> str:
        name = self.fields.name(
            "name", _STEP_NAME, f"small letters, digits and underscores, a letter first, at most {NAME_LENGTH_MAX}",
            "expressions call a step by its name, such as process_payment.",
        )  # fmt: skip
        if name in _RESERVED:
            self.fields.error("name", "reserved", f"`{name}` is a word of the expression language.")
        elif name and name in self.names[: self.position]:
            first = self.names.index(name) + 1
            self.fields.error("name", "duplicate_name", f"two steps are called `{name}`; the first is step {first}.")
        return name

    def _action(self, fields: Fields) -> tuple[PythonAction, ActionFacts]:
        value = fields.raw("action")
        if "action" not in fields:
            if fields.is_mapping and not any(key in fields for key in STEP_KEYS_LATER):
                fields.missing("action", "a step says what to call, such as shop.process_payment.")
            return PythonAction(""), ActionFacts()
        if isinstance(value, dict):
            later = ("http", "command")
            form = Fields(value, fields.at("action"), self.report, what="an action", known=("python",), later=later)
            if "python" not in form:
                if not any(key in form for key in later):
                    form.missing("python", "an action is a name, or {python: name}.")
                return PythonAction(""), ActionFacts()
            fields, key, value = form, "python", form.raw("python")
        else:
            key = "action"
        if not isinstance(value, str) or not _ACTION_NAME.fullmatch(value):
            message = f"`{key}` must be the dotted name of an action, such as shop.process_payment; "
            fields.error(key, "wrong_value", message + f"found {found_text(value)}.")
            return PythonAction(""), ActionFacts()
        if value not in self.actions:
            message = f"no action called `{value}` is registered here.{hint(value, self.actions)}"
            self.report.warning(fields.at(key), "action_unknown", message)
        return PythonAction(value), self.actions.get(value, ActionFacts())

    def _arguments(self, fields: Fields, names: Names) -> CompiledTemplate:
        value = fields.raw("with")
        if "with" in fields and not isinstance(value, dict):
            message = f"`with` must be a mapping of arguments to values; found {found_text(value)}."
            fields.error("with", "wrong_type", message)
            return _NO_ARGUMENTS
        return fields.template("with", names) or _NO_ARGUMENTS

    def _compensation(self, timeout_s: float) -> Half | None:
        value = self.fields.raw("compensation")
        if "compensation" not in self.fields or value == "none":
            return None
        path = self.fields.at("compensation")
        if not isinstance(value, dict):
            message = f"`compensation` must be a mapping with an action, or `none`; found {found_text(value)}."
            self.report.error(path, "wrong_type", message)
            return None
        known = ("action", "with", "timeout", "retry")
        fields = Fields(
            {key: part for key, part in value.items() if key != "when"},
            path, self.report, what="a compensation", known=known,
        )  # fmt: skip
        if "when" in value:
            message = "a compensation never has `when`: what was done is undone."
            self.report.error((*path, "when"), "unknown_key", message, at_key=True)
        action, facts = self._action(fields)
        names = Names(
            values=(*self.scope.values, "step.output", "step.input", "reason"),
            texts=(*self.scope.texts, "step.outcome"),
            steps=self.scope.steps,
            later_steps=self.scope.later_steps,
        )
        return Half(
            action=action,
            arguments=self._arguments(fields, names),
            timeout_s=fields.timeout_s(timeout_s),
            retry=fields.retry("retry", self.defaults.compensation_retry),
            is_atomic=facts.is_atomic,
        )


_NO_ARGUMENTS = compile_template({}, Names())
