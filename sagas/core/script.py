"""What a simulation is told: how each attempt ends, and what people order meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from sagas.core.definition import SignalWait, Timer
from sagas.core.limits import DEADLINE_S_MAX, EVENT_NAME_LENGTH_MAX, SIMULATED_ATTEMPT_MAX, SIMULATED_ORDERS_MAX
from sagas.core.problem import Problem, check_payload, found_text, hint, path_text, pointer_text
from sagas.core.vocabulary import INTERNAL, NO_ITEM, Json, OutcomeKind, Phase, StepKey, Verb

if TYPE_CHECKING:
    from sagas.core.choreography import Reaction
    from sagas.core.definition import Definition, Step
    from sagas.core.problem import Path

Word = TypeVar("Word", bound=StrEnum)

COMPENSATION_MARK = ".compensation"  # `pay.compensation` in a script is what undoes `pay`
PROBE_MARK = ".probe"  # `pay.probe` is what is asked whether `pay` happened
_MARKS = {Phase.COMPENSATION: COMPENSATION_MARK, Phase.PROBE: PROBE_MARK}


class SimulationInvalidError(Exception):
    """What a simulation was given cannot be used; `problems` lists all that is wrong, with pointers.

    The pointers begin with `/input`, `/faults` or `/orders`.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Ending(StrEnum):
    """How an attempt ends by the script: the four outcomes, and the loss of its worker."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WORKER_LOST = "worker_lost"
    NEVER = "never"  # of a wait: nobody sends the signal, nobody answers
    NOT_DONE = "not_done"  # of a probe: it says that the action never happened


_NOT_SCRIPTED: frozenset[StrEnum] = INTERNAL | {Phase.PROBE, Verb.SIGNAL, Verb.APPROVE}  # what answers a wait: `faults`
_OF_CALLS = tuple(ending for ending in Ending if ending not in {Ending.NEVER, Ending.NOT_DONE})
_OF_PROBES = (Ending.SUCCEEDED, Ending.REJECTED, Ending.NOT_DONE, Ending.UNKNOWN, Ending.WORKER_LOST)
UNCLEAR = frozenset({Ending.UNKNOWN, Ending.WORKER_LOST})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt comes to.

    `has_happened` is what truly became of an attempt whose outcome the saga does
    not know: yes, no, or (None) nobody can say, as in life.
    """

    ending: Ending = Ending.SUCCEEDED
    output: Json = None
    has_output: bool = False  # the script says what a success gives back
    has_happened: bool | None = None
    is_accepted: bool = False  # the service takes the attempt on first, and calls back; an unknown outcome is silence


SUCCESS = Answer()


@dataclass(frozen=True, slots=True)
class Part:
    """The script of one half: some attempts by their number, from 1, and all others."""

    by_attempt: Mapping[int, Answer] = field(default_factory=dict)
    others: Answer = SUCCESS
    is_whole: bool = False  # the script says of the others too how they end

    def says(self, number: int) -> bool:
        """Whether the script speaks of the attempt `number`."""
        return self.is_whole or number in self.by_attempt

    def answer(self, number: int) -> Answer:
        """Return what the attempt `number` comes to."""
        return self.by_attempt.get(number, self.others)

    def is_hopeless(self, number: int) -> bool:
        """Whether every attempt after `number` is one that is tried again."""
        is_retried = self.others.ending in {Ending.FAILED, Ending.UNKNOWN}
        return is_retried and max(self.by_attempt, default=0) <= number


PLAIN = Part()


@dataclass(frozen=True, slots=True)
class Ordered:
    """One order of the script.

    It is given `at_s` seconds after the start, or while an attempt of `during`
    is in flight, or else when nothing more happens by itself.
    """

    verb: Verb
    at_s: float | None = None
    during: tuple[str, Phase] | None = None
    step: str | None = None
    phase: Phase = Phase.ACTION
    outcome: OutcomeKind = OutcomeKind.SUCCEEDED
    output: Json = None
    event: Mapping[str, Json] | None = (
        None  # `{type, data?, id?, source?}`: no order of a person, it comes from outside
    )
    is_early: bool = False  # the event comes before the run begins


def read_script(
    definition: Definition, faults: Json, orders: Json
) -> tuple[dict[tuple[str, Phase], Part], tuple[Ordered, ...]]:
    """Read what goes wrong, by step, and what is ordered.

    Args:
        definition: whose steps are named.
        faults: a mapping of `step`, `step.compensation` or `step.probe` to how its attempts end; of a list
            `step` means each item that is not named by itself, as `step[3]`. A word
            (`succeeded`, `rejected`, `failed`, `unknown`, `worker_lost`; of a wait
            `succeeded`, `rejected` or `never`, and so of a reaction that is only watched; a probe also says
            `not_done`, and never fails) means every
            attempt; a list means one attempt after the other, and success afterwards (a probe then tells the
            truth); `{outcome, attempt?, output?, happened?, accepted?}` means that attempt, or every one; accepted: a
            service takes it on first and calls back, or never does (`unknown`).
        orders: a list of `{verb, at_s | during | neither, step?, phase?, outcome?, output?}`; to a choreography
            also `{verb: event, type, data?, id?, source?, at_s | during | early | neither}`.

    Raises:
        SimulationInvalidError: with everything that is wrong.
    """
    reader = _Reader(definition)
    parts = reader.faults(faults)
    found = reader.orders(orders)
    if reader.problems:
        raise SimulationInvalidError(reader.problems)
    return parts, found


def _endings_of(step: Step, phase: Phase, reaction: Reaction | None) -> tuple[Ending, ...]:
    """Return how a half can end."""
    if reaction is not None and reaction.is_external:
        said = ((Ending.SUCCEEDED, reaction.succeeded), (Ending.REJECTED, reaction.rejected))
        return (*(ending for ending, kind in said if kind), Ending.NEVER)
    if phase is Phase.COMPENSATION:
        return _OF_CALLS
    if phase is Phase.PROBE:
        return _OF_PROBES
    if step.is_sub_saga:
        return (Ending.SUCCEEDED, Ending.REJECTED, Ending.UNKNOWN)
    match step.wait:
        case None:
            return _OF_CALLS
        case Timer():
            return (Ending.SUCCEEDED,)
        case SignalWait():
            return (Ending.SUCCEEDED, Ending.NEVER)
    return (Ending.SUCCEEDED, Ending.REJECTED, Ending.NEVER)


class _Reader:
    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.chart = definition.choreography
        self.what = "step" if self.chart is None else "reaction"
        self.problems: list[Problem] = []

    def say(self, path: Path, message: str) -> None:
        self.problems.append(Problem(message, path_text(path), pointer_text(path)))

    def faults(self, faults: Json) -> dict[tuple[str, Phase], Part]:
        if not isinstance(faults, Mapping):
            self.say(("faults",), f"Faults are a mapping of steps to what goes wrong; found {found_text(faults)}.")
            return {}
        found = {}
        for name, said in faults.items():
            path: Path = ("faults", str(name))
            half = self._half(str(name), path)
            part = self._part(said, path)
            if half is not None:
                found[half] = part
                self._fits(half, part, path)
        return found

    def _half(self, name: str, path: Path) -> tuple[str, Phase] | None:
        phase = next((phase for phase, mark in _MARKS.items() if name.endswith(mark)), Phase.ACTION)
        key = self._key(name.removesuffix(_MARKS.get(phase, "")), path)
        if key is None:
            return None
        step = self.definition.by_name[key.step]
        if phase is Phase.COMPENSATION and step.compensation is None:
            self.say(path, f"{self.what.capitalize()} `{step.name}` has no compensation, so none can go wrong.")
            return None
        if phase is Phase.PROBE and step.probe is None:
            self.say(path, f"{self.what.capitalize()} `{step.name}` has no probe, so none can be asked.")
            return None
        return str(key), phase

    def _key(self, name: str, path: Path) -> StepKey | None:
        """Return what `pay` or `pay[3]` names; None after reporting that it names nothing."""
        key = StepKey.parse(name)
        step = None if key is None else self.definition.by_name.get(key.step)
        if key is None or step is None:
            known = [one.name for one in self.definition.steps]
            self.say(path, f"The saga has no {self.what} `{name[:80]}`.{hint(name, known)}")
            return None
        if key.item != NO_ITEM and step.for_each is None and self.chart is None:
            self.say(path, f"Step `{step.name}` has no `for_each`, so it has no item {key.item}.")
            return None
        return key

    def _fits(self, half: tuple[str, Phase], part: Part, path: Path) -> None:
        """Report endings that this half cannot have."""
        step = half[0].partition("[")[0]
        reaction = None if self.chart is None else self.chart.by_name[step]
        possible = _endings_of(self.definition.by_name[step], half[1], reaction)
        for answer in (*part.by_attempt.values(), part.others):
            if answer.ending not in possible:
                words = ", ".join(f"`{ending}`" for ending in possible)
                name = half[0] + _MARKS.get(half[1], "")
                self.say(path, f"`{name}` cannot end as `{answer.ending}`; it can as {words}.")
            if answer.is_accepted and not self._is_called_back(half):
                self.say(path, "Only a command, or a request that is `async`, is accepted before its outcome is known.")

    def _is_called_back(self, half: tuple[str, Phase]) -> bool:
        """Whether a service may say later what an attempt of a half came to."""
        part = self.definition.by_name[half[0].partition("[")[0]].half(half[1])
        return part is not None and part.calls_back

    def _part(self, said: Json, path: Path) -> Part:
        if not isinstance(said, list | tuple):
            number, answer = self._one(said, path)
            return Part(others=answer, is_whole=True) if number is None else Part({number: answer})
        if len(said) > SIMULATED_ATTEMPT_MAX:
            self.say(path, f"At most {SIMULATED_ATTEMPT_MAX} attempts can be listed.")
            return PLAIN
        found: dict[int, Answer] = {}
        for place, one in enumerate(said):
            number, answer = self._one(one, (*path, place))
            number = place + 1 if number is None else number
            if number in found:
                self.say((*path, place), f"Attempt {number} is given twice.")
            found[number] = answer
        return Part(found)

    def _one(self, said: Json, path: Path) -> tuple[int | None, Answer]:
        if isinstance(said, Mapping):
            return self._whole(said, path)
        return None, Answer(self._ending(said, path))

    def _whole(self, said: Mapping[str, Json], path: Path) -> tuple[int | None, Answer]:
        self._known(said, ("outcome", "attempt", "output", "happened", "accepted"), path)
        if "outcome" not in said:
            self.say(path, "`outcome` is missing: how the attempt ends.")
            return None, SUCCESS
        ending = self._ending(said["outcome"], (*path, "outcome"))
        number, happened = said.get("attempt"), said.get("happened")
        if number is not None and (type(number) is not int or not 1 <= number <= SIMULATED_ATTEMPT_MAX):
            self.say((*path, "attempt"), f"`attempt` is a whole number from 1 to {SIMULATED_ATTEMPT_MAX}.")
            number = None
        if happened is not None and not isinstance(happened, bool):
            self.say((*path, "happened"), f"`happened` is true or false; found {found_text(happened)}.")
        elif happened is not None and ending not in UNCLEAR:
            self.say((*path, "happened"), "`happened` says what truly became of an unknown outcome only.")
        is_accepted = said.get("accepted", False)
        if not isinstance(is_accepted, bool):
            self.say((*path, "accepted"), f"`accepted` is true or false; found {found_text(is_accepted)}.")
        elif is_accepted and ending is Ending.WORKER_LOST:
            self.say((*path, "accepted"), "The loss of a worker does not touch what a service has taken on.")
        if "output" in said and ending is not Ending.SUCCEEDED:
            self.say((*path, "output"), "Only an attempt that succeeded has an output.")
        for problem in check_payload(said.get("output")):
            self.say((*path, "output"), problem.message)
        return number, Answer(ending, said.get("output"), "output" in said, happened, is_accepted is True)

    def _ending(self, said: Json, path: Path) -> Ending:
        words = [ending.value for ending in Ending]
        if isinstance(said, str) and said in words:
            return Ending(said)
        near = hint(said, words) if isinstance(said, str) else hint("", words)
        self.say(path, f"An attempt cannot end as {found_text(said)}.{near}")
        return Ending.SUCCEEDED

    def orders(self, orders: Json) -> tuple[Ordered, ...]:
        if not isinstance(orders, list | tuple) or not all(isinstance(one, Mapping) for one in orders):
            self.say(("orders",), "Orders are a list of mappings with a `verb` each.")
            return ()
        if len(orders) > SIMULATED_ORDERS_MAX:
            self.say(("orders",), f"At most {SIMULATED_ORDERS_MAX} orders and events can be given.")
            return ()
        return tuple(self._order(one, ("orders", place)) for place, one in enumerate(orders))

    def _order(self, said: Mapping[str, Json], path: Path) -> Ordered:
        if said.get("verb") == Verb.EVENT:
            return self._event(said, path)
        self._known(said, ("verb", "at_s", "during", "step", "phase", "outcome", "output"), path)
        at_s, during = self._moment(said, path)
        step = said.get("step")
        if step is not None and self._key(str(step), (*path, "step")) is None:
            step = None
        return Ordered(
            verb=self._word(said, "verb", Verb, path, None),
            at_s=at_s,
            during=during,
            step=step,
            phase=self._word(said, "phase", Phase, path, Phase.ACTION),
            outcome=self._word(said, "outcome", OutcomeKind, path, OutcomeKind.SUCCEEDED),
            output=said.get("output"),
        )

    def _known(self, said: Mapping[str, Json], known: Sequence[str], path: Path) -> None:
        """Report keys that are not known."""
        for key in said:
            if key not in known:
                self.say((*path, str(key)), f"`{str(key)[:80]}` is not known here.{hint(str(key), known)}")

    def _moment(self, said: Mapping[str, Json], path: Path) -> tuple[float | None, tuple[str, Phase] | None]:
        """Return when something comes: so many seconds after the start, during an attempt; neither: at rest."""
        at_s, during = said.get("at_s"), said.get("during")
        if at_s is not None and (
            isinstance(at_s, bool) or not isinstance(at_s, int | float) or not 0 <= at_s <= DEADLINE_S_MAX
        ):
            self.say((*path, "at_s"), "`at_s` is a number of seconds after the start.")
            at_s = None
        if at_s is not None and during is not None:
            self.say(path, "Say either `at_s` or `during`.")
        half = None if during is None else self._half(str(during), (*path, "during"))
        return None if at_s is None else float(at_s), half

    def _event(self, said: Mapping[str, Json], path: Path) -> Ordered:
        """Read an event that comes from outside."""
        if self.chart is None:
            self.say((*path, "verb"), "The saga is no choreography: its runs take no events.")
            return Ordered(Verb.EVENT)
        self._known(said, ("verb", "at_s", "during", "early", "type", "data", "id", "source"), path)
        at_s, during = self._moment(said, path)
        kind, is_early = said.get("type"), said.get("early", False)
        if not isinstance(kind, str) or kind not in self.chart.types:
            near = hint(str(kind), sorted(self.chart.types))
            self.say((*path, "type"), f"The choreography names no event {found_text(kind)}.{near}")
        if not isinstance(is_early, bool):
            self.say((*path, "early"), f"`early` is true or false; found {found_text(is_early)}.")
        elif is_early and (at_s is not None or during is not None):
            self.say(path, "An event that is `early` comes before the start: say no other time.")
        for name in ("id", "source"):
            value = said.get(name, "x")
            if not isinstance(value, str) or not 0 < len(value) <= EVENT_NAME_LENGTH_MAX:
                self.say((*path, name), f"`{name}` is text of 1 to {EVENT_NAME_LENGTH_MAX} characters.")
        for problem in check_payload({name: said.get(name) for name in ("data", "id", "source")}):
            self.say(path, problem.message)
        event = {name: said[name] for name in ("type", "data", "id", "source") if name in said}
        return Ordered(Verb.EVENT, at_s, during, event=event, is_early=is_early is True)

    def _word(self, said: Mapping[str, Json], key: str, kind: type[Word], path: Path, otherwise: Word | None) -> Word:
        """Return one of the words of `kind`; `otherwise` when the key is not there, an error when that is None."""
        words = [word.value for word in kind if word not in _NOT_SCRIPTED]
        if key in said and said[key] in words:
            return kind(said[key])
        if key in said or otherwise is None:
            found = found_text(said[key]) if key in said else "nothing"
            self.say((*path, key), f"`{key}` must be one of {', '.join(words)}; found {found}.")
        return next(iter(kind)) if otherwise is None else otherwise
