"""Every step of a saga with everything that can go wrong with it: how the run ends, and what stays behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sagas.core.definition import Approval, Timer
from sagas.core.script import PROBE_MARK
from sagas.core.simulate import simulate
from sagas.core.simulation import SimulatedStatus, Simulation

if TYPE_CHECKING:
    from sagas.core.definition import Definition, Step
    from sagas.core.vocabulary import Json

_ENDLESS = frozenset({SimulatedStatus.STILL_RETRYING, SimulatedStatus.WAITING, SimulatedStatus.CUT_SHORT})


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
    NEVER_COMES = "never_comes"  # a signal, or the answer of a person
    COMPENSATION_FAILS = "compensation_fails"  # to the end of its policy


@dataclass(frozen=True)
class Row:
    """One line of the matrix. `faults` and `orders` are the script that led there."""

    step: str  # empty: nothing goes wrong
    case: Case
    simulation: Simulation
    worst_s: float | None  # every attempt as long as its time-out, every wait as long as it can be; None: no end
    worst_status: SimulatedStatus  # in that time the deadline may pass
    faults: Mapping[str, Json] = field(default_factory=dict)
    orders: tuple[Mapping[str, Json], ...] = ()

    def as_json(self) -> dict[str, Json]:
        """Return the line as JSON."""
        return {
            "step": self.step,
            "case": self.case.value,
            "faults": dict(self.faults),
            "orders": [dict(order) for order in self.orders],
            "status": self.simulation.status.value,
            "reason": self.simulation.reason,
            "attention": self.simulation.attention,
            "undone": self.simulation.undone,
            "leftovers": [one.as_json() for one in self.simulation.leftovers],
            "took_s": round(self.simulation.took_s, 6),
            "worst_s": None if self.worst_s is None else round(self.worst_s, 6),
            "worst_status": self.worst_status.value,
        }


def failure_matrix(definition: Definition, input: Json) -> tuple[Row, ...]:  # noqa: A002 - the word of the law
    """Simulate every step with everything that can go wrong with it; first, that nothing does.

    An `atomic` action is never unknown, so it has no such rows. A probe tells the
    truth but in a row of its own. A compensation
    fails after the next step was rejected; that of a step with none after it,
    after a cancel while the step is under way.

    Raises:
        SimulationInvalidError: the input does not fit.
    """
    return tuple(
        _row(definition, input, step, case, faults, orders) for step, case, faults, orders in _cases(definition)
    )


_Case = tuple[str, Case, dict[str, "Json"], tuple[dict[str, "Json"], ...]]


def _cases(definition: Definition) -> Iterator[_Case]:
    yield "", Case.NOTHING, {}, ()
    for step in definition.steps:
        name = step.name
        if step.action is None:
            yield from _cases_of_a_wait(step)
        elif step.is_sub_saga:
            yield name, Case.REJECTED, {name: "rejected"}, ()  # the child was undone
            yield name, Case.UNKNOWN_AFTER, {name: {"outcome": "unknown", "happened": True}}, ()  # only partly
        else:
            yield from _cases_of_a_call(step, is_atomic=step.action.is_atomic)
        if step.compensation is not None and name not in definition.past_pivot:
            yield from _compensation_fails(definition, step)


def _cases_of_a_wait(step: Step) -> Iterator[_Case]:
    if isinstance(step.wait, Approval):
        yield step.name, Case.REJECTED, {step.name: "rejected"}, ()
    if not isinstance(step.wait, Timer):
        yield step.name, Case.NEVER_COMES, {step.name: "never"}, ()


def _cases_of_a_call(step: Step, *, is_atomic: bool) -> Iterator[_Case]:
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


def _compensation_fails(definition: Definition, step: Step) -> Iterator[_Case]:
    faults: dict[str, Json] = {f"{step.name}.compensation": "failed"}
    after = [one for name in definition.successors[step.name] if (one := definition.by_name[name]).when is None]
    refusing = next((one.name for one in after if one.action is not None or isinstance(one.wait, Approval)), None)
    if refusing is not None:
        yield step.name, Case.COMPENSATION_FAILS, {refusing: "rejected", **faults}, ()
    elif after or step.action is not None:  # a wait that is cancelled has nothing to undo
        during = after[0].name if after else step.name
        yield step.name, Case.COMPENSATION_FAILS, faults, ({"verb": "cancel", "during": during},)


def _row(
    definition: Definition,
    value: Json,
    step: str,
    case: Case,
    faults: dict[str, Json],
    orders: tuple[dict[str, Json], ...],
) -> Row:
    found = simulate(definition, value, faults, orders=orders)
    worst = simulate(definition, value, faults, orders=orders, is_slow=True)
    return Row(
        step=step,
        case=case,
        simulation=found,
        worst_s=None if worst.status in _ENDLESS else worst.took_s,
        worst_status=worst.status,
        faults=faults,
        orders=orders,
    )
