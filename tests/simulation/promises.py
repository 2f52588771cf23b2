"""What was promised of several runs, and whether it is kept: after everything that happens, and at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sagas.catalog.load import load_version
from sagas.core import messages as m
from sagas.core.codec import decode
from sagas.core.vocabulary import FINAL, StepKey, Verb
from sagas.models import SagaRun, StepRun
from sagas.sealing import opened
from tests.engine.stored_run import faults_of
from tests.simulation.crowd import Crowd
from tests.simulation.families import twins
from tests.simulation.verdict import End, effect_faults, order_faults

_LOOKED_AT = ("sequence", "revision", "inbox_last", "inbox_done", "token", "status", "lease_until", "due_at")


@dataclass
class Promise:
    """One acknowledged run."""

    saga: str
    version_id: UUID
    orders: set[int] = field(default_factory=set)


@dataclass
class Promises:
    """All that somebody was told."""

    runs: dict[UUID, Promise] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[UUID, Any]] = field(default_factory=dict)  # saga, start key: run, input
    _seen: dict[UUID, list[Any]] = field(default_factory=dict)  # by run, as it was judged last

    def broken(self, world: Crowd) -> list[str]:
        """Return what is wrong now, one sentence each."""
        told = {run: now for run, *now in SagaRun.objects.values_list("id", *_LOOKED_AT)}
        changed = [run for run, now in told.items() if self._seen.get(run) != now]
        rows = {run.id: run for run in SagaRun.objects.select_related("saga").filter(id__in=changed)}
        found = list(world.faults)
        found += [f"L2 run {run} was acknowledged, and is lost" for run in self.runs.keys() - told.keys()]
        found += [
            f"{run.saga.name} {run.id} was never started, but it is there"
            for run in rows.values()
            if run.parent_id is None and run.id not in self.runs
        ]
        for run in rows.values():
            found += [f"{run.saga.name} {run.id}: {fault}" for fault in self._run_faults(run)]
            self._seen[run.id] = told[run.id]
        return found

    def _run_faults(self, run: SagaRun) -> list[str]:
        before = dict(zip(_LOOKED_AT, self._seen.get(run.id, ()), strict=False))
        events = _events(run)
        found = faults_of(run)
        promise = self.runs.get(run.id)
        if promise is not None and promise.version_id != run.version_id:
            found.append("R12 it has changed its version")
        found += order_faults(run, events, promise.orders if promise is not None else ())
        verbs = Counter(event.verb for event in events if isinstance(event, m.OrderTaken))
        if verbs[Verb.CANCEL] > 1:
            found.append("two cancels were taken")
        for name in ("sequence", "revision", "inbox_last", "inbox_done", "token"):
            if before and getattr(run, name) < before[name]:
                found.append(f"its {name} went back, from {before[name]} to {getattr(run, name)}")
        if before and run.status != before["status"] and run.revision == before["revision"]:
            found.append(f"it went from {before['status']} to {run.status} under one revision")
        return found

    def broken_at_the_end(self, world: Crowd) -> list[str]:
        """Return what is wrong now that every run has ended."""
        found = self.broken(world) + twins(SagaRun.objects.all())
        for run in SagaRun.objects.select_related("saga"):
            name = f"{run.saga.name} {run.id}"
            world.tally[run.status] += 1
            if run.status not in FINAL:
                found.append(f"L1 {name} is {run.status}")
                continue
            if run.due_at is not None or run.inbox_done != run.inbox_last:
                found.append(f"{name} is {run.status}, but still due, with {run.inbox_done} of {run.inbox_last} orders")
            prefix = f"{run.id}:"
            effects = {key.removeprefix(prefix): n for key, n in world.effects().items() if key.startswith(prefix)}
            end = End(run.status, _steps(run))
            world.tally.update(type(event).__name__ for event in _events(run))
            found += [
                f"{name}: {fault}" for fault in effect_faults(effects, load_version(run.version_id), end, _events(run))
            ]
        return found


def _events(run: SagaRun) -> list[m.Event]:
    return [decode(entry.kind, opened(entry.data)) for entry in run.journal.order_by("sequence")]


def _steps(run: SagaRun) -> dict[str, tuple[str, str]]:
    rows = StepRun.objects.filter(run=run).values_list("step", "item", "status", "compensation_status")
    return {str(StepKey(step, item)): (status, undoing) for step, item, status, undoing in rows}
