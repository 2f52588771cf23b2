"""What can go wrong with a reaction, and how a run comes to it: the scripts of a choreography's failure matrix.

A reaction is only reached where its event comes: on the way on which all goes well, on
that of another event from outside, or after another reaction was refused. These ways are
looked for by simulating, so that what undoes is tried as well: each reaction that may be
refused is refused once, where a way first leads to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core.failure_cases import Case, FailureCase, cases_of_a_call
from sagas.core.simulate import simulate
from sagas.core.simulation import SimulatedStatus
from sagas.core.vocabulary import Verb

if TYPE_CHECKING:
    from sagas.core.choreography import Choreography, Reaction
    from sagas.core.definition import Definition
    from sagas.core.vocabulary import Json

_Order = dict[str, "Json"]


@dataclass(frozen=True)
class _Route:
    """A script, and what happened by it."""

    status: SimulatedStatus
    begun: frozenset[str]  # reactions
    faults: dict[str, Json] = field(default_factory=dict)
    orders: tuple[_Order, ...] = ()


@dataclass(frozen=True)
class _Paper:
    """What is simulated to look for ways."""

    definition: Definition
    value: Json
    is_over: Callable[[], bool] | None

    def follow(self, faults: dict[str, Json], orders: tuple[_Order, ...]) -> _Route:
        """Return what happens by a script."""
        run = simulate(self.definition, self.value, faults, orders=orders, is_over=self.is_over)
        return _Route(run.status, frozenset(key.step for key in run.state.steps), faults, orders)


def reaction_cases(
    definition: Definition, value: Json, is_over: Callable[[], bool] | None = None
) -> Iterator[FailureCase]:
    """Yield every reaction with everything that can go wrong with it, and events from outside that come or do not.

    The first case is that nothing goes wrong: where the run needs an event from outside to
    complete, the first one that lets it complete comes. Then, for each other type that
    begins a run, that it does.
    """
    chart = definition.choreography
    if chart is None:
        raise AssertionError(f"{definition.saga} is no choreography")
    paper = _Paper(definition, value, is_over)
    calm = _calm(chart, paper)
    usual = next((one for one in calm if one.status is SimulatedStatus.COMPLETED), calm[0])
    yield "", Case.NOTHING, {}, usual.orders
    begun = [(kind, paper.follow({}, (_event(kind) | {"early": True}, *usual.orders))) for kind in chart.starts_on[1:]]
    others = [route for route in calm if route is not usual]
    routes = _routes(chart, paper, [usual, *(route for _, route in begun), *others])
    for reaction in chart.reactions:
        for route in [one for one in routes if reaction.name in one.begun][:1]:
            for name, case, faults, _ in _cases_of(definition, reaction):
                yield name, case, route.faults | faults, route.orders
    for kind, route in begun:
        yield kind, Case.NOTHING, {}, route.orders
    for route in calm:
        for order in route.orders:
            is_needed = route is usual
            yield order["type"], Case.NEVER_COMES if is_needed else Case.COMES, {}, () if is_needed else route.orders


def _cases_of(definition: Definition, reaction: Reaction) -> Iterator[FailureCase]:
    step = definition.by_name[reaction.name]
    if step.action is not None:
        yield from cases_of_a_call(step, is_atomic=step.action.is_atomic)
        return
    if reaction.rejected:
        yield reaction.name, Case.REJECTED, {reaction.name: "rejected"}, ()
    if reaction.emits:
        yield reaction.name, Case.SAYS_NOTHING, {reaction.name: "never"}, ()


def _calm(chart: Choreography, paper: _Paper) -> list[_Route]:
    """Return the ways on which nobody refuses anything: what begins a run alone, and with one event from outside."""
    scripts = [(), *((_event(kind),) for kind in dict.fromkeys(chart.others))]
    return [paper.follow({}, script) for script in scripts]


def _routes(chart: Choreography, paper: _Paper, calm: list[_Route]) -> list[_Route]:
    """Return these ways, and for each reaction that may be refused the first of them that it is refused on."""
    found = list(calm)
    refused: set[str] = set()
    for route in found:  # grows meanwhile
        for reaction in chart.reactions:
            if reaction.rejected and reaction.name in route.begun and reaction.name not in refused:
                refused.add(reaction.name)
                found.append(paper.follow({**route.faults, reaction.name: "rejected"}, route.orders))
    return found


def _event(kind: str) -> _Order:
    return {"verb": Verb.EVENT.value, "type": kind}
