"""Whether all is well with a run that has ended, whatever crashed: its journal, its effects, what was promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core import dag
from sagas.core import messages as m
from sagas.core.codec import decode
from sagas.core.definition import Definition, Step
from sagas.core.outcome import WORKER_LOST
from sagas.core.vocabulary import NO_ITEM, OutcomeKind, Phase, StepKey
from sagas.models import JournalEntry, Order, SagaRun, StepRun
from tests.engine.stored_run import faults_of
from tests.simulation.families import family_faults
from tests.simulation.reacting_verdict import reaction_faults
from tests.simulation.script import BROKEN, FAILED

if TYPE_CHECKING:
    from tests.simulation.world import World

READING = "simulated.look"
Steps = dict[str, tuple[str, str]]  # step -> status, compensation status


@dataclass(frozen=True)
class End:
    """How a run ended."""

    status: str
    steps: Steps


def end_of(world: World) -> End:
    """Return how the one run ended."""
    rows = StepRun.objects.values_list("step", "item", "status", "compensation_status")
    steps = {str(StepKey(step, item)): (status, undoing) for step, item, status, undoing in rows}
    return End(SagaRun.objects.get(parent=None).status, steps)


def runs_of(definition: Definition) -> list[tuple[str, Step]]:
    """Return what each step run is called: of a list, its items."""
    found: list[tuple[str, Step]] = []
    for step in definition.steps:
        numbers = range(len(step.for_each.source)) if step.for_each else (NO_ITEM,)
        found += [(str(StepKey(step.name, number)), step) for number in numbers]
    return found


def judge(world: World, definition: Definition, deaths: int, calm: End | None) -> list[str]:
    """Return what is wrong with the ended run, one sentence each.

    Args:
        world: where it ended.
        definition: of its saga.
        deaths: how often the machine died.
        calm: how the same run ends when nothing crashes.
    """
    if any(step.is_sub_saga for step in definition.steps):
        return family_faults(world)
    if SagaRun.objects.count() != 1:
        return [f"{SagaRun.objects.count()} runs, of one start"]
    run = SagaRun.objects.get()
    events = [decode(entry.kind, entry.data) for entry in JournalEntry.objects.order_by("sequence")]
    chart = definition.choreography
    found = [*world.faults, *(faults_of(run) if chart is None else reaction_faults(world, chart, deaths))]
    if run.due_at is not None:
        found.append(f"the run is {run.status}, and still due")
    if run.status not in world.script.ends:
        found.append(f"the run ended {run.status}, not {' or '.join(world.script.ends)}")
    end = end_of(world)
    found += order_faults(run, events, world.memory.acknowledged)
    if run.inbox_done != run.inbox_last:
        found.append(f"orders up to {run.inbox_last} were accepted, and only those up to {run.inbox_done} consumed")
    if chart is not None:
        return found + _unlike_reactions(world, calm, end)
    found += effect_faults(world.effects(), definition, end, events)
    lost = sum(isinstance(event, m.AttemptEnded) and event.code == WORKER_LOST for event in events)
    columns: Counter[int] = Counter()
    for name, column in dag.layers(definition.predecessors).items():
        step = definition.by_name[name]
        columns[column] += step.max_parallel if step.for_each else 1
    if lost > deaths * max(columns.values()):  # a crash ends all that run beside each other
        found.append(f"{lost} attempts were lost in {deaths} crashes")
    if calm is not None and calm.status == end.status:
        found += _unlike(world, definition, calm, end)
    return found


def order_faults(run: SagaRun, events: Iterable[m.Event], acknowledged: Iterable[int]) -> list[str]:
    """Each accepted order is journaled once when it is consumed, as taken or as refused, and in its turn."""
    events = list(events)
    told = Counter(event.number for event in events if isinstance(event, m.OrderTaken | m.OrderRefused))
    told.update(event.order for event in events if isinstance(event, m.LateReportReceived))
    told.update(event.order for event in events if isinstance(event, m.EventReceived) and event.order)
    stored = set(Order.objects.filter(run=run).values_list("number", flat=True))
    found = []
    if stored != set(range(1, run.inbox_last + 1)):
        found.append(f"the row says {run.inbox_last} orders, stored are {sorted(stored)}")
    if not set(acknowledged) <= stored:
        found.append(f"acknowledged {sorted(acknowledged)}, stored {sorted(stored)}")
    consumed = {number for number in stored if number <= run.inbox_done}
    if dict(told) != dict.fromkeys(consumed, 1):
        found.append(f"orders {sorted(consumed)} were consumed, and the journal tells of {dict(told)}")
    return found


def effect_faults(effects: Mapping[str, int], definition: Definition, end: End, events: Iterable[m.Event]) -> list[str]:
    """What happened outside is what the journal says, once each; and nothing is left behind in silence.

    `effects` are those of the run, by key without its id.
    """
    events = list(events)
    happened: Counter[tuple[str, str]] = Counter()
    for key, times in effects.items():
        step, _, phase = key.partition("#")[0].partition(":")
        happened[step, phase] += times
    hung = {
        str(StepKey(event.step, event.item))
        for event in events
        if isinstance(event, m.LateReportReceived) and event.is_hanging
    }  # undone before it happened, for nothing; and then in truth
    found = [
        f"{half} had its effect {times} times"
        for half, times in happened.items()
        if times > 1 + (half[0] in hung and half[1] == "compensation")
    ]
    told = {
        (str(StepKey(event.step, event.item)), str(event.phase))
        for event in events
        if isinstance(event, m.AttemptEnded) and event.outcome is OutcomeKind.SUCCEEDED
    }
    stays = {str(key) for event in events if isinstance(event, m.RunTerminated) for key in event.stays}
    for name, step in runs_of(definition):
        did, undid = happened[name, "action"], happened[name, "compensation"]
        status, undoing = end.steps.get(name, ("pending", "none"))
        is_reading = step.action is None or step.action.action.name == READING or step.is_sub_saga
        for phase in (Phase.ACTION, Phase.COMPENSATION):
            if (name, phase) in told and not happened[name, phase] and not is_reading:
                found.append(f"the {phase} of {name} succeeded, says the journal, but had no effect")
        if status in {"pending", "failed", "skipped"} and did and not undid:
            found.append(f"{name} is {status}, but it happened")
        if end.status == "completed" and (undid or not (did or is_reading or status == "skipped")):
            found.append(f"completed, but {name} happened {did} times and was undone {undid} times")
        stayed = did and not undid and undoing != "given_up" and not step.is_sub_saga
        if end.status.endswith("compensated") and step.compensation and stayed:
            found.append(f"{end.status}, but {name} happened and was not undone")
        if end.status == "terminated" and did and not undid and name not in stays:
            found.append(f"terminated, but {name} happened and is not among what stays behind")
        if undid and not did and status != "in_doubt":
            found.append(f"{name} is {status} and never happened, but it was undone")
    return found


def _unlike_reactions(world: World, calm: End | None, end: End) -> list[str]:
    """Reactions end as they do when nothing crashes, where the run does."""
    if calm is None or calm.status != end.status or calm.steps == end.steps or world.script.during:
        return []
    return [f"the reactions ended {end.steps}, and without a crash {calm.steps}"]


def _unlike(world: World, definition: Definition, calm: End, end: End) -> list[str]:
    """Steps end as they do when nothing crashes; only a failure that a crash made unknown may be one in doubt."""
    found = []
    for name, step in runs_of(definition):
        was, now = (one.steps.get(name, ("pending", "none")) for one in (calm, end))
        is_reading = step.action is not None and step.action.action.name == READING
        may_doubt = {FAILED, BROKEN} if is_reading else {FAILED}
        is_doubt = (was[0], now[0]) == ("failed", "in_doubt")
        if is_doubt and step.for_each:
            continue  # another item ended the list meanwhile, so this one was not tried again
        if was == now or (is_doubt and world.script.answers.get((step.name, "action"), ("",))[0] in may_doubt):
            continue
        if world.script.during or definition.deadline_s is not None:
            continue  # when an order or the deadline came, before or after which step, is a matter of time
        found.append(f"{name} ended {now}, and without a crash {was}")
    return found
