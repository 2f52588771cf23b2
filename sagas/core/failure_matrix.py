"""Every step of a saga with everything that can go wrong with it: how the run ends, and what stays behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core.failure_cases import Case, step_cases
from sagas.core.reaction_cases import reaction_cases
from sagas.core.simulate import simulate
from sagas.core.simulation import SimulatedStatus, Simulation

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.vocabulary import Json

_ENDLESS = frozenset({SimulatedStatus.STILL_RETRYING, SimulatedStatus.WAITING, SimulatedStatus.CUT_SHORT})


@dataclass(frozen=True)
class Row:
    """One line of the matrix. `faults` and `orders` are the script that led there."""

    step: str  # empty: nothing goes wrong; of an event from outside, its type
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
            "undone_by": self.simulation.undone_by,
            "missing": [one.as_json() for one in self.simulation.missing],
            "leftovers": [one.as_json() for one in self.simulation.leftovers],
            "took_s": round(self.simulation.took_s, 6),
            "worst_s": None if self.worst_s is None else round(self.worst_s, 6),
            "worst_status": self.worst_status.value,
        }


def failure_matrix(definition: Definition, input: Json) -> tuple[Row, ...]:  # noqa: A002 - the word of the law
    """Return every line of the matrix (see `failure_rows`)."""
    return tuple(failure_rows(definition, input))


def failure_rows(
    definition: Definition,
    input: Json,  # noqa: A002 - the word of the law
    is_over: Callable[[], bool] | None = None,
) -> Iterator[Row]:
    """Simulate every step with everything that can go wrong with it; first, that nothing does.

    An `atomic` action is never unknown, so it has no such rows. A probe tells the
    truth but in a row of its own. A compensation
    fails after the next step was rejected; that of a step with none after it,
    after a cancel while the step is under way. Of a choreography also what services
    keep silent about, and events from outside that do not come, or come (`reaction_cases.py`).

    Args:
        definition: the saga, compiled.
        input: as for a start.
        is_over: asked all the time; once it says true, no more lines come.

    Raises:
        SimulationInvalidError: the input does not fit.
    """
    is_choreography = definition.choreography is not None
    cases = reaction_cases(definition, input, is_over) if is_choreography else step_cases(definition)
    for step, case, faults, orders in cases:
        row = _row(definition, input, step, case, faults, orders, is_over)
        if is_over is not None and is_over():
            return
        yield row


def _row(
    definition: Definition,
    value: Json,
    step: str,
    case: Case,
    faults: dict[str, Json],
    orders: tuple[dict[str, Json], ...],
    is_over: Callable[[], bool] | None,
) -> Row:
    found = simulate(definition, value, faults, orders=orders, is_over=is_over)
    worst = simulate(definition, value, faults, orders=orders, is_slow=True, is_over=is_over)
    return Row(
        step=step,
        case=case,
        simulation=found,
        worst_s=None if worst.status in _ENDLESS else worst.took_s,
        worst_status=worst.status,
        faults=faults,
        orders=orders,
    )
