"""A run of a saga on paper: the decider with scripted outcomes, on a clock that jumps. Nothing is executed.

Nothing here decides: each entry comes from `decide`, as in a worker. What a
worker and the participants would add is written in a script (`script.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sagas.core.definition import Definition
from sagas.core.problem import Problem
from sagas.core.schema import check_input
from sagas.core.script import SimulationInvalidError, read_script
from sagas.core.simulated_events import EventSimulator
from sagas.core.simulation import Simulation
from sagas.core.simulator import Simulator
from sagas.core.vocabulary import Json


def simulate(
    definition: Definition,
    input: Json,  # noqa: A002 - the word of the law
    faults: Mapping[str, Json] | None = None,
    *,
    orders: Sequence[Mapping[str, Json]] = (),
    is_slow: bool = False,
    is_over: Callable[[], bool] | None = None,
) -> Simulation:
    """Say what becomes of a run when its attempts end as scripted; those that `faults` does not name succeed.

    A refusal, a failure and a success take no time; an unknown outcome takes the
    time-out, a lost worker five seconds; waits between attempts are those of the
    policy, without jitter. A saga that waits for a person stops there, once the
    orders of the script are given; one that waits for an event, once those of the script have come.

    Args:
        definition: the saga, compiled.
        input: as for a start: it must fit the definition's schema. To a choreography, the data of the event that
            begins the run, which is the first of `starts_on` unless the script lets another one come early.
        faults: how attempts end, by `step` or `step.compensation`; what services tell of reactions that are only
            watched (see `read_script`).
        orders: what people order and which events come from outside, oldest first (see `read_script`).
        is_slow: every attempt takes its whole time-out and every wait is as long as it can be.
        is_over: asked between entries; true cuts the simulation short.

    Raises:
        SimulationInvalidError: input, faults or orders cannot be used.
    """
    parts, ordered = read_script(definition, {} if faults is None else faults, orders)
    if problems := check_input(definition, input):
        raise SimulationInvalidError([_within("/input", problem) for problem in problems])
    simulator = Simulator if definition.choreography is None else EventSimulator
    return simulator(definition, input, parts, ordered, is_slow=is_slow, is_over=is_over).run()


def _within(pointer: str, problem: Problem) -> Problem:
    path = f"input{'' if problem.path.startswith('[') or not problem.path else '.'}{problem.path}"
    return Problem(problem.message, path, pointer + problem.pointer, code=problem.code)
