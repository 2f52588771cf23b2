"""What can go wrong with a step: the scripts that a failure matrix tries."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from sagas.core.definition import Approval, Timer
from sagas.core.script import PROBE_MARK

if TYPE_CHECKING:
    from sagas.core.definition import Definition, Step
    from sagas.core.vocabulary import Json


class Case(StrEnum):
    """What goes wrong."""

    NOTHING = "nothing"
    REJECTED = "rejected"
    FAILED = "failed"  # at every attempt
    UNKNOWN_BEFORE = "unknown_before_effect"  # at every attempt, and it never happened
    UNKNOWN_AFTER = "unknown_after_effect"  # at every attempt, and it did happen
    PROBE_SILENT = "probe_silent"  # unknown at every attempt, it did happen, and the probe cannot say
    WORKER_LOST = "worker_lost"  # at the first attempt
    WORKER_LOST_ALWAYS = "worker_lost_always"  # five times in a row: then the engine stops trying
    NEVER_COMES = "never_comes"  # a signal, the answer of a person, or an event from outside
    SAYS_NOTHING = "says_nothing"  # a service that acts by itself
    COMES = "comes"  # an event from outside that nobody needs, after all else
    COMPENSATION_FAILS = "compensation_fails"  # to the end of its policy


FailureCase = tuple[str, Case, dict[str, "Json"], tuple[dict[str, "Json"], ...]]  # what, how, faults, orders


def step_cases(definition: Definition) -> Iterator[FailureCase]:
    """Yield every step with everything that can go wrong with it; first, that nothing does."""
    yield "", Case.NOTHING, {}, ()
    for step in definition.steps:
        name = step.name
        if step.action is None:
            yield from _cases_of_a_wait(step)
        elif step.is_sub_saga:
            yield name, Case.REJECTED, {name: "rejected"}, ()  # the child was undone
            yield name, Case.UNKNOWN_AFTER, {name: {"outcome": "unknown", "happened": True}}, ()  # only partly
        else:
            yield from cases_of_a_call(step, is_atomic=step.action.is_atomic)
        if step.compensation is not None and name not in definition.past_pivot:
            yield from _compensation_fails(definition, step)


def _cases_of_a_wait(step: Step) -> Iterator[FailureCase]:
    if isinstance(step.wait, Approval):
        yield step.name, Case.REJECTED, {step.name: "rejected"}, ()
    if not isinstance(step.wait, Timer):
        yield step.name, Case.NEVER_COMES, {step.name: "never"}, ()


def cases_of_a_call(step: Step, *, is_atomic: bool) -> Iterator[FailureCase]:
    """Yield what can become of a step or a reaction that is called."""
    name = step.name
    yield name, Case.REJECTED, {name: "rejected"}, ()
    yield name, Case.FAILED, {name: "failed"}, ()
    if not is_atomic:
        yield name, Case.UNKNOWN_BEFORE, {name: {"outcome": "unknown", "happened": False}}, ()
        yield name, Case.UNKNOWN_AFTER, {name: {"outcome": "unknown", "happened": True}}, ()
        if step.probe is not None:
            lost: Json = {"outcome": "unknown", "happened": True}
            yield name, Case.PROBE_SILENT, {name: lost, f"{name}{PROBE_MARK}": "unknown"}, ()
    yield name, Case.WORKER_LOST, {name: ["worker_lost"]}, ()
    yield name, Case.WORKER_LOST_ALWAYS, {name: "worker_lost"}, ()


def _compensation_fails(definition: Definition, step: Step) -> Iterator[FailureCase]:
    faults: dict[str, Json] = {f"{step.name}.compensation": "failed"}
    after = [one for name in definition.successors[step.name] if (one := definition.by_name[name]).when is None]
    refusing = next((one.name for one in after if one.action is not None or isinstance(one.wait, Approval)), None)
    if refusing is not None:
        yield step.name, Case.COMPENSATION_FAILS, {refusing: "rejected", **faults}, ()
    elif after or step.action is not None:  # a wait that is cancelled has nothing to undo
        during = after[0].name if after else step.name
        yield step.name, Case.COMPENSATION_FAILS, faults, ({"verb": "cancel", "during": during},)
