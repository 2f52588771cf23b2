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
from sagas.core.simulation import Note
from sagas.core.vocabulary import Json, Phase

if TYPE_CHECKING:
    from sagas.core.definition import Definition, Half, Template, Wait

SOME_MOMENT = "2026-01-01T00:00:00Z"  # for a timer whose moment the script does not give: it rings at once
_STEP_OUTPUT = re.compile(r"\bsteps\s*\.\s*(\w+)\s*\.\s*output\b", re.ASCII)
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

    template: CompiledTemplate
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
        error: object = "it is null"
        try:
            value = self.template.render(_Ticking(scope, self.by))
            if not missing or value is not None or self.otherwise is None:
                return value
        except ExpressionError as broken:
            if not missing:
                raise
            error = broken
        if missing:
            named = ", ".join(f"`{name}`" for name in missing)
            message = f"The script gives no output of {named}, so this was supposed to have a value: {error}."
            self.by.note(Note("output_missing", message, self.step, self.phase))
        return self.otherwise


def suppose(definition: Definition, by: Supposing) -> Definition:
    """Return the definition with expressions that bear outputs which are not in the script."""

    def half(part: Half, step: str, phase: Phase) -> Half:
        return replace(part, arguments=_supposed(part.arguments, step, phase, by))

    def wait(part: Wait, step: str) -> Wait:
        if isinstance(part, Timer) and part.until is not None:
            return replace(part, until=_supposed(part.until, step, Phase.ACTION, by, otherwise=SOME_MOMENT))
        if isinstance(part, Approval):
            return replace(part, prompt=_supposed(part.prompt, step, Phase.ACTION, by, otherwise=""))
        return part

    steps = tuple(
        replace(
            step,
            when=None if step.when is None else _supposed(step.when, step.name, Phase.ACTION, by, otherwise=True),
            action=None if step.action is None else half(step.action, step.name, Phase.ACTION),
            compensation=None if step.compensation is None else half(step.compensation, step.name, Phase.COMPENSATION),
            wait=None if step.wait is None else wait(step.wait, step.name),
        )
        for step in definition.steps
    )

    def whole(template: Template | None) -> Template | None:
        return None if template is None else _supposed(template, "", None, by)

    return replace(
        definition,
        steps=steps,
        output=whole(definition.output),
        key=whole(definition.key),
        amount=whole(definition.amount),
        labels={name: _supposed(label, "", None, by) for name, label in definition.labels.items()},
    )


def _supposed(template: Template, step: str, phase: Phase | None, by: Supposing, *, otherwise: Json = None) -> Template:
    if not isinstance(template, CompiledTemplate) or not template.expressions:
        return template
    reads = {name for text in template.expressions for name in _STEP_OUTPUT.findall(text)}
    if any(_OWN_OUTPUT.search(text) for text in template.expressions):
        reads.add(step)
    return _Supposed(template, frozenset(reads), step, phase, by, otherwise)
