"""What a version's document says of its steps, read for showing.

Tolerant on purpose: a page must stand even for a document of a later format,
so an unknown form becomes a gap in the picture, never an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sagas.core import dag
from sagas.core.choreography import is_choreography
from sagas.core.definition import MAX_PARALLEL
from sagas.core.duration import parse_duration_s
from sagas.core.vocabulary import WaitingFor
from sagas.core.wait_form import GROUP

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json

_ATTEMPTS_DEFAULT = 3
_COMPENSATION_ATTEMPTS_DEFAULT = 10


class Undo(StrEnum):
    """Why a step has a compensation, or has none."""

    DECLARED = "declared"
    NOT_NEEDED = "not_needed"  # `compensation: none`, said out loud
    READS_ONLY = "reads_only"  # nothing was written, so nothing is declared
    AFTER_PIVOT = "after_pivot"  # the pivot, or behind it


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """What a step waits for by its document, a word of `WaitingFor`. Times are seconds; None means not said."""

    kind: str
    length_s: float | None = None
    moment: str = ""  # of `sleep_until`, as written
    signal: str = ""
    group: str = ""
    prompt: str = ""
    timeout_s: float | None = None
    goes_on: bool = False  # when the time is up; else the step fails


@dataclass(frozen=True, slots=True)
class ReactionPlan:
    """What a choreography says of a step: whose it is, on which events, and which events it emits."""

    service: str
    on: tuple[str, ...]
    emits: tuple[str, ...]  # what it emits when it succeeded, then when it was refused; empty text: nothing
    undoes: str = ""
    is_external: bool = False
    within_s: float | None = None


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step as the document has it. Attempts None means for ever; times are seconds."""

    name: str
    title: str
    position: int
    action: str
    undo: Undo
    compensation: str = ""
    compensation_title: str = ""
    is_pivot: bool = False
    after: tuple[str, ...] = ()
    condition: str = ""  # `when`, as written
    for_each: str = ""  # the list, as written
    max_parallel: int = MAX_PARALLEL
    wait: WaitPlan | None = None  # instead of an action
    probe: str = ""  # what is asked when nobody knows whether the action happened
    attempts_max: int | None = _ATTEMPTS_DEFAULT
    compensation_attempts_max: int | None = _COMPENSATION_ATTEMPTS_DEFAULT
    timeout_s: float | None = None
    compensation_timeout_s: float | None = None
    reaction: ReactionPlan | None = None  # in a choreography
    is_undone_outside: bool = False  # what undoes the reaction is done by its service, without us


def step_plans(document: Json) -> tuple[StepPlan, ...]:
    """Return the steps of a stored document, in its order."""
    document = document if isinstance(document, dict) else {}
    if is_choreography(document):
        return _reaction_plans(document)
    found = document.get("steps")
    steps = [step for step in found if isinstance(step, dict)] if isinstance(found, list) else []
    defaults = _object(document.get("defaults"))
    after = _order(steps)
    before = dag.ancestors(after)
    pivots = {name for name, step in zip(after, steps, strict=False) if step.get("pivot")}
    return tuple(
        replace(
            _step_plan(step, place, defaults, is_behind_pivot=bool(pivots & {name, *before[name]})),
            after=after[name],
            condition=_written(step.get("when")),
            for_each=_written(step.get("for_each")),
            max_parallel=_parallel(step.get("max_parallel")),
        )
        for place, (name, step) in enumerate(zip(after, steps, strict=False))
    )


def _reaction_plans(document: dict[str, Any]) -> tuple[StepPlan, ...]:
    """Return the reactions of a choreography as steps; what undoes one stands as its compensation too."""
    found = document.get("reactions")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    defaults = _object(document.get("defaults"))
    told = {_name(row, place): _reaction(row) for place, row in enumerate(rows)}
    undoing = {one.undoes: name for name, one in told.items() if one.undoes}
    tries = {
        _name(row, place): _attempts(row.get("retry"), defaults.get("retry"), _ATTEMPTS_DEFAULT)
        for place, row in enumerate(rows)
    }
    titles = {_name(row, place): str(row.get("title") or title_of(_name(row, place))) for place, row in enumerate(rows)}
    plans = []
    for place, (row, (name, one)) in enumerate(zip(rows, told.items(), strict=False)):
        timeout_s = _seconds(row.get("timeout", defaults.get("timeout")))
        undoer = undoing.get(name, "")
        plans.append(
            StepPlan(
                name=name,
                title=titles[name],
                position=place + 1,
                action=_action_name(row.get("action")) or one.service,
                undo=Undo.DECLARED if undoer else Undo.READS_ONLY if one.undoes else Undo.NOT_NEEDED,
                compensation=undoer,
                compensation_title=titles.get(undoer, ""),
                after=tuple(other for other, its in told.items() if other != name and {*its.emits} & {*one.on}),
                probe=_action_name(row.get("probe")),
                attempts_max=_attempts(row.get("retry"), defaults.get("retry"), _ATTEMPTS_DEFAULT),
                compensation_attempts_max=tries.get(undoer, _ATTEMPTS_DEFAULT),
                timeout_s=timeout_s,
                reaction=one,
                is_undone_outside=bool(undoer) and told[undoer].is_external,
            )
        )
    return tuple(plans)


def _reaction(row: dict[str, Any]) -> ReactionPlan:
    emits, on, action = _object(row.get("emits")), row.get("on"), _object(row.get("action"))
    called = next((_object(action[kind]).get("service") for kind in ("http", "command") if kind in action), "")
    return ReactionPlan(
        service=str(row.get("service") or called or ""),
        on=tuple(str(kind) for kind in on) if isinstance(on, list) else (),
        emits=(str(emits.get("succeeded") or ""), str(emits.get("rejected") or "")),
        undoes=str(row.get("undoes") or ""),
        is_external=bool(row.get("external")),
        within_s=_seconds(row.get("within")),
    )


def _order(steps: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return what each step comes after; by itself, the one above it."""
    names = [_name(step, place) for place, step in enumerate(steps)]
    return {
        name: tuple(one for one in step["after"] if one in names)
        if isinstance(step.get("after"), list)
        else tuple(names[place - 1 : place])
        for place, (name, step) in enumerate(zip(names, steps, strict=True))
    }


def _name(step: dict[str, Any], place: int) -> str:
    return str(step.get("name") or f"step {place + 1}")


def _parallel(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else MAX_PARALLEL


def _written(value: Json) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def title_of(name: str) -> str:
    """Make a title of an identifier.

    >>> title_of("shop.refund_payment")
    'Refund payment'
    """
    words = name.rpartition(".")[2].replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def _step_plan(step: dict[str, Any], place: int, defaults: dict[str, Any], *, is_behind_pivot: bool) -> StepPlan:
    name = _name(step, place)
    declared = step.get("compensation")
    child = step["run"] if isinstance(step.get("run"), str) else ""
    is_undone_with_child = child and declared is None and not is_behind_pivot
    compensation = f"undo {child}" if is_undone_with_child else _action_name(declared)
    if compensation:
        undo = Undo.DECLARED
    elif is_behind_pivot:
        undo = Undo.AFTER_PIVOT
    else:
        undo = Undo.NOT_NEEDED if declared == "none" else Undo.READS_ONLY
    half = _object(declared)
    timeout_s = _seconds(step.get("timeout", defaults.get("timeout")))
    return StepPlan(
        name=name,
        title=str(step.get("title") or title_of(name)),
        position=place + 1,
        action=child or _action_name(step.get("action")),
        undo=undo,
        compensation=compensation,
        compensation_title=str(half.get("title") or ("" if _calls_service(declared) else title_of(compensation))),
        is_pivot=bool(step.get("pivot")),
        wait=_wait_plan(step),
        probe=_action_name(step.get("probe")),
        attempts_max=_attempts(step.get("retry"), defaults.get("retry"), _ATTEMPTS_DEFAULT),
        compensation_attempts_max=_attempts(
            half.get("retry"), defaults.get("compensation_retry"), _COMPENSATION_ATTEMPTS_DEFAULT
        ),
        timeout_s=timeout_s,
        compensation_timeout_s=_seconds(half.get("timeout")) or timeout_s,
    )


def _wait_plan(step: dict[str, Any]) -> WaitPlan | None:
    if "sleep" in step:
        return WaitPlan(WaitingFor.TIMER.value, length_s=_seconds(step["sleep"]))
    if "sleep_until" in step:
        return WaitPlan(WaitingFor.TIMER.value, moment=str(step["sleep_until"]))
    for key, kind in (("wait_for", WaitingFor.SIGNAL), ("approval", WaitingFor.APPROVAL)):
        if key in step:
            said = _object(step[key])
            return WaitPlan(
                kind.value,
                signal=str(said.get("signal") or ""),
                group=str(said.get("group") or GROUP) if kind is WaitingFor.APPROVAL else "",
                prompt=str(said.get("prompt") or ""),
                timeout_s=_seconds(said.get("timeout")),
                goes_on=said.get("on_timeout") == "continue",
            )
    return None


def _seconds(value: Json) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return parse_duration_s(value) if isinstance(value, str) else None


def _attempts(own: Json, default: Json, fallback: int) -> int | None:
    for policy in (own, default):
        attempts = _object(policy).get("attempts")
        if attempts == "forever":
            return None
        if isinstance(attempts, int):
            return attempts
    return fallback


def _action_name(value: Json) -> str:
    """Name what is called: the action's own name, or the call for kinds that have none."""
    if isinstance(value, str):
        return "" if value == "none" else value
    if isinstance(value, dict):
        if "action" in value:
            return _action_name(value["action"])
        for kind in ("python", "http", "command", "run"):
            found = value.get(kind)
            if isinstance(found, dict):
                method = found.get("method") or ("POST" if kind == "http" else "")
                parts = (method or found.get("name"), found.get("service"), found.get("path") if method else "")
                return " ".join(str(part) for part in parts if part)
            if found:
                return str(found)
    return ""


def _calls_service(compensation: Json) -> bool:
    """Whether a service undoes a step: its request is no title."""
    action = _object(compensation).get("action")
    return isinstance(action, dict) and "python" not in action


def _object(value: Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
