"""The definition document: one form for the editor, the REST API, files and code.

`check_source` reads YAML or JSON text and says everything that is wrong with it
at once; `compile_document` makes of a checked document what the engine drives.
Both read it by the same code, so what was accepted once compiles for ever: rules
that depend on more than the document itself (which actions write) are in
`rules.py` and `choreography_checks.py` and belong to checking only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core import choreography_checks, rules
from sagas.core.action_form import STEP_NAME
from sagas.core.choreography import STYLES, is_choreography
from sagas.core.choreography_form import CHOREOGRAPHY_KEYS, EVENT_NAMES, read_choreography
from sagas.core.choreography_redaction import read_hidden_events, redaction_of_events
from sagas.core.definition import ActionFacts, Definition
from sagas.core.expressions import CompiledTemplate
from sagas.core.fields import Fields, template
from sagas.core.limits import (
    DEADLINE_S_MAX,
    DESCRIPTION_LENGTH_MAX,
    LABELS_MAX,
    NAME_LENGTH_MAX,
    PROBLEMS_MAX,
    REDACTED_MAX,
    TITLE_LENGTH_MAX,
    UNIT_LENGTH_MAX,
)
from sagas.core.names import Names
from sagas.core.problem import Problem, Report, check_payload, few_guesses, found_text
from sagas.core.redacted_places import redaction_of
from sagas.core.schema import check_input, check_schema
from sagas.core.source import read_source
from sagas.core.steps import SAGA_NAME, all_readable, read_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.redaction import Redaction
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

SAGA_KEYS = (
    "saga", "title", "style", "description", "input", "key", "labels", "amount", "unit", "output", "deadline",
    "on_compensation_failure", "in_doubt", "defaults", "steps",
)  # fmt: skip
ON_COMPENSATION_FAILURE = ("stop", "continue")  # the first one is meant where nothing is said
IN_DOUBT = ("compensate", "ask")

SAGA_RESERVED = frozenset(("actions", "new", "publish", "simulate", "start", "validate", "versions"))  # of addresses
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


def check_source(text: str, actions: Mapping[str, ActionFacts], services: Mapping[str, str] | None = None) -> Checked:
    """Check YAML or JSON text and report every problem at once.

    Args:
        text: the document as written.
        actions: what this process knows about Python actions. An action that nobody
            registered is a warning: it may be registered where the workers run.
        services: the kind of each registered service by its name (`http`, `command`); None
            when nobody knows them here: then none is missed.
    """
    document, report = read_source(text)
    if not report.problems:
        with few_guesses():
            definition = _read(document, actions, report, services)
        if definition is not None:
            _check_name(definition.saga, report)
            if definition.choreography is None:
                rules.check(definition, document, actions, report)
            else:
                choreography_checks.check(definition.choreography, definition.steps, report)
                rules.check_reactions(definition, document, actions, report)
    problems = sorted(report.problems, key=_place)[:PROBLEMS_MAX]
    warnings = sorted(report.warnings, key=_place)[:PROBLEMS_MAX]
    return Checked(None if problems else document, tuple(problems), tuple(warnings))


def _check_name(saga: str, report: Report) -> None:
    """Refuse names that our own addresses use. Of new documents only: one stored before still compiles."""
    if saga in SAGA_RESERVED:
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


def _read(
    document: Json, actions: Mapping[str, ActionFacts], report: Report, services: Mapping[str, str] | None = None
) -> Definition | None:
    """Read the whole document; the result is only good when the report has no problems."""
    reacts = is_choreography(document)
    known, other = (CHOREOGRAPHY_KEYS, SAGA_KEYS) if reacts else (SAGA_KEYS, CHOREOGRAPHY_KEYS)
    what, another = ("a choreography", STYLES[0]) if reacts else ("a saga", STYLES[1])
    fields = Fields(document, (), report, what=what, known=known, of_others=(another, other))
    if not fields.is_mapping:
        return None
    saga = fields.name(
        "saga", SAGA_NAME, f"small letters, digits and single dashes, at most {NAME_LENGTH_MAX}, such as create-order",
        "the name by which this saga is known for life, such as create-order.",
    )  # fmt: skip
    fields.choice("style", STYLES)
    fields.text("description", length_max=DESCRIPTION_LENGTH_MAX)
    if reacts:
        return _choreography(saga, fields, actions, services, document)
    if "input" in fields:
        check_schema(fields.raw("input"), ("input",), report)
    steps = read_steps(fields, actions, services)
    deadline_s = fields.duration_s("deadline", 0.0, 0.001, DEADLINE_S_MAX)
    output = fields.template("output", all_readable(steps))
    redaction = redaction_of(steps, output)
    _check_count(redaction, fields, "steps")
    return Definition(
        saga=saga,
        title=fields.text("title", saga.replace("-", " ").capitalize(), length_max=TITLE_LENGTH_MAX),
        steps=steps,
        input_schema=fields.raw("input"),
        key=_text_template(fields, "key"),
        labels=_labels(fields),
        amount=_amount(fields),
        unit=fields.text("unit", length_max=UNIT_LENGTH_MAX),
        output=output,
        deadline_s=deadline_s or None,
        stops_on_compensation_failure=fields.choice("on_compensation_failure", ON_COMPENSATION_FAILURE) == "stop",
        asks_when_in_doubt=fields.choice("in_doubt", IN_DOUBT) == "ask",
        content_hash=content_hash(document),
        redaction=redaction,
    )


def _choreography(
    saga: str,
    fields: Fields,
    actions: Mapping[str, ActionFacts],
    services: Mapping[str, str] | None,
    document: dict[str, Json],
) -> Definition:
    steps, chart = read_choreography(fields, actions, services)
    redaction = redaction_of_events(read_hidden_events(fields), steps, chart)
    _check_count(redaction, fields, "redact" if "redact" in fields else "reactions")
    return Definition(
        saga=saga,
        title=fields.text("title", saga.replace("-", " ").capitalize(), length_max=TITLE_LENGTH_MAX),
        steps=steps,
        labels=_labels(fields, EVENT_NAMES),
        amount=_amount(fields, EVENT_NAMES),
        unit=fields.text("unit", length_max=UNIT_LENGTH_MAX),
        deadline_s=fields.duration_s("deadline", 0.0, 0.001, DEADLINE_S_MAX) or None,
        content_hash=content_hash(document),
        redaction=redaction,
        choreography=chart,
    )


def _check_count(redaction: Redaction, fields: Fields, key: str) -> None:
    if redaction.count > REDACTED_MAX:
        message = f"more than {REDACTED_MAX} places would be redacted, those that paths add included."
        fields.error(key, "too_many", message)


def _text_template(fields: Fields, key: str) -> CompiledTemplate | None:
    if key in fields and not isinstance(fields.raw(key), str):
        message = f"`{key}` must be text with an expression; found {found_text(fields.raw(key))}."
        fields.error(key, "wrong_value", message)
        return None
    return fields.template(key, _START)


def _amount(fields: Fields, names: Names = _START) -> CompiledTemplate | None:
    value = fields.raw("amount")
    if "amount" in fields and not (isinstance(value, str) and "${" in value) and type(value) is not int:
        expected = "an expression such as ${input.amount}, or a whole number"
        fields.error("amount", "wrong_value", f"`amount` must be {expected}; found {found_text(value)}.")
        return None
    return fields.template("amount", names)


def _labels(fields: Fields, names: Names = _START) -> dict[str, CompiledTemplate]:
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
        if not STEP_NAME.fullmatch(name):
            message = f"a label's name must be small letters, digits and underscores; found {found_text(name)}."
            fields.report.error((*path, name), "wrong_value", message, at_key=True)
        if isinstance(source, list | dict) or source is None:
            message = f"a label must be text, a number, true or false; found {found_text(source)}."
            fields.report.error((*path, name), "wrong_value", message)
        elif compiled := template(source, (*path, name), names, fields.report):
            found[name] = compiled
    return found
