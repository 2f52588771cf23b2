"""What a case scripts: how participants answer, what is ordered in mid-run, what the operator does at rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sagas.core.definition import Definition, Step
from sagas.core.vocabulary import Verb

Half = tuple[str, str]  # step, phase

OK = ""
REJECTED = "rejected"
FAILED = "failed"
BROKEN = "unknown, and it did not happen"
BROKEN_AFTER = "unknown, and it did happen"
HANGING = "no answer in time"
ALWAYS = 1_000_000


@dataclass(frozen=True)
class Script:
    """One run's fate.

    Attributes:
        definition: which saga.
        name: of the script, unique within its saga.
        ends: how the run ends when nothing crashes, then what a crash may make of it
            (a lapsed deadline, an order that came too late).
        answers: how each half answers, and how often; well ever after.
        during: an order that arrives while a half is at work.
        exit: how the operator ends a compensation that failed: retry, settle or give_up.
    """

    definition: str
    name: str
    ends: tuple[str, ...]
    answers: dict[Half, tuple[str, int]] = field(default_factory=dict)
    during: dict[Half, Verb] = field(default_factory=dict)
    exit: Verb = Verb.RETRY

    def __str__(self) -> str:
        return f"{self.definition}/{self.name}"


def scripts_of(definition: Definition) -> list[Script]:
    """Return every fate of one saga: all is well, and each half of each step with everything that can go wrong."""
    called = [step for step in definition.steps if step.action is not None and not step.is_sub_saga]
    steps = [step for step in called if step.when is None]  # the conditions here are never true
    return [
        Script(definition.saga, "success", _ends(definition, "completed")),
        *(one for step in steps for one in _of_action(definition, step)),
        *(one for step in steps for one in _of_compensation(definition, step)),
        *(one for step in steps for one in _of_orders(definition, step)),
        *(_of_waits() if definition.signals else ()),
        *(_of_sub_sagas() if definition.saga == "outer" else ()),
    ]


def _ends(definition: Definition, end: str) -> tuple[str, ...]:
    """A crash costs more time than a deadline has."""
    return (end,) if definition.deadline_s is None else (end, "compensated")


def _kind(step: Step) -> str:
    return step.action.action.name.partition(".")[2]


def _is_past_pivot(definition: Definition, step: Step) -> bool:
    pivot = definition.by_name.get(definition.pivot or "")
    return pivot is not None and step.position > pivot.position


def _of_action(definition: Definition, step: Step) -> Iterator[Script]:
    undone = "completed" if _is_past_pivot(definition, step) else "compensated"
    is_asked = step.is_pivot or definition.asks_when_in_doubt
    wrong = [(REJECTED, ALWAYS, undone), (FAILED, ALWAYS, undone), (FAILED, 1, "completed"), (BROKEN, ALWAYS, undone)]
    if _kind(step) in {"plain", "slow"}:
        wrong += [(BROKEN_AFTER, ALWAYS, "completed" if is_asked else undone), (BROKEN_AFTER, 1, "completed")]
    if _kind(step) == "slow":
        wrong.append((HANGING, ALWAYS, undone))
    for answer, times, end in wrong:
        name = f"{step.name} {'once' if times == 1 else 'always'} {answer}"
        ends = _ends(definition, end)
        if answer == HANGING and definition.deadline_s is not None:
            ends = ("compensated",)  # the time-out is longer
        yield Script(definition.saga, name, ends, {(step.name, "action"): (answer, times)})


def _of_compensation(definition: Definition, step: Step) -> Iterator[Script]:
    """The compensation goes wrong, after what comes last has said no (or the step itself, when it is the last)."""
    last = definition.steps[-1]
    if step.compensation is None or _is_past_pivot(definition, last) or (step is last and _kind(step) == "atomic"):
        return
    why = ((last.name, "action"), (BROKEN_AFTER if step is last else REJECTED, ALWAYS))
    if definition.asks_when_in_doubt and step is last:
        return  # a person says that it happened, so there is nothing to undo
    for answer, times, leave, end in (
        (FAILED, 1, Verb.RETRY, "compensated"),
        (FAILED, ALWAYS, Verb.RETRY, "compensated"),
        (BROKEN_AFTER, ALWAYS, Verb.RETRY, "compensated"),
        (REJECTED, ALWAYS, Verb.SETTLE, "compensated"),
        (BROKEN, ALWAYS, Verb.GIVE_UP, "partially_compensated"),
    ):
        name = f"undoing {step.name} {'once' if times == 1 else 'always'} {answer}, {leave}"
        answers = dict([why, ((step.name, "compensation"), (answer, times))])
        ends = (end, "compensated") if definition.deadline_s is not None else (end,)
        yield Script(definition.saga, name, ends, answers, exit=leave)


def _of_orders(definition: Definition, step: Step) -> Iterator[Script]:
    """An order arrives while the step is at work. Not from within an atomic one: it holds the only write lock."""
    if definition.saga != "guided":
        return
    for verb, end in ((Verb.PAUSE, "completed"), (Verb.CANCEL, "compensated"), (Verb.TERMINATE, "terminated")):
        ends = (end,)
        if step is definition.steps[-1] and verb is Verb.CANCEL:
            ends = ("completed", "compensated")  # too late, unless the step must be tried again after a crash
        yield Script(definition.saga, f"{verb} during {step.name}", ends, during={(step.name, "action"): verb})
    if step.compensation is not None:
        answers = {(definition.steps[-1].name, "action"): (REJECTED, ALWAYS)}
        for verb, end in ((Verb.PAUSE, "compensated"), (Verb.TERMINATE, "terminated")):
            name = f"{verb} during the undoing of {step.name}"
            yield Script(definition.saga, name, (end,), answers, {(step.name, "compensation"): verb})


def _of_waits() -> Iterator[Script]:
    early = {("hold", "action"): Verb.SIGNAL}
    yield Script("waiting", "the signal comes early", ("completed",), during=early)
    yield Script("waiting", "a person says no", ("compensated",), {("agree", "action"): (REJECTED, ALWAYS)})


def _of_sub_sagas() -> Iterator[Script]:
    """What goes wrong within, and what is ordered of the outer run meanwhile."""
    for half, answer, times, end in (
        (("send", "action"), REJECTED, ALWAYS, "compensated"),
        (("pack", "action"), FAILED, ALWAYS, "compensated"),
        (("send", "action"), BROKEN_AFTER, ALWAYS, "compensated"),
        (("pack", "action"), BROKEN_AFTER, 1, "completed"),
    ):
        yield Script("outer", f"within, {half[0]} {times} times {answer}", (end,), {half: (answer, times)})
    for verb, end in ((Verb.CANCEL, "compensated"), (Verb.TERMINATE, "terminated"), (Verb.PAUSE, "completed")):
        yield Script("outer", f"{verb} of the outer run during send", (end,), during={("send", "action"): verb})
    refused = {("close", "action"): (REJECTED, ALWAYS)}
    for leave, end in ((Verb.RETRY, "compensated"), (Verb.GIVE_UP, "partially_compensated")):
        answers = {**refused, ("pack", "compensation"): (REJECTED, ALWAYS)}
        yield Script("outer", f"undoing pack is rejected, {leave}", (end,), answers, exit=leave)
