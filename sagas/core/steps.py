"""Reading the list of steps of a document."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sagas.core import dag
from sagas.core.action_form import NO_ARGUMENTS, STEP_NAME, STEP_RESERVED, ActionReader, StepNames
from sagas.core.definition import ActionFacts, Half, RetryPolicy, Step, SubSaga
from sagas.core.expressions import CompiledTemplate
from sagas.core.fields import Fields
from sagas.core.limits import NAME_LENGTH_MAX, STEPS_MAX, TITLE_LENGTH_MAX
from sagas.core.list_form import LISTS, item_names, read_list
from sagas.core.names import Names
from sagas.core.problem import Path, Report, found_text, hint
from sagas.core.redact_form import read_redact
from sagas.core.wait_form import NOT_OF_WAITS, WAITS, read_wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sagas.core.vocabulary import Json

TIMEOUT_S = 30.0
RETRY = RetryPolicy()
ONCE = RetryPolicy(attempts=1)  # of a sub-saga: it does its own retrying
COMPENSATION_RETRY = RetryPolicy(attempts=10, wait_s_max=300.0)

KINDS = ("action", "run", *WAITS)  # what a step does: exactly one of these
STEP_KEYS = (
    "name", "title", *KINDS, "with", "after", "when", *LISTS, "compensation", "pivot", "timeout", "retry", "probe",
    "redact",
)  # fmt: skip
NOT_OF_RUN = ("timeout", "retry")  # keys that only a call of an action has
DEFAULTS_KEYS = ("timeout", "retry", "compensation_retry")
COMPENSATION_KEYS = ("action", "with", "timeout", "retry")

SAGA_NAME = re.compile(rf"(?=.{{1,{NAME_LENGTH_MAX}}}$)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
RUN_NAMES = Names(values=("input", "run.key", "run.labels"), texts=("run.id", "run.started_at"))


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a step is given when it does not say otherwise."""

    timeout_s: float
    retry: RetryPolicy
    compensation_retry: RetryPolicy

    @classmethod
    def read(cls, fields: Fields) -> Defaults:
        """Read `defaults` of a document."""
        if "defaults" not in fields:
            return cls(TIMEOUT_S, RETRY, COMPENSATION_RETRY)
        said = Fields(fields.raw("defaults"), ("defaults",), fields.report, what="`defaults`", known=DEFAULTS_KEYS)
        return cls(
            said.timeout_s(TIMEOUT_S),
            said.retry("retry", RETRY),
            said.retry("compensation_retry", COMPENSATION_RETRY),
        )


class _Readable(AbstractSet[str]):
    """The steps whose output may be read: those of a set that have a name which expressions can say."""

    def __init__(self, steps: AbstractSet[str]) -> None:
        self._steps = steps

    def __contains__(self, name: object) -> bool:
        return name in self._steps and isinstance(name, str) and is_sayable(name)

    def __iter__(self) -> Iterator[str]:
        return filter(is_sayable, self._steps)

    def __len__(self) -> int:
        return sum(map(is_sayable, self._steps))


class _Others(AbstractSet[str]):
    """The steps that exist, but for those of a set."""

    def __init__(self, names: StepNames, steps: AbstractSet[str]) -> None:
        self._names = names
        self._steps = steps

    def __contains__(self, name: object) -> bool:
        return name in self._names.first and name not in self._steps

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names.first if name not in self._steps)

    def __len__(self) -> int:
        return len(self._names.first) - len(self._steps)


def is_sayable(name: str) -> bool:
    """Whether expressions can say a step's name."""
    return STEP_NAME.fullmatch(name) is not None and name not in STEP_RESERVED


def all_readable(steps: Sequence[Step]) -> Names:
    """Return what may be read when all steps are done."""
    names = tuple(step.name for step in steps if is_sayable(step.name))
    return replace(RUN_NAMES, steps=dict.fromkeys(names))


def read_steps(
    fields: Fields, actions: Mapping[str, ActionFacts], services: Mapping[str, str] | None = None
) -> tuple[Step, ...]:
    """Read `steps` of a saga, with its `defaults`."""
    defaults = Defaults.read(fields)
    value = fields.raw("steps")
    if "steps" not in fields:
        fields.missing("steps", "a saga is a list of steps.")
        return ()
    if not isinstance(value, list) or not value:
        found = "an empty list" if value == [] else found_text(value)
        fields.error("steps", "wrong_type", f"`steps` must be a list of at least one step; found {found}.")
        return ()
    if len(value) > STEPS_MAX:
        fields.error("steps", "too_many", f"a saga has at most {STEPS_MAX} steps; found {len(value)}.")
        return ()
    names = StepNames([_name_of(each) for each in value])
    order = _Order(value, names, fields.report)
    return tuple(
        _StepReader(each, position, order, defaults, actions, services, fields.report).read()
        for position, each in enumerate(value)
    )


def _name_of(step: Json) -> str:
    """Return what a step says it is called; empty where it says nothing, or no text."""
    name = step.get("name") if isinstance(step, dict) else None
    return name if isinstance(name, str) else ""


class _Order:
    """What each step comes after."""

    def __init__(self, steps: list[Json], names: StepNames, report: Report) -> None:
        self.step_names = names
        self.names = names.all
        self._report = report
        self.after = [self._read(each, position) for position, each in enumerate(steps)]
        by_name = dict(zip(names.all, self.after, strict=True))
        is_each_known = len(by_name) == len(names.all)  # else a step with a name of its own is asked for first
        if is_each_known and (cycle := dag.find_cycle(by_name)):
            way = ", which comes after ".join(f"`{name}`" for name in (*cycle[1:], cycle[0]))
            message = f"`{cycle[0]}` comes after {way}: a step cannot wait for itself."
            report.error(("steps", names.first[cycle[0]], "after"), "cycle", message)
        self._before = dag.ancestors(by_name)

    def _read(self, step: Json, position: int) -> tuple[str, ...]:
        if not isinstance(step, dict) or "after" not in step:
            return tuple(self.names[position - 1 : position])
        path, value = ("steps", position, "after"), step["after"]
        if not isinstance(value, list):
            message = f"`after` must be a list of names of steps, such as [reserve, pay]; found {found_text(value)}."
            self._report.error(path, "wrong_type", message)
            return ()
        found: dict[str, None] = {}
        for place, name in enumerate(value):
            if not isinstance(name, str) or name not in self.step_names.first or not name:
                known = [one for one in self.names if one and one != self.names[position]]
                message = f"`after` must name steps of this saga; found {found_text(name)}.{hint(str(name), known)}"
                self._report.error((*path, place), "step_unknown", message)
            elif name in found:
                self._report.error((*path, place), "duplicate_name", f"`{name}` is named twice.")
            else:
                found[name] = None
        return tuple(found)

    def readable(self, position: int) -> Names:
        """Return the names that expressions of one step may use: only what surely came before it."""
        before = self._before.get(self.names[position], dag.StepSet())
        return replace(RUN_NAMES, steps=_Readable(before), later_steps=_Others(self.step_names, before))


class _StepReader(ActionReader):
    """Reads one step."""

    def __init__(
        self,
        value: Json,
        position: int,
        order: _Order,
        defaults: Defaults,
        actions: Mapping[str, ActionFacts],
        services: Mapping[str, str] | None,
        report: Report,
    ) -> None:
        path: Path = ("steps", position)
        fields = Fields(value, path, report, what="a step", known=STEP_KEYS)
        super().__init__(fields, order.step_names, position, actions, services)
        self.after = order.after[position]
        self.defaults = defaults
        self.scope = order.readable(position)
        self.item_scope = item_names(self.fields, self.scope)

    def read(self) -> Step:
        fields = self.fields
        name = self._name() if fields.is_mapping else ""
        title = fields.text("title", name.replace("_", " ").capitalize(), length_max=TITLE_LENGTH_MAX)
        self._check_kind()
        for_each, max_parallel = read_list(fields, self.scope)
        wait = read_wait(fields, title, self.item_scope)
        timeout_s = fields.timeout_s(self.defaults.timeout_s)
        half, writes = (None, False) if wait is not None else self._half(timeout_s)
        compensation = self._compensation(timeout_s)
        is_pivot = fields.flag("pivot")
        if half is not None and isinstance(half.action, SubSaga) and not is_pivot and "compensation" not in fields:
            compensation = Half(half.action, NO_ARGUMENTS, 0.0, ONCE)
        return Step(
            name=name,
            title=title,
            position=self.position,
            action=half,
            compensation=compensation,
            writes=writes,
            after=self.after,
            when=self._when(),
            is_pivot=is_pivot,
            wait=wait,
            for_each=for_each,
            max_parallel=max_parallel,
            probe=None if half is None or isinstance(half.action, SubSaga) else self._probe(half),
            redact=read_redact(fields, name),
        )

    def _half(self, timeout_s: float) -> tuple[Half, bool]:
        """Read what the step calls, and whether that changes something."""
        if "run" in self.fields:
            return Half(self._sub_saga(), self._arguments(self.fields, self.item_scope), 0.0, ONCE), True
        action, facts, arguments = self._action(self.fields, self.item_scope)
        retry = self.fields.retry("retry", self.defaults.retry)
        return Half(action, arguments, timeout_s, retry, facts.is_atomic), not facts.reads_only

    def _sub_saga(self) -> SubSaga:
        value = self.fields.raw("run")
        if not isinstance(value, str) or not SAGA_NAME.fullmatch(value):
            message = "`run` must be the name of a saga, such as ship-order; "
            self.fields.error("run", "wrong_value", message + f"found {found_text(value)}.")
            return SubSaga("")
        return SubSaga(value)

    def _check_kind(self) -> None:
        """Report a step that does two things, and keys that its kind does not have."""
        kinds = [key for key in KINDS if key in self.fields]
        for key in kinds[1:]:
            message = f"a step does one thing: it has `{kinds[0]}` already. Make `{key}` a step of its own."
            self.fields.error(key, "two_kinds", message, at_key=True)
        kind = kinds[0] if kinds else ""
        for key in NOT_OF_WAITS:
            if key in self.fields and kind in WAITS:
                message = f"a step that waits has no `{key}`: it calls nobody."
                self.fields.error(key, "not_of_waits", message, at_key=True)
            elif key in self.fields and kind == "run" and key in NOT_OF_RUN:
                message = f"a step that runs another saga has no `{key}`: that saga's steps have theirs."
                self.fields.error(key, "not_of_run", message, at_key=True)

    def _when(self) -> CompiledTemplate | None:
        value = self.fields.raw("when")
        if "when" in self.fields and not isinstance(value, bool) and not (isinstance(value, str) and "${" in value):
            message = "`when` must be an expression that is true or false, such as ${input.amount > 1000}; "
            self.fields.error("when", "wrong_value", message + f"found {found_text(value)}.")
            return None
        return self.fields.template("when", self.scope)

    def _compensation(self, timeout_s: float) -> Half | None:
        value = self.fields.raw("compensation")
        if "compensation" not in self.fields or value == "none":
            return None
        path = self.fields.at("compensation")
        if not isinstance(value, dict):
            message = f"`compensation` must be a mapping with an action, or `none`; found {found_text(value)}."
            self.report.error(path, "wrong_type", message)
            return None
        fields = Fields(
            {key: part for key, part in value.items() if key != "when"},
            path, self.report, what="a compensation", known=COMPENSATION_KEYS,
        )  # fmt: skip
        if "when" in value:
            message = "a compensation never has `when`: what was done is undone."
            self.report.error((*path, "when"), "unknown_key", message, at_key=True)
        names = Names(
            values=(*self.item_scope.values, "step.output", "step.input", "reason"),
            texts=(*self.item_scope.texts, "step.outcome"),
            steps=self.item_scope.steps,
            later_steps=self.item_scope.later_steps,
        )
        action, facts, arguments = self._action(fields, names)
        return Half(
            action=action,
            arguments=arguments,
            timeout_s=fields.timeout_s(timeout_s),
            retry=fields.retry("retry", self.defaults.compensation_retry),
            is_atomic=facts.is_atomic,
        )
