"""The two-lane picture: forward above from left to right, compensation below from right to left.

Geometry only; `templates/sagas/runs/_graph.html` writes the SVG. A pair shares
one column. Lengths are SVG units, which are CSS pixels at natural size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sagas.core.vocabulary import CompensationStatus, StepStatus
from sagas.presentation.format import duration, whole
from sagas.presentation.layout import (
    GAP,
    MARGIN,
    MIDDLE_Y,
    NODE_HEIGHT,
    NODE_WIDTH,
    PICTURE_HEIGHT,
    Edge,
    Layout,
    Node,
    backward_edges,
    forward_edges,
    pairs,
)
from sagas.presentation.lists import done_words, undone_words
from sagas.presentation.sentence import Left
from sagas.presentation.status import Look, compensation_look, step_look
from sagas.presentation.waits import ICONS, node_words, plan_facts, plan_words, waited_words
from sagas.queries.plan import Undo, step_plans
from sagas.queries.run_detail import StepDetail

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.vocabulary import Json
    from sagas.queries.plan import StepPlan
    from sagas.queries.run_detail import Attempt, RunDetail
    from sagas.queries.waits import Wait

TITLE_CHARACTERS_MAX = 20
KIND_CHARACTERS = 6  # what the icon of a step that waits takes of its title's line
FACTS_CHARACTERS_MAX = 26
NODES_MAX = 60  # morphing more than this costs a viewer tens of milliseconds; the table is the truth
_ENDED = {StepStatus.SUCCEEDED.value, StepStatus.FAILED.value, StepStatus.IN_DOUBT.value, StepStatus.SKIPPED.value}
_UNREACHED = {CompensationStatus.NONE.value, CompensationStatus.PENDING.value, CompensationStatus.NOT_NEEDED.value}
_ACTIVE = {"running", "waiting", "retrying"}


@dataclass(frozen=True, slots=True)
class Words:
    """What stands below a step that has no compensation, in one or two lines."""

    x: int
    y: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole picture."""

    width: int
    height: int
    label: str
    forward: tuple[Node, ...] = ()
    backward: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    words: tuple[Words, ...] = ()
    pivot_x: int | None = None
    is_too_big: bool = False
    jump_x: int | None = None  # where the words of the jump stand
    jump_y: int = MIDDLE_Y - 10
    margin: int = MARGIN

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All boxes, in the order of execution."""
        return (*self.forward, *self.backward)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a picture is of: a run, or a definition, of which nothing has happened."""

    steps: tuple[StepDetail, ...]
    label: str
    run_id: UUID | None = None  # the steps of a definition have no pages
    turned: str = ""  # name of the step at which a run turned round
    is_paused: bool = False


def draw_run(detail: RunDetail, now: datetime) -> Graph:
    """Return the picture of one run."""
    reason = detail.run.reason if isinstance(detail.run.reason, dict) else {}
    turned = str(reason.get("step") or "")
    steps = _drawn(detail.wholes)
    return _draw(_Subject(steps, _run_label(detail), detail.run.id, turned, detail.run.is_paused), now)


def draw_definition(document: Json) -> Graph:
    """Return the picture of what a document says: no step has been reached."""
    steps = _drawn(tuple(StepDetail(plan=plan, key=plan.name) for plan in step_plans(document)))
    return _draw(_Subject(steps, _definition_label(steps)), datetime.min.replace(tzinfo=UTC))


def _drawn(steps: tuple[StepDetail, ...]) -> tuple[StepDetail, ...]:
    """Leave out reactions that undo others: they are the lower lane."""
    shown = [step for step in steps if step.plan.reaction is None or not step.plan.reaction.undoes]
    names = {step.plan.name for step in shown}
    if len(shown) == len(steps):
        return steps
    return tuple(
        replace(step, plan=replace(step.plan, after=tuple(one for one in step.plan.after if one in names)))
        for step in shown
    )


def _draw(subject: _Subject, now: datetime) -> Graph:
    steps = subject.steps
    if len(steps) > NODES_MAX:
        return Graph(0, 0, subject.label, is_too_big=True)
    layout = Layout.of(steps)
    width = max((layout.x(place) for place in range(len(steps))), default=0) + NODE_WIDTH + MARGIN
    pivot = next((place for place, step in enumerate(steps) if step.plan.is_pivot), None)
    width += layout.gap if pivot is not None and layout.columns[pivot] == max(layout.columns) else 0
    forward = tuple(
        _forward(subject, step, layout.x(place), layout.forward_y(place), now) for place, step in enumerate(steps)
    )
    backward = {
        place: _backward(subject, step, layout.x(place), layout.backward_y(place), now)
        for place, step in enumerate(steps)
        if step.plan.undo is Undo.DECLARED or step.is_undoing
    }
    jump, jump_x = _jump(subject, forward, backward, layout)
    return Graph(
        width,
        PICTURE_HEIGHT + 2 * layout.lower,
        subject.label,
        forward,
        tuple(backward[place] for place in sorted(backward, key=lambda one: (-layout.columns[one], -one))),
        (
            *forward_edges(steps, forward, layout),
            *pairs(forward, backward, layout),
            *backward_edges(steps, backward, layout),
            *jump,
        ),
        tuple(
            Words(
                layout.x(place) + NODE_WIDTH // 2, layout.backward_y(place) + NODE_HEIGHT // 2, _no_compensation(step)
            )
            for place, step in enumerate(steps)
            if place not in backward
        ),
        None if pivot is None else layout.x(pivot) + NODE_WIDTH + max(layout.gap, GAP) // 2,
        jump_x=jump_x,
        jump_y=MIDDLE_Y + layout.lower - 10,
    )


def _run_label(detail: RunDetail) -> str:
    """Say the picture in one sentence."""
    steps = detail.wholes
    done = sum(step.status in {StepStatus.SUCCEEDED.value, StepStatus.SKIPPED.value} for step in steps)
    parts = [
        ngettext("%(done)s of %(count)s step done", "%(done)s of %(count)s steps done", len(steps))
        % {"done": done, "count": len(steps)}
    ]
    parts += [
        f"{step.plan.title}: {step_look(step.status, step.last_outcome).label}"
        + (f", {done_words(step.tally)}" if step.tally is not None else "")
        for step in steps
        if step.status not in {StepStatus.PENDING.value, StepStatus.SUCCEEDED.value, StepStatus.SKIPPED.value}
    ]
    parts += [
        f"{step.undo_title}: {compensation_look(step.compensation_status, step.last_undo_outcome).label}"
        for step in steps
        if step.is_undoing
    ]
    return _("Picture of the run. %(facts)s.") % {"facts": "; ".join(parts)}


def _definition_label(steps: tuple[StepDetail, ...]) -> str:
    forward = ", ".join(step.plan.title for step in steps)
    undo = ", ".join(step.undo_title for step in reversed(steps) if step.plan.undo is Undo.DECLARED)
    return _("Picture of the definition. Forward: %(forward)s. Compensation: %(undo)s.") % {
        "forward": forward, "undo": undo or _("none"),
    }  # fmt: skip


def _forward(subject: _Subject, step: StepDetail, x: int, y: int, now: datetime) -> Node:
    look = step_look(step.status, step.last_outcome)
    most = step.plan.attempts_max
    if subject.run_id is None:
        is_outside = step.plan.reaction is not None and step.plan.reaction.is_external
        facts, left = _outside() if is_outside else _plan_facts(step.plan, most, step.plan.timeout_s), None
    elif step.tally is not None:
        facts, left = (str(look.label), done_words(step.tally)), None
    elif step.wait is not None:
        facts, left = _resting(subject, step.wait, now)
    else:
        facts, left = _facts(step.status, look, step.actions, step.tries, most, _wait(subject, step, now))
        if waited := waited_words(step):
            facts = (*facts, waited)
    return Node(
        id=f"node-{_anchor(step.key)}",
        x=x,
        y=y,
        url=_address(subject, step),
        title=_short(step.plan.title, TITLE_CHARACTERS_MAX - (KIND_CHARACTERS if step.plan.wait else 0)),
        full_title=f"{step.plan.title}: {_spoken(step, look) if subject.run_id else _called(step)}",
        look=look,
        facts=facts,
        left=left,
        is_reached=step.status != StepStatus.PENDING.value,
        is_current=step.status in _ACTIVE,
        kind=ICONS.get(step.plan.wait.kind, "") if step.plan.wait else "",
    )


def _spoken(step: StepDetail, look: Look) -> str:
    """Say the state of a step whole, for those who do not see the picture."""
    if step.wait is None:
        return str(look.label)
    return f"{node_words(step.wait)} {step.wait.signal or step.wait.prompt}".rstrip()


def _called(step: StepDetail) -> str:
    return plan_words(step.plan.wait) if step.plan.wait else step.plan.action


def _resting(subject: _Subject, wait: Wait, now: datetime) -> tuple[tuple[str, ...], Left | None]:
    """Return the second line of a node that waits; what a pause holds up counts nothing down."""
    words = node_words(wait)
    if wait.until is None:
        return (words,), None
    if wait.until <= now:
        return (words, _("held") if subject.is_paused else _("due")), None
    return (words,), Left(wait.until, now)


def _backward(subject: _Subject, step: StepDetail, x: int, y: int, now: datetime) -> Node:
    status, most = step.compensation_status, step.plan.compensation_attempts_max
    look = compensation_look(status, step.last_undo_outcome)
    if subject.run_id is None:
        is_outside = step.plan.is_undone_outside
        facts, left = _outside() if is_outside else _plan_facts(step.plan, most, step.plan.compensation_timeout_s), None
    elif step.tally is not None and step.is_undoing:
        facts, left = (str(look.label), undone_words(step.tally)), None
    else:
        wait = _wait(subject, step, now)
        facts, left = _facts(status, look, step.compensations, step.compensation_tries, most, wait)
    return Node(
        id=f"node-{_anchor(step.key)}-undo",
        x=x,
        y=y,
        url=_address(subject, step, "#undo"),
        title=_short(step.undo_title),
        full_title=f"{step.undo_title}: {look.label if subject.run_id else step.plan.compensation}",
        look=look,
        facts=facts,
        left=left,
        is_reached=step.compensation_status not in _UNREACHED,
        is_current=step.compensation_status in {*_ACTIVE, CompensationStatus.FAILED.value},
    )


def _address(subject: _Subject, step: StepDetail, part: str = "") -> str:
    return reverse("sagas:step-detail", args=[subject.run_id, step.key]) + part if subject.run_id else ""


def _outside() -> tuple[str, ...]:
    """Return the second line of a node of a definition that its service carries out without us."""
    return (_("by its service"),)


def _plan_facts(plan: StepPlan, attempts_max: int | None, timeout_s: float | None) -> tuple[str, ...]:
    """Return the second line of a node of a definition."""
    if plan.for_each:
        return (_("each item"), _("%(count)s at once") % {"count": plan.max_parallel})
    return plan_facts(plan.wait) if plan.wait else _policy(attempts_max, timeout_s)


def _policy(attempts_max: int | None, timeout_s: float | None) -> tuple[str, ...]:
    """Return the second line of a node of a definition: how often it is tried, and for how long."""
    tries = (
        _("tried until it works")
        if attempts_max is None
        else ngettext("%s try", "up to %s tries", attempts_max) % attempts_max
    )
    if timeout_s is None:
        return (tries,)
    time = whole(timeout_s) if timeout_s.is_integer() else duration(timeout_s)
    return (tries, _("%(time)s each") % {"time": time})


def _wait(subject: _Subject, step: StepDetail, now: datetime) -> Left | str:
    """Return how long until the next try, or in a word why nothing counts down."""
    if subject.is_paused:
        return _("held")
    left = Left(step.next_attempt_at or now, now)
    return left if left.until > now else _("due")


def _facts(
    status: str,
    look: Look,
    attempts: tuple[Attempt, ...],
    tries: int,
    most: int | None,
    wait: Left | str,
) -> tuple[tuple[str, ...], Left | None]:
    """Return the second line of a node: its state in words, then what is worth knowing about it."""
    facts = [str(look.label)]
    if status == StepStatus.RETRYING.value:
        template = _("%(number)s of %(most)s") if most else _("try %(number)s")
        facts.append(template % {"number": tries + 1, "most": most})
        return ((*facts, wait), None) if isinstance(wait, str) else (tuple(facts), wait)
    made = len(attempts)
    if made and (spent := _spent(attempts)) is not None:
        facts.append(duration(spent))
    if made > 1:
        facts.append(ngettext("%s try", "%s tries", made) % made)
    while len(facts) > 1 and len(" · ".join(facts)) > FACTS_CHARACTERS_MAX:
        del facts[1]
    return tuple(facts), None


def _spent(attempts: tuple[Attempt, ...]) -> timedelta | None:
    last = attempts[-1]
    return None if last.ended_at is None else last.ended_at - attempts[0].started_at


def _jump(
    subject: _Subject, forward: tuple[Node, ...], backward: dict[int, Node], layout: Layout
) -> tuple[tuple[Edge, ...], int | None]:
    """Draw the way from where the run turned to the first undo."""
    undoing = [place for place, step in enumerate(subject.steps) if step.is_undoing and place in backward]
    if not undoing:
        return (), None
    first = backward[max(undoing, key=lambda place: (layout.columns[place], -layout.rows[place]))]
    turned = next((place for place, step in enumerate(subject.steps) if step.plan.name == subject.turned), None)
    if turned is None:
        turned = max(place for place, step in enumerate(subject.steps) if step.status in _ENDED or step.is_undoing)
    start, end = forward[turned].x + NODE_WIDTH // 2 + 24, first.x + NODE_WIDTH // 2 + 24
    top, middle, bottom = forward[turned].bottom, MIDDLE_Y + layout.lower, first.y - 10
    if start == end:
        return (Edge("jump", f"M{start} {top}V{bottom}"),), None
    way = 1 if start > end else -1
    path = (
        f"M{start} {top}V{middle - 10}Q{start} {middle} {start - 10 * way} {middle}"
        f"H{end + 10 * way}Q{end} {middle} {end} {middle + 10}V{bottom}"
    )
    return (Edge("jump", path),), (start + end) // 2


def _no_compensation(step: StepDetail) -> tuple[str, ...]:
    match step.plan.undo:
        case Undo.AFTER_PIVOT if step.plan.is_pivot:
            return (_("Cannot be undone"), _("the point of no return"))
        case _ if step.plan.wait is not None:
            return (_("Nothing to undo"), _("it only waits"))
        case Undo.AFTER_PIVOT:
            return (_("Cannot be undone"), _("after the pivot"))
        case Undo.READS_ONLY:
            return (_("No compensation declared"), _("it changes nothing"))
        case _:
            return (_("No compensation needed"),)


def _short(title: str, most: int = TITLE_CHARACTERS_MAX) -> str:
    return title if len(title) <= most else title[: most - 1].rstrip() + "…"


def _anchor(key: str) -> str:
    """Make a step key fit for an id in HTML."""
    return key.replace("[", "-").replace("]", "")
