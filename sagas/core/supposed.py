"""Expressions in a simulation: those that read an output which the script does not give are supposed to have a value.

A saga would hardly ever be simulated to its end if each expression over a
missing output failed its step, as the law says of a real run. So the failure is
written down as a note, and the run goes on as if there had been a value. An
expression that fails for any other reason fails its step, as in life.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from sagas.core.definition import Approval, Timer
from sagas.core.expressions import CompiledTemplate, ExpressionError
from sagas.core.http_request import RequestTemplate
from sagas.core.problem import found_text
from sagas.core.simulation import Note
from sagas.core.vocabulary import Json, Phase

if TYPE_CHECKING:
    from sagas.core.definition import Definition, Half, Step, Template

SOME_MOMENT = "2026-01-01T00:00:00Z"  # for a timer whose moment the script does not give: it rings at once
_STEP_OUTPUT = re.compile(r"\bsteps\s*\.\s*(\w+)\s*\.\s*output\b", re.ASCII)
_ITEM = re.compile(r"(?<![\w.])item\b", re.ASCII)
_ONE_ITEM: list[Json] = [{}]  # for a list that the script does not give
_EVENT_DATA = re.compile(r"(?<![\w.])event\s*\.\s*data\b", re.ASCII)
_OWN_OUTPUT = re.compile(r"(?<![\w.])step\s*\.\s*output\b", re.ASCII)


class Supposing(Protocol):
    """Who renders: knows which outputs are made up, and counts."""

    made_up: set[str]

    def count(self, expressions: int) -> None:
        """Count expressions that are about to be evaluated."""

    def note(self, note: Note) -> None:
        """Keep a remark."""


class _Ticking(Mapping[str, Json]):
    """A scope that is counted with: before each CEL expression `by` may end the simulation."""

    def __init__(self, scope: Mapping[str, Json], by: Supposing) -> None:
        self._scope = scope
        self._by = by

    def tick(self) -> None:
        self._by.count(1)

    def __getitem__(self, name: str) -> Json:
        return self._scope[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scope)

    def __len__(self) -> int:
        return len(self._scope)


@dataclass(frozen=True, slots=True)
class _Supposed:
    """A template that has a value even where only an output is missing."""

    template: CompiledTemplate | RequestTemplate
    reads: frozenset[str]  # steps whose output it reads
    step: str  # whose input it is; empty for the output of the run
    phase: Phase | None
    by: Supposing
    otherwise: Json = None  # the value that is supposed

    @property
    def source(self) -> Json:
        return self.template.source

    def render(self, scope: Mapping[str, Json]) -> Json:
        self.by.count(0)
        missing = sorted(self.reads & self.by.made_up)
        error: object = ""
        try:
            value = self.template.render(_Ticking(scope, self.by))
            if not missing or self.otherwise is None or _fits(value, self.otherwise):
                return value
            error = f"it is {found_text(value)}"
        except ExpressionError as broken:
            if not missing:
                raise
            error = broken
        if missing:
            named = ", ".join(f"`{name}`" for name in missing)
            message = f"The script gives no output of {named}, so this was supposed to have a value: {error}."
            self.by.note(Note("output_missing", message, self.step, self.phase))
        return self.otherwise


def _fits(value: Json, otherwise: Json) -> bool:
    """Whether a value may stand where `otherwise` would be supposed."""
    return isinstance(value, list) if isinstance(otherwise, list) else value is not None


def suppose(definition: Definition, by: Supposing) -> Definition:
    """Return the definition with expressions that bear outputs which are not in the script."""

    def whole(template: Template | None) -> Template | None:
        return None if template is None else _supposed(template, "", None, by)

    return replace(
        definition,
        steps=tuple(_step(step, by, _told_by(definition, step)) for step in definition.steps),
        output=whole(definition.output),
        key=whole(definition.key),
        amount=whole(definition.amount),
        labels={name: _supposed(label, "", None, by) for name, label in definition.labels.items()},
    )


def _told_by(definition: Definition, step: Step) -> frozenset[str]:
    """Return the reactions whose output may be in the data of the event that a reaction is on."""
    return frozenset() if definition.choreography is None else frozenset(definition.ancestors[step.name])


def _step(step: Step, by: Supposing, told_by: frozenset[str]) -> Step:
    listed = _reads(step.for_each)

    def supposed(part: Template, phase: Phase, otherwise: Json = None) -> Template:
        return _supposed(part, step.name, phase, by, otherwise=otherwise, listed=listed, told_by=told_by)

    def half(part: Half | None, phase: Phase) -> Half | None:
        return None if part is None else replace(part, arguments=supposed(part.arguments, phase))

    wait = step.wait
    if isinstance(wait, Timer) and wait.until is not None:
        wait = replace(wait, until=supposed(wait.until, Phase.ACTION, SOME_MOMENT))
    elif isinstance(wait, Approval):
        wait = replace(wait, prompt=supposed(wait.prompt, Phase.ACTION, ""))
    return replace(
        step,
        when=None if step.when is None else supposed(step.when, Phase.ACTION, True),
        for_each=None if step.for_each is None else supposed(step.for_each, Phase.ACTION, _ONE_ITEM),
        action=half(step.action, Phase.ACTION),
        compensation=half(step.compensation, Phase.COMPENSATION),
        probe=half(step.probe, Phase.PROBE),
        wait=wait,
    )


def _reads(template: Template | None) -> frozenset[str]:
    """Return the steps whose output a template reads."""
    texts = template.expressions if isinstance(template, CompiledTemplate | RequestTemplate) else ()
    return frozenset(name for text in texts for name in _STEP_OUTPUT.findall(text))


def _supposed(
    template: Template,
    step: str,
    phase: Phase | None,
    by: Supposing,
    *,
    otherwise: Json = None,
    listed: frozenset[str] = frozenset(),
    told_by: frozenset[str] = frozenset(),
) -> Template:
    """Return a template that bears missing outputs.

    Args:
        template: it.
        step: whose it is; empty for those of the run.
        phase: which half of the step.
        by: who counts and takes notes.
        otherwise: the value that is supposed.
        listed: what the list of the step reads, and so each of its items.
        told_by: whose output the data of the event may hold.
    """
    if not isinstance(template, CompiledTemplate | RequestTemplate) or not template.expressions:
        return template
    reads = set(_reads(template))
    if any(_OWN_OUTPUT.search(text) for text in template.expressions):
        reads.add(step)
    if any(_ITEM.search(text) for text in template.expressions):
        reads |= listed
    if any(_EVENT_DATA.search(text) for text in template.expressions):
        reads |= told_by
    return _Supposed(template, frozenset(reads), step, phase, by, otherwise)
