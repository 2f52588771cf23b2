"""What a document may not say although its form is right, and what it says but seldom means (lint)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from sagas.core import lint, redacted_places
from sagas.core.definition import Approval, SignalWait, Timer
from sagas.core.expressions import CompiledTemplate
from sagas.core.http_request import RequestTemplate
from sagas.core.problem import hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagas.core.definition import ActionFacts, Definition, Half, RetryPolicy, Step, Template
    from sagas.core.problem import Path, Report
    from sagas.core.vocabulary import Json

_INPUT_PROPERTY = re.compile(r"""input\s*(?:\.\s*\??\s*(\w+)|\[\s*\??\s*['"]([^'"]*)['"])""")
_PLAIN_INPUT = re.compile(r"input\.(\w+)(?:\.\w+)*", re.ASCII)
_MORE_PROPERTIES = frozenset((  # keywords that may declare properties elsewhere than under `properties`
    "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "patternProperties",
))  # fmt: skip
_OWN_OUTPUT = re.compile(r"(?<![\w.])step\s*\.\s*output")
_WHOLE_INPUT = re.compile(r"(?<![\w.])input(?!\s*(?:\.|\?|\[))")


def check(definition: Definition, document: Json, actions: Mapping[str, ActionFacts], report: Report) -> None:
    """Report what breaks a rule, then what is allowed but suspicious."""
    _pivot(definition, document, report)
    _compensations(definition, document, report)
    _probes(definition, actions, report)
    _endless_retries(definition, document, report)
    _endless_waits(definition, report)
    _missing_outputs(definition, report, actions)
    lint.conditions(definition, report)
    redacted_places.check(definition, report)
    _time_budget(definition, report)
    _inputs(definition, report)
    if definition.key is not None and not _expressions(definition.key):
        report.warning(("key",), "constant_key", "The key is the same for every start, so only one run can ever begin.")


def check_reactions(definition: Definition, document: Json, actions: Mapping[str, ActionFacts], report: Report) -> None:
    """Report what holds for the reactions of a choreography as for any step."""
    _probes(definition, actions, report)
    _endless_retries(definition, document, report)
    redacted_places.check(definition, report)


def _pivot(definition: Definition, document: Json, report: Report) -> None:
    pivots = [step for step in definition.steps if step.is_pivot]
    for step in pivots[1:]:
        message = f"a saga has at most one pivot; `{pivots[0].name}` is one already."
        report.error(("steps", step.position, "pivot"), "second_pivot", message)
    if not pivots:
        return
    first = pivots[0]
    if first.compensation is not None:
        message = "the pivot is the point of no return: it cannot have a compensation."
        report.error(("steps", first.position, "compensation"), "pivot_compensated", message, at_key=True)
    if first.when is not None:
        message = "the pivot is the point of no return: it cannot depend on a condition."
        report.error(("steps", first.position, "when"), "pivot_conditional", message, at_key=True)
    if first.for_each is not None:
        message = "the pivot is the point of no return: it happens once, not for each item of a list."
        report.error(("steps", first.position, "for_each"), "pivot_listed", message, at_key=True)
    if isinstance(first.wait, SignalWait | Approval) and first.wait.goes_on:
        key = "wait_for" if isinstance(first.wait, SignalWait) else "approval"
        message = "the pivot is the point of no return: the run cannot go on without it."
        report.error(("steps", first.position, key, "on_timeout"), "pivot_conditional", message, at_key=True)
    ancestors = definition.ancestors
    for step in definition.steps:
        if not step.is_pivot and step.name not in ancestors[first.name] and step.name not in definition.past_pivot:
            message = (
                f"`{step.name}` runs beside the pivot `{first.name}`: nobody could say whether it is undone. "
                "Let it come before the pivot or after it."
            )
            report.error(("steps", step.position, "after"), "beside_pivot", message)
        if step.name not in definition.past_pivot:
            continue
        if "compensation" in _said(definition, document, step) and step.compensation is not None:
            message = f"this compensation never runs: `{step.name}` comes after the pivot `{first.name}`."
            report.warning(("steps", step.position, "compensation"), "compensation_after_pivot", message)


def _compensations(definition: Definition, document: Json, report: Report) -> None:
    for step in _before_pivot(definition):
        said = document["steps"][step.position]
        calls_something = step.action is not None and step.action.action.name != ""  # else there is a worse problem
        is_silent = isinstance(said, dict) and "compensation" not in said and not step.is_sub_saga
        if step.writes and calls_something and is_silent:
            message = (
                f"step `{step.name}` changes something and has no `compensation`. "
                "Give it an action that undoes it, or say `compensation: none`."
            )
            report.error(("steps", step.position, "compensation"), "compensation_missing", message)


def _probes(definition: Definition, actions: Mapping[str, ActionFacts], report: Report) -> None:
    for step in definition.steps:
        if step.probe is None:
            continue
        name, path = step.probe.action.name, (_list(definition), step.position, "probe")
        facts = actions.get(name)
        if facts is not None and not facts.reads_only:
            message = (
                f"`{name}` is not registered with `reads_only=True`. A probe only looks whether the action happened: "
                "it is asked again and again, and nothing undoes it."
            )
            report.error((*path, "python"), "probe_writes", message)
        if step.action is not None and step.action.is_atomic:
            message = f"this probe is never asked: the outcome of an atomic action such as `{step.action.action.name}` "
            report.warning(path, "probe_unused", message + "is always known.")


def _list(definition: Definition) -> str:
    """Return the key under which the document has the steps."""
    return "steps" if definition.choreography is None else "reactions"


def _said(definition: Definition, document: Json, step: Step) -> dict[str, Json]:
    """Return what the document says of a step; nothing where it is no mapping."""
    said = document[_list(definition)][step.position]
    return said if isinstance(said, dict) else {}


def _before_pivot(definition: Definition) -> tuple[Step, ...]:
    return tuple(step for step in definition.steps if not step.is_pivot and step.name not in definition.past_pivot)


def _endless_retries(definition: Definition, document: Json, report: Report) -> None:
    if definition.deadline_s is not None:
        return
    for step in _before_pivot(definition) if definition.choreography is None else definition.steps:
        if step.action is not None and step.action.retry.attempts is None:
            has_own = "retry" in _said(definition, document, step)
            path: Path = (_list(definition), step.position, "retry") if has_own else ("defaults", "retry")
            message = f"step `{step.name}` is tried for ever and the saga has no `deadline`, so it may never end."
            report.warning(path, "endless_retry", message)


def _endless_waits(definition: Definition, report: Report) -> None:
    if definition.deadline_s is not None:
        return
    for step in definition.steps:
        if isinstance(step.wait, SignalWait | Approval) and step.wait.timeout_s is None:
            key = "wait_for" if isinstance(step.wait, SignalWait) else "approval"
            message = f"`{step.name}` has no `timeout` and the saga no `deadline`, so it may wait for ever."
            report.warning(("steps", step.position, key), "endless_wait", message)


def _missing_outputs(definition: Definition, report: Report, actions: Mapping[str, ActionFacts]) -> None:
    if definition.asks_when_in_doubt:
        return
    for step in definition.steps:
        facts = None if step.action is None else actions.get(step.action.action.name)
        if step.compensation is None or step.action is None or (facts is not None and facts.is_atomic):
            continue  # an atomic action is never in doubt
        for path, part in _arguments(step.compensation, ("steps", step.position, "compensation")):
            if not any(_OWN_OUTPUT.search(text) for text in _expressions(part)):
                continue
            message = (
                "`step.output` is missing when the outcome of the action is unknown. "
                "Read from `input` or `step.input` what the compensation needs."
            )
            report.warning(path, "output_in_doubt", message)


def _time_budget(definition: Definition, report: Report) -> None:
    if definition.deadline_s is None:
        return
    until_s: dict[str, float] = {}
    for name in definition.rank:
        step = definition.by_name[name]
        until_s[name] = _budget_s(step) + max((until_s[one] for one in step.after if one in until_s), default=0.0)
    budget_s = max(until_s.values(), default=0.0)
    if budget_s > definition.deadline_s:
        message = (
            f"time-outs, attempts and waits of the steps add up to {budget_s:.0f} s on the longest way, "
            f"which is more than the deadline of {definition.deadline_s:.0f} s."
        )
        report.warning(("deadline",), "deadline_short", message)


def _budget_s(step: Step) -> float:
    """Return how long a step may take, in seconds: of a list that is not written out, as long as its first items."""
    source = step.for_each.source if step.for_each is not None else None
    rounds = math.ceil(len(source) / step.max_parallel) if isinstance(source, list) else 1
    return rounds * _one_budget_s(step)


def _one_budget_s(step: Step) -> float:
    """Return how long an action or a wait may take; a wait with no end and a moment to come count for nothing."""
    if step.action is not None:
        return _half_budget_s(step.action.timeout_s, step.action.retry)
    return step.wait.length_s if isinstance(step.wait, Timer) else (step.wait and step.wait.timeout_s) or 0.0


def _half_budget_s(timeout_s: float, retry: RetryPolicy) -> float:
    attempts = retry.attempts or 1  # for ever has no sum; one try is what it needs at least
    budget_s, wait_s = attempts * timeout_s, retry.initial_s
    for _ in range(attempts - 1):
        budget_s += min(wait_s, retry.wait_s_max)
        wait_s = min(wait_s * retry.factor, retry.wait_s_max)
    return budget_s


def _inputs(definition: Definition, report: Report) -> None:
    """Compare the names that expressions read with those that the schema declares."""
    schema = definition.input_schema
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(schema, dict) or not isinstance(properties, dict):
        return
    found = [(path, text) for path, template in _templates(definition) for text in _expressions(template)]
    if not _MORE_PROPERTIES & schema.keys():
        _undeclared_inputs(found, properties, report, is_closed=schema.get("additionalProperties") is False)
    if any(_WHOLE_INPUT.search(text) for _, text in found):
        return
    read = {first or second for _, text in found for first, second in _INPUT_PROPERTY.findall(text)}
    for name in properties:
        if name not in read:
            report.warning(("input", "properties", name), "input_unused", f"no expression reads `input.{name}`.")


def _undeclared_inputs(
    found: list[tuple[Path, str]], properties: dict[str, Json], report: Report, *, is_closed: bool
) -> None:
    for path, text in found:
        plain = _PLAIN_INPUT.fullmatch(text)
        if plain is None or plain[1] in properties:
            continue
        message = f"the input has no `{plain[1]}`, so this would always be null.{hint(plain[1], properties)}"
        if is_closed:
            report.error(path, "input_unknown", message)
        else:
            report.warning(
                path, "input_unknown", message.replace("would always be null", "is null unless a start brings it")
            )


def _templates(definition: Definition) -> Iterator[tuple[Path, Template]]:
    """Yield every template with its place in the document."""
    for name, template in (("key", definition.key), ("amount", definition.amount), ("output", definition.output)):
        if template:
            yield (name,), template
    yield from ((("labels", name), template) for name, template in definition.labels.items())
    for step in definition.steps:
        place = ("steps", step.position)
        if step.when is not None:
            yield (*place, "when"), step.when
        if step.for_each is not None:
            yield (*place, "for_each"), step.for_each
        if step.action is not None:
            yield from _arguments(step.action, place)
        if isinstance(step.wait, Timer) and step.wait.until is not None:
            yield (*place, "sleep_until"), step.wait.until
        if isinstance(step.wait, Approval):
            yield (*place, "approval", "prompt"), step.wait.prompt
        if step.compensation is not None:
            yield from _arguments(step.compensation, (*place, "compensation"))
        if step.probe is not None and isinstance(step.probe.arguments, RequestTemplate):
            yield from _arguments(step.probe, place)


def _arguments(half: Half, at: Path) -> Iterator[tuple[Path, Template]]:
    """Yield what a half is called with; of a request, each of its parts by itself."""
    if isinstance(half.arguments, RequestTemplate):
        for name, part in half.arguments.parts.items():
            yield (*at, *half.arguments.place((name,))), part
    else:
        yield (*at, "with"), half.arguments


def _expressions(template: Template) -> tuple[str, ...]:
    return template.expressions if isinstance(template, CompiledTemplate) else ()
