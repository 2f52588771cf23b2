"""What a choreography may not say although its form is right: every way through it is followed to its end.

Reactions look at their event and nothing else, so what follows from an event is
known from the document: each reaction to it succeeds, or is rejected where it says
so. All ways of deciding that are gone through, up to a bound. At the end of a way
that did not complete, what was done must be undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from sagas.core import dag
from sagas.core.limits import WAYS_MAX
from sagas.core.problem import hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagas.core.choreography import Choreography, Reaction
    from sagas.core.definition import Step
    from sagas.core.problem import Report


def check(chart: Choreography, steps: Sequence[Step], report: Report) -> None:
    """Report events that lead nowhere, reactions that never run, loops, and what a failure leaves undone.

    Of new documents only: what was published before compiles whatever is asked of new ones.
    """
    if report.problems:
        return  # what is not there leads nowhere
    place = {one.name: number for number, one in enumerate(chart.reactions)}
    _names(chart, place, report)
    _unpublished(chart, report)
    if report.problems:
        return
    _loops(chart, place, report)
    _unreachable(chart, place, report)
    _unhandled(chart, place, report)
    if not report.problems:
        _ways(chart, steps, place, report)


def _names(chart: Choreography, place: dict[str, int], report: Report) -> None:
    for number, kind in enumerate(chart.compensated_on):
        if kind in chart.completes_on:
            message = f"`{kind}` completes the run already: an event says one of the two."
            report.error(("compensated_on", number), "two_ends", message)
    for one in chart.reactions:
        other = chart.by_name.get(one.undoes)
        if other is not None and other.undoes:
            message = f"`{other.name}` undoes `{other.undoes}`: what undoes is not undone."
            report.error(("reactions", place[one.name], "undoes"), "undoes_an_undo", message)
        if one.undoes and one.rejected:
            message = f"`{one.name}` undoes `{one.undoes}`: it cannot refuse that. A person is asked when it fails."
            report.error(("reactions", place[one.name], "emits", "rejected"), "undo_rejected", message)
    for kind in chart.early:
        if kind not in chart.types:
            message = f"no event is called `{kind}` here.{hint(kind, sorted(chart.types))}"
            report.error(("early", kind), "event_unknown", message, at_key=True)


def _published(chart: Choreography) -> set[str]:
    return {*chart.emitting}.union(*chart.publishes.values())


def _unpublished(chart: Choreography, report: Report) -> None:
    published = _published(chart)
    named = [
        *((("starts_on", number), kind) for number, kind in enumerate(chart.starts_on)),
        *((("completes_on", number), kind) for number, kind in enumerate(chart.completes_on)),
        *((("compensated_on", number), kind) for number, kind in enumerate(chart.compensated_on)),
        *(
            (("reactions", place, "on", number), kind)
            for place, one in enumerate(chart.reactions)
            for number, kind in enumerate(one.on)
        ),
    ]
    for path, kind in named:
        if kind not in published:
            near = hint(kind, sorted(published))
            message = f"nobody emits `{kind}`; where it comes from outside, say so under `publishes`.{near}"
            report.error(path, "event_unpublished", message)


def _unhandled(chart: Choreography, place: dict[str, int], report: Report) -> None:
    ends = {*chart.starts_on, *chart.completes_on, *chart.compensated_on}
    for one in chart.reactions:
        for key, kind in (("succeeded", one.succeeded), ("rejected", one.rejected)):
            if kind and kind not in ends and kind not in chart.reacting:
                message = f"nobody handles `{kind}`: no reaction is on it, and it ends nothing."
                report.error(("reactions", place[one.name], "emits", key), "event_unhandled", message)
    for service, kinds in chart.publishes.items():
        for number, kind in enumerate(kinds):
            if kind not in ends and kind not in chart.reacting:
                message = f"nobody handles `{kind}`: no reaction is on it, and it starts and ends nothing."
                report.error(("publishes", service, number), "event_unhandled", message)


def _loops(chart: Choreography, place: dict[str, int], report: Report) -> None:
    before = {
        one.name: [other.name for kind in one.on for other in chart.emitting.get(kind, ())] for one in chart.reactions
    }
    cycle = dag.find_cycle(before)
    if not cycle:
        return
    names = [*reversed(cycle), cycle[-1]]
    way = names[0]
    for former, following in pairwise(names):
        kind = next(kind for kind in chart.by_name[former].emits if kind in chart.by_name[following].on)
        way += f" → {kind} → {following}"
    message = f"events go round for ever: {way}."
    report.error(("reactions", place[names[0]], "on"), "event_loop", message)


def _unreachable(chart: Choreography, place: dict[str, int], report: Report) -> None:
    todo = [*chart.starts_on, *(kind for kinds in chart.publishes.values() for kind in kinds)]
    seen: set[str] = set()
    ran: set[str] = set()
    while todo:
        kind = todo.pop()
        if kind in seen:
            continue
        seen.add(kind)
        for one in chart.reacting.get(kind, ()):
            ran.add(one.name)
            todo.extend(one.emits)
    for one in chart.reactions:
        if one.name not in ran:
            message = f"`{one.name}` can never run: no way leads from {_listed(chart.starts_on)} to {_listed(one.on)}."
            report.error(("reactions", place[one.name], "on"), "reaction_unreachable", message)


# ---- ways ------------------------------------------------------------------


@dataclass(slots=True)
class _Way:
    """One way through: which reactions were refused, and what happened."""

    choices: dict[str, bool] = field(default_factory=dict)  # by reaction: whether it succeeds
    seen: list[str] = field(default_factory=list)
    ran: list[Reaction] = field(default_factory=list)
    open: Reaction | None = None  # the first one of which nothing is decided yet

    @property
    def refused(self) -> list[str]:
        return [one.name for one in self.ran if not self.choices[one.name]]


def _ways(chart: Choreography, steps: Sequence[Step], place: dict[str, int], report: Report) -> None:
    """Follow every way, from each event that starts a run, alone and with one more event from outside at its end."""
    writes = {step.name for step in steps if step.writes}
    others = [kind for kinds in chart.publishes.values() for kind in kinds if kind not in chart.starts_on]
    told: set[tuple[str, str]] = set()
    count = 0
    for first in chart.starts_on:
        for then in (None, *others):
            for way in _walk(chart, first, then):
                count += 1
                if count > WAYS_MAX:
                    message = f"there are more than {WAYS_MAX} ways through it: not all of them were followed."
                    report.warning(("reactions",), "ways_not_followed", message)
                    return
                _judge(chart, way, writes, place, told, report)


def _walk(chart: Choreography, first: str, then: str | None) -> Iterator[_Way]:
    todo: list[dict[str, bool]] = [{}]
    while todo:
        way = _follow(chart, todo.pop(), first, then)
        if way.open is None:
            yield way
        else:
            todo.append({**way.choices, way.open.name: False})
            todo.append({**way.choices, way.open.name: True})


def _follow(chart: Choreography, choices: dict[str, bool], first: str, then: str | None) -> _Way:
    """Let events and reactions follow from each other, until one of them is not decided yet."""
    way = _Way(choices=dict(choices))
    events = [first]
    is_second = then is None
    while events or not is_second:
        if not events:
            is_second = True
            events = [str(then)]
        kind = events.pop(0)
        way.seen.append(kind)
        for one in chart.reacting.get(kind, ()):
            if one.name not in way.choices:
                if one.rejected:
                    way.open = one
                    return way
                way.choices[one.name] = True
            way.ran.append(one)
            follows = one.succeeded if way.choices[one.name] else one.rejected
            if follows:
                events.append(follows)
    return way


def _judge(
    chart: Choreography,
    way: _Way,
    writes: set[str],
    place: dict[str, int],
    told: set[tuple[str, str]],
    report: Report,
) -> None:
    is_undone = any(kind in chart.compensated_on for kind in way.seen)
    if not is_undone and any(kind in chart.completes_on for kind in way.seen):
        return
    is_open = not is_undone and _ends_from_outside(chart)
    if is_open and not way.refused:
        return
    undone = {one.undoes for one in way.ran if one.undoes}
    left = [
        one
        for one in dict.fromkeys(way.ran)
        if not one.undoes and way.choices[one.name] and one.name in writes and one.name not in undone
    ]
    story = _story(chart, way)
    for one in left:
        cause = (way.refused or [way.seen[-1]])[-1]
        if (cause, one.name) in told:
            continue
        told.add((cause, one.name))
        message = (
            f"{story}, and `{one.name}` stays done: let a reaction with `undoes: {one.name}` follow, "
            "or say `compensation: none`."
        )
        report.error(("reactions", place[one.name]), "left_undone", message)
    if not left and not is_undone and not is_open and ("", way.seen[-1]) not in told:
        told.add(("", way.seen[-1]))
        message = f"{story}, and that ends nothing: name `{way.seen[-1]}` under `completes_on` or `compensated_on`."
        report.error(("reactions", place[way.ran[-1].name]) if way.ran else ("starts_on",), "no_end", message)


def _ends_from_outside(chart: Choreography) -> bool:
    """Whether an event that comes from outside later, other than one that begins a run, may still end it."""
    todo = [kind for kinds in chart.publishes.values() for kind in kinds if kind not in chart.starts_on]
    seen: set[str] = set()
    while todo:
        kind = todo.pop()
        if kind in chart.completes_on or kind in chart.compensated_on:
            return True
        if kind not in seen:
            seen.add(kind)
            todo.extend(follows for one in chart.reacting.get(kind, ()) for follows in one.emits)
    return False


def _story(chart: Choreography, way: _Way) -> str:
    if not way.refused:
        return f"after `{way.seen[0]}` all goes well up to `{way.seen[-1]}`"
    last = chart.by_name[way.refused[-1]]
    return f"when `{last.name}` is rejected (`{last.rejected}`), the last event is `{way.seen[-1]}`"


def _listed(kinds: Sequence[str]) -> str:
    return " or ".join(f"`{kind}`" for kind in kinds) or "nothing"
