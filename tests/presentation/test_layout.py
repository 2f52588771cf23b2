"""The picture of steps beside each other."""

from __future__ import annotations

from itertools import combinations

import pytest

from sagas.presentation.graph import draw_definition
from sagas.presentation.layout import NODE_HEIGHT, NODE_WIDTH

pytestmark = pytest.mark.usefixtures("db")

UNDO = {"action": "shop.undo"}
DIAMOND = {
    "steps": [
        {"name": "open", "action": "shop.open", "compensation": UNDO},
        {"name": "left", "after": ["open"], "action": "shop.left", "compensation": UNDO},
        {"name": "right", "after": ["open"], "action": "shop.right", "compensation": "none"},
        {"name": "low", "after": ["open"], "action": "shop.low", "compensation": UNDO},
        {"name": "close", "after": ["left", "right", "low"], "action": "shop.close", "compensation": UNDO},
    ]
}


def test_steps_beside_each_other_share_a_column_and_no_two_boxes_touch():
    picture = draw_definition(DIAMOND)
    columns = [node.x for node in picture.forward]
    assert columns[1] == columns[2] == columns[3]
    assert columns[0] < columns[1] < columns[4]
    for one, other in combinations(picture.nodes, 2):
        assert abs(one.x - other.x) > NODE_WIDTH or abs(one.y - other.y) > NODE_HEIGHT, (one.id, other.id)
    assert all(node.bottom < picture.height for node in picture.nodes)


def test_each_undo_stands_in_the_column_of_its_step_below_the_whole_forward_lane():
    picture = draw_definition(DIAMOND)
    x_of = {node.id: node.x for node in picture.forward}
    lowest = max(node.bottom for node in picture.forward)
    assert [node.id for node in picture.backward] == [f"node-{name}-undo" for name in ("close", "low", "left", "open")]
    assert all(node.x == x_of[node.id.removesuffix("-undo")] and node.y > lowest for node in picture.backward)


def test_an_undo_leads_to_the_nearest_undos_before_it():
    backward = [edge for edge in draw_definition(DIAMOND).edges if edge.kind == "backward"]
    assert len(backward) == 5  # close to left, low and, past `right`, to open; left and low to open


def test_a_line_forward_is_drawn_for_each_step_that_one_comes_after():
    assert len([edge for edge in draw_definition(DIAMOND).edges if edge.kind == "forward"]) == 6
