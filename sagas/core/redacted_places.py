"""From what `redact` names to every place where the same values stand (see `redaction.py`), and what shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sagas.core.definition import Approval, SignalWait
from sagas.core.http_request import RequestTemplate
from sagas.core.limits import JSON_DEPTH_MAX, REDACTED_MAX
from sagas.core.redaction import (
    OUTPUT,
    PLAIN,
    READ,
    Keys,
    Place,
    Redaction,
    begins,
    input_of,
    items_of,
    keys_of,
    leaves,
    output_of,
    root_of,
    signal_of,
)
from sagas.core.vocabulary import Phase

if TYPE_CHECKING:
    from sagas.core.definition import Definition, Step, Template
    from sagas.core.problem import Path, Report


def redaction_of(steps: Iterable[Step], output: Template | None) -> Redaction:
    """Return what is hidden in runs of these steps."""
    steps = tuple(steps)
    return spread({place for step in steps for place in step.redact}, copies(steps, output))


def spread(found: set[Place], same_values: Iterable[tuple[Place, Place]]) -> Redaction:
    """Return what is hidden when these places are, and all at which the same values stand."""
    same: dict[str, list[tuple[Keys, Place]]] = defaultdict(list)
    for one, other in same_values if found else ():
        same[one[0]].append((one[1], other))
        same[other[0]].append((other[1], one))
    todo = list(found)
    while todo and len(found) <= REDACTED_MAX:  # the reader refuses more
        root, keys = todo.pop()
        for at, (there, to) in same[root]:
            if not (begins(keys, at) or begins(at, keys)):
                continue
            place = (there, (*to, *keys[len(at) :])[:JSON_DEPTH_MAX])
            if place not in found:
                found.add(place)
                todo.append(place)
    places: dict[str, list[Keys]] = {}
    for root, keys in sorted(found):
        if not any(keys[: len(kept)] == kept for kept in places.setdefault(root, [])):  # sorted: the shorter come first
            places[root].append(keys)
    return Redaction({root: tuple(kept) for root, kept in places.items()}, len(found))


def copies(steps: tuple[Step, ...], output: Template | None) -> Iterator[tuple[Place, Place]]:
    """Yield pairs of places at which the same value stands."""
    for step in steps:
        if step.action is not None:
            yield from _copies_of(step.action.arguments, input_of(step.name, Phase.ACTION), step.name)
        if step.compensation is not None:
            yield from _copies_of(step.compensation.arguments, input_of(step.name, Phase.COMPENSATION), step.name)
        if step.probe is not None and isinstance(step.probe.arguments, RequestTemplate):
            yield from _copies_of(step.probe.arguments, input_of(step.name, Phase.PROBE), step.name)
        if step.for_each is not None:
            yield from _copies_of(step.for_each, items_of(step.name), step.name)
        if isinstance(step.wait, SignalWait):
            yield (output_of(step.name, Phase.ACTION), ()), (signal_of(step.wait.signal), ())
    if output is not None:
        yield from _copies_of(output, OUTPUT, "")


def _copies_of(template: Template, root: str, step: str) -> Iterator[tuple[Place, Place]]:
    for keys, text in leaves(template.source):
        if (
            (plain := PLAIN.fullmatch(text))
            and (read := READ.fullmatch(plain[1]))
            and (source := root_of(read[1], step))
        ):
            yield (root, keys), (source, keys_of(read[2]))


def check(definition: Definition, report: Report) -> None:
    """Report what would show a hidden value, and warn of what may."""
    redaction = definition.redaction
    if not redaction:
        return
    chart = definition.choreography
    named = {
        "key": definition.key,
        "amount": definition.amount,
        "correlate": None if chart is None else chart.correlate,
    }
    facts: list[tuple[Path, Template]] = [((name,), one) for name, one in named.items() if one is not None]
    facts += [(("labels", name), one) for name, one in definition.labels.items()]
    for path, template in facts:
        for _, text in leaves(template.source):
            for read in redaction.reads_hidden(text):
                message = f"this would show `{read}`, which is redacted: a run is found by it."
                report.error(path, "redacted_shown", message)
    for path, template, root, owner in _shown(definition):
        for keys, text in leaves(template.source):
            if PLAIN.fullmatch(text) or redaction.hides(root, keys):
                continue
            for read in redaction.reads_hidden(text, owner):
                message = f"`{read}` is redacted, or holds what is; what this makes of it is shown."
                place = tuple(int(key) if key.isdecimal() else key for key in keys)
                within = template.place(place) if isinstance(template, RequestTemplate) else place
                report.warning((*path, *within), "redacted_read", message)
    for step in definition.steps:
        root = input_of(step.name, Phase.ACTION)
        if step.is_sub_saga and redaction.places.get(root):
            message = "what a sub-saga is given stands in its own run, which shows it unless its own steps redact it."
            report.warning(("steps", step.position, "with"), "redacted_passed_on", message)


def _shown(definition: Definition) -> Iterator[tuple[Path, Template, str, str]]:
    """Yield each template whose value is shown, with its place in the document, its root and its step."""
    if definition.output is not None:
        yield ("output",), definition.output, OUTPUT, ""
    for step in definition.steps:
        at: Path = ("steps" if definition.choreography is None else "reactions", step.position)
        if step.action is not None:
            yield *_half(at, step.action.arguments), input_of(step.name, Phase.ACTION), step.name
        if step.compensation is not None and not step.is_sub_saga:
            path: Path = (*at, "compensation")
            yield *_half(path, step.compensation.arguments), input_of(step.name, Phase.COMPENSATION), step.name
        if step.probe is not None and isinstance(step.probe.arguments, RequestTemplate):
            yield at, step.probe.arguments, input_of(step.name, Phase.PROBE), step.name
        if step.for_each is not None:
            yield (*at, "for_each"), step.for_each, items_of(step.name), step.name
        if isinstance(step.wait, Approval):
            yield (*at, "approval", "prompt"), step.wait.prompt, "", step.name


def _half(at: Path, arguments: Template) -> tuple[Path, Template]:
    """Return where the arguments of a half begin in the document: those of a request stand at several places."""
    return (at if isinstance(arguments, RequestTemplate) else (*at, "with")), arguments
