"""Whether all is well with a run that has ended and with the sub-sagas that it started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sagas.core.vocabulary import FINAL
from sagas.models import SagaRun
from tests.engine.stored_run import faults_of

if TYPE_CHECKING:
    from tests.simulation.world import World

COMPENSATED = ("pay", "pack", "send")  # steps of both sagas that have a compensation


def family_faults(world: World) -> list[str]:
    """Return what is wrong, one sentence each."""
    runs = list(SagaRun.objects.order_by("depth"))
    found = list(world.faults)
    outer = [run for run in runs if run.parent_id is None]
    if len(outer) != 1:
        return [*found, f"{len(outer)} outer runs, of one start"]
    found += twins(runs)
    found += [f"{run.saga.name} is {run.status}" for run in runs if run.status not in FINAL]
    found += [f"{run.saga.name} has ended, and is still due" for run in runs if run.due_at is not None]
    found += [f"{run.saga.name}: {fault}" for run in runs for fault in faults_of(run)]
    found += [
        f"{run.saga.name} has taken {run.inbox_done} of {run.inbox_last} orders"
        for run in runs
        if run.inbox_done != run.inbox_last
    ]
    if outer[0].status not in world.script.ends:
        found.append(f"the outer run ended {outer[0].status}, not {' or '.join(world.script.ends)}")
    return found + _effects(world, outer[0], [run.status for run in runs if run.parent_id is not None])


def twins(runs: Iterable[SagaRun]) -> list[str]:
    """Return which sub-sagas were started twice."""
    children = Counter((run.parent_id, run.start_key) for run in runs if run.parent_id is not None)
    return [f"{times} sub-sagas under one key" for times in children.values() if times > 1]


def _effects(world: World, outer: SagaRun, children: list[str]) -> list[str]:
    happened: Counter[tuple[str, str]] = Counter()
    for key, times in world.effects().items():
        step, _, phase = key.partition("#")[0].partition(":")
        happened[step, phase] += times
    found = [f"{half} had its effect {times} times" for half, times in happened.items() if times > 1]
    for step in COMPENSATED:
        did, undid = happened[step, "action"], happened[step, "compensation"]
        if outer.status == "completed" and (not did or undid):
            found.append(f"completed, but {step} happened {did} times and was undone {undid} times")
        if outer.status == "compensated" and did and not undid:
            found.append(f"compensated, but {step} happened and was not undone")
    if outer.status == "completed" and children != ["completed"]:
        found.append(f"completed, with sub-sagas that are {children}")
    if outer.status == "compensated" and not set(children) <= {"compensated"}:
        found.append(f"compensated, with sub-sagas that are {children}")
    return found
