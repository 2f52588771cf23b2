"""Crash a scripted run at every point, and its recovery at every point again.

What comes after a crash depends on nothing but what is stored, what participants
and people know, and the time. So one life, looked at from outside at each of its
points, shows every state that a crash can leave, and the recovery from each
different one is driven once. `kill_everywhere` does the same by force: the
machine dies at each point for real; a test compares both.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from sagas.catalog.load import load_version
from sagas.core.definition import Definition
from sagas.models import Saga
from tests.simulation.choreographies import dramas_of
from tests.simulation.script import Script, scripts_of
from tests.simulation.verdict import End, end_of, judge
from tests.simulation.world import Snapshot, World


class ViolatedError(AssertionError):
    """A case broke a promise."""


@dataclass
class Tally:
    """What was tried."""

    scripts: int = 0
    killed: int = 0  # single crashes in which the machine died for real
    frozen: int = 0  # pumps that stood still past their lease
    singles: int = 0  # points of a life
    pairs: int = 0  # points of a life times the points of each recovery
    recoveries: int = 0  # driven to the end and judged
    points_max: int = 0

    def __str__(self) -> str:
        return (
            f"{self.scripts} scripts: {self.killed} machines killed, {self.frozen} frozen; {self.singles} single"
            f" crashes and {self.pairs} pairs covered by {self.recoveries} different recoveries;"
            f" at most {self.points_max} points in a life"
        )


@dataclass
class Left:
    """A state that crashes leave: one way to get there, and how many ways there are."""

    state: Snapshot
    deaths: tuple[int, ...]
    ways: int


Lefts = dict[tuple[object, ...], Left]


class Trial:
    """All the crashes of one script."""

    def __init__(self, world: World, script: Script, tally: Tally) -> None:
        """Run it once in peace.

        Raises:
            ViolatedError: something is wrong even so.
        """
        self.world, self.script, self.tally = world, script, tally
        self._definition = definition_of(script.definition)
        self._is_timed = self._definition.deadline_s is not None
        self._calm: End | None = None
        begin(world, script)
        self.lefts = self._watch(())
        self._calm = end_of(world)
        if self._calm.status != script.ends[0]:
            self._fail((), [f"without a crash it ends {self._calm.status}"])
        tally.scripts += 1
        tally.singles += world.machine.reached
        self.points = world.machine.reached

    def _watch(self, deaths: tuple[int, ...]) -> Lefts:
        """Live on to the end, judge it, and return what a crash at each point would have left."""
        lefts: Lefts = {}
        for point, state in enumerate(self.world.watch(), start=1):
            known = lefts.setdefault(state.key(is_timed=self._is_timed), Left(state, (*deaths, point), 0))
            known.ways += 1
        self._judge(deaths)
        return lefts

    def recover_from_all(self, *, depth: int, sample: int | None = None, seed: int = 0) -> None:
        """Recover from every state that up to `depth` crashes leave; of those after the first, from a sample.

        Raises:
            ViolatedError: naming the case.
        """
        dice = random.Random(seed)
        done: set[tuple[object, ...]] = set()
        frontier = self.lefts
        for level in range(1, depth + 1):
            after: Lefts = {}
            chosen = [key for key in frontier if key not in done]
            if level > 1 and sample is not None:
                chosen = dice.sample(chosen, min(sample, len(chosen)))
            for key in chosen:
                done.add(key)
                left = frontier[key]
                self.world.restore(left.state)
                found = self._watch(left.deaths)
                self.tally.recoveries += 1
                if level == 1:
                    self.tally.pairs += left.ways * self.world.machine.reached
                for other, one in found.items():
                    after.setdefault(other, one)
            frontier = after

    def kill_everywhere(self) -> None:
        """Let the machine die at each point for real, and recover each time.

        Raises:
            ViolatedError: naming the case.
        """
        for point in range(1, self.points + 1):
            begin(self.world, self.script)
            if self.world.live(point):
                self._fail((point,), ["the machine was to die, and did not"])
            if self.world.snapshot().key(is_timed=self._is_timed) not in self.lefts:
                self._fail((point,), ["the crash left another state than was seen from outside"])
            self.world.live()
            self._judge((point,))
            self.tally.killed += 1

    def freeze_everywhere(self, meanwhile: Callable[[], None]) -> None:
        """Let the pump stand still at each point past its lease, and go on when another has taken the run.

        Raises:
            ViolatedError: naming the point.
        """
        for point in range(1, self.points + 1):
            begin(self.world, self.script)
            self.world.freeze(point, meanwhile)
            self._judge((point,))
            self.tally.frozen += 1

    def _judge(self, deaths: tuple[int, ...]) -> None:
        self.tally.points_max = max(self.tally.points_max, self.world.machine.reached)
        if found := judge(self.world, self._definition, len(deaths), self._calm):
            self._fail(deaths, found)

    def _fail(self, deaths: tuple[int, ...], found: list[str]) -> None:
        case = f"{self.script}@{'+'.join(map(str, deaths))}"
        listed = "\n  ".join(found)
        raise ViolatedError(f"{case}\n  {listed}\nAgain, alone:  python -m tests.simulation '{case}'")


def definition_of(saga: str) -> Definition:
    """Return the published definition of one saga."""
    return load_version(Saga.objects.get(name=saga).latest_id)


def scripts(saga: str) -> list[Script]:
    """Return every script of one saga."""
    definition = definition_of(saga)
    return scripts_of(definition) if definition.choreography is None else [*dramas_of(definition)]


def find_script(name: str) -> Script:
    """Return the script that a case names: `saga/name of the script`."""
    return next(one for one in scripts(name.partition("/")[0]) if str(one) == name)


def begin(world: World, script: Script) -> None:
    """Nothing has happened yet."""
    world.restore(world.nothing)
    world.script = script


def run_case(world: World, script: Script, deaths: tuple[int, ...]) -> list[str]:
    """Run one case alone, from the beginning; return what is wrong."""
    definition = definition_of(script.definition)
    begin(world, script)
    world.live()
    calm = end_of(world)
    begin(world, script)
    died = sum(not world.live(point) for point in deaths)
    world.live()
    return judge(world, definition, died, calm)
