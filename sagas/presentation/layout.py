"""Where the boxes of the two-lane picture stand, and the lines between them.

Lengths are SVG units, which are CSS pixels at natural size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core import dag

if TYPE_CHECKING:
    from sagas.presentation.sentence import Left
    from sagas.presentation.status import Look
    from sagas.queries.run_detail import StepDetail

NODE_WIDTH, NODE_HEIGHT = 188, 60
MARGIN = 12
FORWARD_Y = 40
ROW_HEIGHT = NODE_HEIGHT + 20  # steps that run beside each other stand below each other
BACKWARD_Y = 184  # of a picture with one row
PICTURE_HEIGHT = 284
MIDDLE_Y = 142  # where the jump from the failed step runs
SIDE = 8  # how far left of its box the line of a pair runs, when boxes stand below each other
GAPS = {1: 0, 2: 112, 3: 96, 4: 56}
GAP = 28


@dataclass(frozen=True, slots=True)
class Node:
    """One box: a link to its step."""

    id: str
    x: int
    y: int
    url: str
    title: str
    full_title: str
    look: Look
    facts: tuple[str, ...]  # second line: state in words, how long, which try
    left: Left | None  # counts down to the next try
    is_reached: bool
    is_current: bool
    kind: str = ""  # icon of what it waits for; empty for a step that calls

    @property
    def bottom(self) -> int:
        """Where it ends below."""
        return self.y + NODE_HEIGHT

    @property
    def middle(self) -> int:
        """Where lines meet it at its sides."""
        return self.y + NODE_HEIGHT // 2


@dataclass(frozen=True, slots=True)
class Edge:
    """One line. `kind` is forward, backward, pair or jump."""

    kind: str
    path: str
    is_reached: bool = True

    @property
    def arrow(self) -> str:
        """Which arrow head it ends in; empty for none."""
        if self.kind == "pair":
            return ""
        return "forward" if self.kind == "backward" and not self.is_reached else self.kind


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the steps stand: a column for each stage, and in it a row for each that runs beside others."""

    columns: tuple[int, ...]  # of each step
    rows: tuple[int, ...]
    gap: int

    @classmethod
    def of(cls, steps: tuple[StepDetail, ...]) -> Layout:
        """Lay steps out by what comes after what."""
        column_of = dag.layers({step.plan.name: step.plan.after for step in steps})
        taken: dict[int, int] = {}
        rows = []
        columns = tuple(column_of[step.plan.name] for step in steps)
        for column in columns:
            rows.append(taken.get(column, 0))
            taken[column] = rows[-1] + 1
        return cls(columns, tuple(rows), GAPS.get(len(taken), GAP))

    @property
    def lower(self) -> int:
        """How much further down everything below the forward lane is than with one row."""
        return max(self.rows, default=0) * ROW_HEIGHT

    def x(self, place: int) -> int:
        """Where the boxes of a step begin."""
        return MARGIN + self.columns[place] * (NODE_WIDTH + self.gap)

    def forward_y(self, place: int) -> int:
        """Where the box of its action stands."""
        return FORWARD_Y + self.rows[place] * ROW_HEIGHT

    def backward_y(self, place: int) -> int:
        """Where the box of its undo stands."""
        return BACKWARD_Y + self.lower + self.rows[place] * ROW_HEIGHT


def forward_edges(steps: tuple[StepDetail, ...], nodes: tuple[Node, ...], layout: Layout) -> list[Edge]:
    """Draw the way forward: from each step to those that come after it."""
    by_name = {step.plan.name: node for step, node in zip(steps, nodes, strict=True)}
    return [
        Edge("forward", _line_right(by_name[before], node, layout.gap), is_reached=node.is_reached)
        for step, node in zip(steps, nodes, strict=True)
        for before in step.plan.after
        if before in by_name
    ]


def _line_right(left: Node, right: Node, gap: int) -> str:
    start, end = left.x + NODE_WIDTH, right.x - 7
    if left.middle == right.middle:
        return f"M{start} {left.middle}H{end}"
    return f"M{start} {left.middle}H{right.x - max(gap, GAP) // 2}V{right.middle}H{end}"


def pairs(forward: tuple[Node, ...], backward: dict[int, Node], layout: Layout) -> list[Edge]:
    """Join each step with its undo: straight down, or past the boxes that stand between."""
    alone = [layout.columns.count(column) == 1 for column in layout.columns]
    return [
        Edge("pair", f"M{node.x + NODE_WIDTH // 2} {forward[place].bottom}V{node.y}")
        if alone[place]
        else Edge("pair", f"M{node.x} {forward[place].middle}h-{SIDE}V{node.middle}h{SIDE}")
        for place, node in backward.items()
    ]


def backward_edges(steps: tuple[StepDetail, ...], backward: dict[int, Node], layout: Layout) -> list[Edge]:
    """From each undo to those that come after it: of the nearest steps before that have one."""
    place_of = {step.plan.name: place for place, step in enumerate(steps)}
    edges = []
    for place, right in backward.items():
        todo, seen = list(steps[place].plan.after), set()
        while todo:
            name = todo.pop()
            before = place_of.get(name)
            if before is None or before in seen:
                continue
            seen.add(before)
            if before not in backward:
                todo.extend(steps[before].plan.after)
                continue
            left = backward[before]
            path = _line_left(right, left, layout.gap)
            edges.append(Edge("backward", path, is_reached=left.is_reached and right.is_reached))
    return edges


def _line_left(right: Node, left: Node, gap: int) -> str:
    end = left.x + NODE_WIDTH + 7
    if left.middle == right.middle:
        return f"M{right.x} {right.middle}H{end}"
    return f"M{right.x} {right.middle}H{left.x + NODE_WIDTH + max(gap, GAP) // 2}V{left.middle}H{end}"
