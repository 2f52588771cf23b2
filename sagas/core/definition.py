"""A definition, compiled: what the decider works from. Made by `document.compile_document`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeAlias

from sagas.core import dag
from sagas.core.redaction import NOTHING, Place, Redaction
from sagas.core.vocabulary import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.choreography import Choreography
    from sagas.core.vocabulary import Json


MAX_PARALLEL = 10  # when the document does not say


class Template(Protocol):
    """A JSON value whose strings may hold `${…}`, compiled."""

    @property
    def source(self) -> Json:
        """The value as written."""

    def render(self, scope: Mapping[str, Json]) -> Json:
        """Return the value with every expression replaced.

        Args:
            scope: a flat map of dotted names to JSON (`input`, `steps.pay.output`).

        Raises:
            ExpressionError: an expression has no value here.
        """


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how fast to try again. `attempts` counts the first try; None means for ever."""

    attempts: int | None = 3
    initial_s: float = 1.0
    factor: float = 2.0
    wait_s_max: float = 60.0
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class PythonAction:
    """A registered Python callable, carried out in the worker."""

    name: str


@dataclass(frozen=True, slots=True)
class HttpAction:
    """A request to a registered service.

    The half's arguments render to what is sent: `{path, query?, headers?, body?}`.
    """

    service: str
    method: str
    is_async: bool = False  # 202 means: not yet, the outcome comes by the callback

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.method} {self.service}"


@dataclass(frozen=True, slots=True)
class CommandAction:
    """A command message to a service behind a broker; the reply carries the outcome."""

    service: str
    command: str

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.command} {self.service}"


@dataclass(frozen=True, slots=True)
class SubSaga:
    """A run of another saga. As a compensation: that run is undone."""

    name: str


Action: TypeAlias = PythonAction | HttpAction | CommandAction | SubSaga


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """What the registry of this process knows about a Python action."""

    is_atomic: bool = False
    reads_only: bool = False


@dataclass(frozen=True, slots=True)
class Half:
    """The action of a step, or its compensation: what to call, with what, for how long, how often."""

    action: Action
    arguments: Template
    timeout_s: float
    retry: RetryPolicy
    is_atomic: bool = False

    @property
    def calls_back(self) -> bool:
        """Whether a service may take an attempt on and say later what it came to."""
        return isinstance(self.action, CommandAction) or (isinstance(self.action, HttpAction) and self.action.is_async)


@dataclass(frozen=True, slots=True)
class Timer:
    """A durable timer: for a length of time, or until the moment that `until` gives. It holds no worker."""

    length_s: float = 0.0
    until: Template | None = None


@dataclass(frozen=True, slots=True)
class SignalWait:
    """Until a signal comes, or the time is up (None: for ever)."""

    signal: str
    timeout_s: float | None = None
    goes_on: bool = False  # when the time is up; else the step fails


@dataclass(frozen=True, slots=True)
class Approval:
    """Until a person of `group` says yes or no, or the time is up (None: for ever)."""

    group: str
    prompt: Template
    timeout_s: float | None = None
    goes_on: bool = False


Wait: TypeAlias = Timer | SignalWait | Approval


@dataclass(frozen=True, slots=True)
class Step:
    """One step: it calls an `action` (which may be another saga), or waits.

    `compensation` None means that nothing undoes it; `writes` says whether that matters.
    """

    name: str
    title: str
    position: int
    action: Half | None
    compensation: Half | None
    writes: bool = True
    after: tuple[str, ...] = ()
    when: Template | None = None  # false: the step is skipped
    is_pivot: bool = False
    wait: Wait | None = None
    redact: tuple[Place, ...] = ()  # places of its input and output that nobody is to see
    for_each: Template | None = None  # gives the list; then all else is said of each of its items
    max_parallel: int = MAX_PARALLEL  # items at once, in either direction
    probe: Half | None = None  # asks whether the action happened, with the action's own arguments

    def half(self, phase: Phase) -> Half | None:
        """Return what is called in `phase`."""
        if phase is Phase.ACTION:
            return self.action
        return self.compensation if phase is Phase.COMPENSATION else self.probe

    @property
    def halves(self) -> tuple[Half, ...]:
        """What a worker may have to call."""
        return tuple(half for half in (self.action, self.compensation, self.probe) if half is not None)

    @property
    def is_sub_saga(self) -> bool:
        """Whether it runs another saga."""
        return self.action is not None and isinstance(self.action.action, SubSaga)

    @property
    def undoes_child(self) -> bool:
        """Whether its compensation undoes the run that its action started."""
        return self.compensation is not None and isinstance(self.compensation.action, SubSaga)


@dataclass(frozen=True)
class Definition:
    """A whole saga, ready to be driven.

    Of a choreography the steps are its reactions: each one calls nobody when its service acts by itself,
    and comes `after` those that emit what it reacts to (for pictures only; nobody waits for them).
    """

    saga: str
    title: str
    steps: tuple[Step, ...]
    input_schema: Json = None
    key: Template | None = None
    labels: Mapping[str, Template] = field(default_factory=dict)
    amount: Template | None = None
    unit: str = ""
    output: Template | None = None
    deadline_s: float | None = None
    stops_on_compensation_failure: bool = True
    asks_when_in_doubt: bool = False
    content_hash: str = ""
    redaction: Redaction = NOTHING  # every place at which a value that nobody is to see stands
    choreography: Choreography | None = None

    @cached_property
    def by_name(self) -> dict[str, Step]:
        """Steps by their name."""
        return {step.name: step for step in self.steps}

    @property
    def steps_total(self) -> int:
        """How many steps are done when all goes well: of a choreography, reactions that undo others are not."""
        chart = self.choreography
        return len(self.steps) if chart is None else sum(not one.undoes for one in chart.reactions)

    @cached_property
    def successors(self) -> dict[str, tuple[str, ...]]:
        """For each step, those that come directly after it, in document order."""
        found: dict[str, list[str]] = {step.name: [] for step in self.steps}
        for step in self.steps:
            for before in step.after:
                found[before].append(step.name)
        return {name: tuple(names) for name, names in found.items()}

    @cached_property
    def predecessors(self) -> dict[str, tuple[str, ...]]:
        """For each step, those that come directly before it."""
        return {step.name: step.after for step in self.steps}

    @cached_property
    def ancestors(self) -> dict[str, dag.StepSet]:
        """For each step, all those that come before it."""
        return dag.ancestors(self.predecessors)

    @cached_property
    def rank(self) -> dict[str, int]:
        """For each step a number that is higher than those of all before it; the document decides between equals."""
        ordered = sorted(self.steps, key=lambda step: (len(self.ancestors[step.name]), step.position))
        return {step.name: place for place, step in enumerate(ordered)}

    @cached_property
    def past_pivot(self) -> frozenset[str]:
        """Steps that come after the point of no return."""
        return frozenset(name for name, before in self.ancestors.items() if self.pivot in before)

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Steps that start at once."""
        return tuple(step.name for step in self.steps if not step.after)

    @cached_property
    def python_actions(self) -> tuple[str, ...]:
        """The names of the Python actions it may call, sorted."""
        called = (half.action for step in self.steps for half in step.halves)
        return tuple(sorted({action.name for action in called if isinstance(action, PythonAction)}))

    @cached_property
    def services(self) -> tuple[str, ...]:
        """The names of the services it may call, sorted."""
        called = (half.action for step in self.steps for half in step.halves)
        return tuple(sorted({action.service for action in called if isinstance(action, HttpAction | CommandAction)}))

    @cached_property
    def signals(self) -> frozenset[str]:
        """The names of the signals that some step waits for."""
        return frozenset(step.wait.signal for step in self.steps if isinstance(step.wait, SignalWait))

    @cached_property
    def pivot(self) -> str | None:
        """The point of no return, if the saga has one."""
        return next((step.name for step in self.steps if step.is_pivot), None)
