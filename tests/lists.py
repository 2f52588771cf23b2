"""What the invariants say of lists: the items of a `for_each` step. A part of `tests.invariants.Watch`."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.core import messages as m
from sagas.core.definition import Definition
from sagas.core.list_state import ListState
from sagas.core.state import RunState
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, Phase, StepKey, StepStatus

HalfKey = tuple[StepKey, Phase]
_UNDONE = {CompensationStatus.SUCCEEDED, CompensationStatus.SETTLED}


class Lists:
    """The lists of a run and how far they are; `Watch` keeps the facts."""

    definition: Definition
    is_turning: bool
    is_backward: bool
    is_paused: bool
    in_flight: dict[HalfKey, int]
    waiting: dict[HalfKey, str]
    numbers: dict[HalfKey, int]
    succeeded: set[HalfKey]
    failed: set[HalfKey]
    in_doubt: set[StepKey]
    skipped: set[StepKey]
    settled: set[StepKey]
    given_up: set[StepKey]
    listed: dict[str, int]
    joined: set[str]

    def see_list(self, event: m.Event) -> list[str]:
        """Return what is wrong with how a list is made or joined, and with where its items start."""
        match event:
            case m.ItemsListed():
                return self._is_listed(event)
            case m.ItemsJoined():
                return self._is_joined(event)
            case m.StepSkipped():
                return self._is_skipped_whole(event)
            case m.TurnedRound():
                return [f"S3 the run turned round with the list {name} under way" for name in self._unjoined()]
            case m.AttemptStarted():
                return self._item_starts(event, event.phase, is_first=event.number == 1)
            case m.WaitStarted():
                return self._item_starts(event, Phase.ACTION, is_first=True)
        return []

    def runs_of(self, name: str) -> list[StepKey]:
        """Return the step runs that carry a step out: its items where it is a list."""
        if name not in self.listed:
            return [StepKey(name)]
        return [StepKey(name, number) for number in range(self.listed[name])]

    def all_runs(self) -> list[StepKey]:
        """Return every step run that is carried out."""
        return [key for step in self.definition.steps for key in self.runs_of(step.name)]

    def unlike_lists(self, state: RunState) -> list[str]:
        """Return where the state of a list is not what its items come to."""
        found = []
        if set(state.lists) != set(self.listed):
            found.append(f"S4 the state knows the lists {set(state.lists)}, the journal {set(self.listed)}")
        for name, total in self.listed.items():
            if state.lists.get(name) != ListState.of(name, total, state.steps):
                found.append(f"S4 the items of {name} are not counted as they stand: {state.lists.get(name)}")
            whole = state.step(StepKey(name))
            if any(map(self._is_under_way, self.runs_of(name))) and whole.status is not StepStatus.RUNNING:
                found.append(f"S4 items of {name} are under way, but as a whole it is {whole.status}")
            is_done = whole.status is StepStatus.SUCCEEDED
            if is_done != ((StepKey(name), Phase.ACTION) in self.succeeded):
                found.append(f"S4 the state and the journal disagree on whether the list {name} is done")
            if is_done and whole.output != [state.step(key).output for key in self.runs_of(name)]:
                found.append(f"S4 the output of {name} is not the list of the outputs of its items")
            undone = {state.step(key).compensation_status for key in self.runs_of(name)} - {CompensationStatus.NONE}
            if whole.compensation_status in _UNDONE and not undone <= {*_UNDONE, CompensationStatus.NOT_NEEDED}:
                found.append(f"S2 {name} is {whole.compensation_status}, but its items are {sorted(undone)}")
        return found

    # ---- one entry each --------------------------------------------------------

    def _is_skipped_whole(self, event: m.StepSkipped) -> list[str]:
        if event.item != NO_ITEM or event.step not in self.listed:
            return []
        return [
            f"S3 {event.step} was skipped, but {key} is under way or may have happened"
            for key in self.runs_of(event.step)
            if self._is_under_way(key) or key in self.in_doubt
        ]

    def _is_listed(self, event: m.ItemsListed) -> list[str]:
        found = []
        if event.step in self.listed:
            found.append(f"S4 the list of {event.step} was made twice")
        if self.is_paused or self.is_turning or self.is_backward:
            found.append(f"S3 the list of {event.step} was made although nothing may start")
        self.listed[event.step] = len(event.items)
        self.joined.discard(event.step)
        self.failed.discard((StepKey(event.step), Phase.ACTION))
        return found

    def _is_joined(self, event: m.ItemsJoined) -> list[str]:
        keys = self.runs_of(event.step)
        found = [f"S1 {event.step} was joined with {key} under way" for key in keys if self._is_under_way(key)]
        done = [key for key in keys if (key, Phase.ACTION) in self.succeeded or key in self.skipped]
        if any((key, Phase.ACTION) in self.failed for key in keys):
            expected = StepStatus.FAILED
        elif self.in_doubt & set(keys):
            expected = StepStatus.IN_DOUBT
        else:
            expected = StepStatus.SUCCEEDED if len(done) == len(keys) else StepStatus.FAILED
        if event.status is not expected or (event.done, event.total) != (len(done), len(keys)):
            found.append(f"S4 {event.step} was joined as {event.status} ({event.done}), but its items are {expected}")
        self.joined.add(event.step)
        if event.status is StepStatus.SUCCEEDED:
            self.succeeded.add((StepKey(event.step), Phase.ACTION))
        return found

    def _item_starts(self, event: m.AttemptStarted | m.WaitStarted, phase: Phase, *, is_first: bool) -> list[str]:
        key = StepKey(event.step, event.item)
        step = self.definition.by_name[event.step]
        if (step.for_each is None) != (key.item == NO_ITEM):
            return [f"S4 {key} starts, but it is {'no list' if step.for_each is None else 'a list'}"]
        if key.item == NO_ITEM:
            return []
        if phase is Phase.ACTION:
            self.joined.discard(event.step)
        keys = self.runs_of(event.step)
        found = [] if key in keys else [f"S4 {key} starts, but its list has {len(keys)} items"]
        busy = sum((one, phase) in self.in_flight or (one, phase) in self.waiting for one in keys)
        if busy > step.max_parallel:
            found.append(f"S3 {busy} items of {event.step} are in flight at once, at most {step.max_parallel} may be")
        if is_first and phase is not Phase.PROBE:
            found += self._turn_comes(key, phase, keys)
        return found

    def _turn_comes(self, key: StepKey, phase: Phase, keys: list[StepKey]) -> list[str]:
        """Return what is wrong with an item being the next one."""
        stops = phase is Phase.ACTION or self.definition.stops_on_compensation_failure
        found = [
            f"S3 the {phase} of {key} starts after that of {one} has failed"
            for one in keys
            if stops and (one, phase) in self.failed
        ]
        if phase is Phase.COMPENSATION:
            earlier = [one for one in keys if one.item > key.item and self._has_to_be_undone(one)]
        else:
            earlier = [one for one in keys if one.item < key.item and one not in self.skipped]
        return found + [
            f"S3 the {phase} of {key} starts before that of {one}"
            for one in earlier
            if not self.numbers.get((one, phase))
            and not any((one, phase) in halves for halves in (self.failed, self.succeeded, self.waiting))
        ]

    def _unjoined(self) -> list[str]:
        return [name for name in self.listed if name not in self.joined and StepKey(name) not in self.skipped]

    def _has_to_be_undone(self, key: StepKey) -> bool:
        has_happened = (key, Phase.ACTION) in self.succeeded or key in self.in_doubt
        return has_happened and key not in self.settled and key not in self.given_up

    def _is_under_way(self, key: StepKey) -> bool:
        half = (key, Phase.ACTION)
        has_ended = half in self.succeeded or half in self.failed or key in self.in_doubt or key in self.skipped
        return half in self.in_flight or half in self.waiting or (self.numbers.get(half, 0) > 0 and not has_ended)


def names_of(definition: Definition) -> Iterator[str]:
    """What people may call the parts of a run: each step, and each item of a list."""
    for one in definition.steps:
        yield one.name
        if one.for_each is not None and isinstance(one.for_each.source, list):
            yield from (f"{one.name}[{number}]" for number in range(len(one.for_each.source)))
