"""What a choreography may not say although its form is right: every way through it is followed to its end.

Reactions look at their event and nothing else, so what follows from an event is
known from the document: each reaction to it succeeds, or is rejected where it says
so. All ways of deciding that are gone through, up to a bound. At the end of a way
that did not complete, what was done must be undone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from sagas.core import dag
from sagas.core.choreography_ways import check_ways
from sagas.core.limits import EVENT_DEPTH_MAX, EVENTS_PER_RUN_MAX
from sagas.core.problem import hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagas.core.choreography import Choreography
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
    _untold(chart, place, report)
    if not report.problems:
        _too_much(chart, report)
    if not report.problems:
        check_ways(chart, steps, place, report)


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
    reached = chart.following((*chart.starts_on, *chart.others))
    for one in chart.reactions:
        if reached.isdisjoint(one.on):
            message = f"`{one.name}` can never run: no way leads from {_listed(chart.starts_on)} to {_listed(one.on)}."
            report.error(("reactions", place[one.name], "on"), "reaction_unreachable", message)


def _untold(chart: Choreography, place: dict[str, int], report: Report) -> None:
    """Report services that act by themselves and never say what somebody waits to hear."""
    for one in chart.reactions:
        if not one.is_external or one.succeeded:
            continue
        path = ("reactions", place[one.name])
        if one.rejected:
            message = f"nothing tells that `{one.name}` succeeded, so the run waits for ever: it emits `succeeded` too."
        elif one.undoes:
            message = (
                f"nothing tells that `{one.undoes}` is undone, so the run waits for ever: let it emit `succeeded`."
            )
        elif one.name in chart.undoing:
            by = chart.undoing[one.name][0].name
            message = f"nothing tells that `{one.name}` was done, which `{by}` undoes: let it emit `succeeded`."
        else:
            continue
        report.error((*path, "emits"), "nothing_tells", message)


def _too_much(chart: Choreography, report: Report) -> None:
    """Report events that follow from each other, or from one, in a number that no run takes."""
    depth: dict[str, int] = {}
    count: dict[str, int] = {}
    for kind in _last_first(chart):
        reacting = chart.reacting.get(kind, ())
        depth[kind] = max((1 + max((depth[one] for one in each.emits), default=0) for each in reacting), default=0)
        count[kind] = 1 + sum(max((count[one] for one in each.emits), default=0) for each in reacting)
    outside = [
        *((("starts_on", number), kind) for number, kind in enumerate(chart.starts_on)),
        *(
            (("publishes", service, number), kind)
            for service, kinds in chart.publishes.items()
            for number, kind in enumerate(kinds)
            if kind not in chart.starts_on
        ),
    ]
    for path, kind in outside:
        if depth[kind] > EVENT_DEPTH_MAX + 1:  # the first event follows from none
            message = f"up to {depth[kind]} reactions follow from each other here, and at most {EVENT_DEPTH_MAX + 1} "
            report.error(path, "chain_too_long", message + "are carried out: those after them would wait for a person.")
        elif count[kind] > EVENTS_PER_RUN_MAX:
            message = f"up to {count[kind]} events follow from `{kind}`, and a run takes {EVENTS_PER_RUN_MAX}."
            report.error(path, "too_many_events", message)


def _last_first(chart: Choreography) -> list[str]:
    """Return the types of events, each after all that may follow from it. There are no loops any more."""
    found: dict[str, None] = {}
    todo = sorted(chart.types)
    while todo:
        kind = todo[-1]
        after = [one for each in chart.reacting.get(kind, ()) for one in each.emits if one not in found]
        if kind in found or not after:
            found.setdefault(kind)
            todo.pop()
        else:
            todo.extend(after)
    return list(found)


def _listed(kinds: Sequence[str]) -> str:
    return " or ".join(f"`{kind}`" for kind in kinds) or "nothing"
