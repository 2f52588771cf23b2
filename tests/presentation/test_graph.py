from __future__ import annotations

from dataclasses import replace

import pytest

from sagas.core.vocabulary import CompensationStatus, StepStatus
from sagas.presentation import graph
from sagas.queries.run_detail import find_run_detail
from tests import factories as f

pytestmark = pytest.mark.django_db


def draw(tell):
    detail = find_run_detail(tell(f.frozen_now()).id)
    return graph.draw_run(detail, f.frozen_now())


def with_states(detail, status, compensation_status):
    steps = tuple(replace(step, status=status, compensation_status=compensation_status) for step in detail.steps)
    return replace(detail, steps=steps)


def test_an_undo_stands_in_the_column_of_its_step_below_it():
    picture = draw(f.compensating)
    above = {node.id: node for node in picture.forward}
    for node in picture.backward:
        assert node.x == above[node.id.removesuffix("-undo")].x
        assert node.y > above[node.id.removesuffix("-undo")].bottom


def test_undos_come_in_the_order_of_undoing():
    assert [node.title for node in draw(f.compensated).backward] == ["Restore inventory", "Refund payment"]


def test_the_jump_leads_from_the_failed_step_to_the_first_undo():
    picture = draw(f.compensating)
    jumps = [edge for edge in picture.edges if edge.kind == "jump"]
    failed, first = picture.forward[2], picture.backward[0]
    assert len(jumps) == 1
    assert jumps[0].path.startswith(f"M{failed.x + graph.NODE_WIDTH // 2 + 24} {failed.bottom}")
    assert jumps[0].path.endswith(f"V{first.y - 10}")
    assert f" {first.x + graph.NODE_WIDTH // 2 + 24} " in jumps[0].path


def test_a_run_that_goes_forward_has_no_jump():
    assert [edge for edge in draw(f.in_flight).edges if edge.kind == "jump"] == []


def test_a_step_without_compensation_says_so_in_words_and_the_pivot_is_marked():
    picture = draw(f.book_compensating)
    said = [" ".join(words.lines) for words in picture.words]
    assert said == [
        "No compensation needed",
        "Cannot be undone the point of no return",
        "Cannot be undone after the pivot",
    ]
    assert picture.forward[3].x + graph.NODE_WIDTH < picture.pivot_x < picture.forward[4].x


def test_a_retry_counts_down_on_its_node():
    node = draw(f.retrying).forward[2]
    assert node.facts == ("Retrying", "3 of 3")
    assert str(node.left).startswith("0:")


@pytest.mark.parametrize("status", [*StepStatus, "levitating"])
@pytest.mark.parametrize("compensation_status", [*CompensationStatus, "hovering"])
def test_every_state_and_a_made_up_one_can_be_drawn(status, compensation_status):
    detail = find_run_detail(f.completed(f.frozen_now()).id)
    picture = graph.draw_run(with_states(detail, str(status), str(compensation_status)), f.frozen_now())
    assert len(picture.forward) == 3
    assert all(node.look.label for node in picture.nodes)


def test_the_picture_is_told_in_one_sentence():
    label = draw(f.compensating).label
    assert "2 of 3 steps done" in label
    assert "Create shipment: Failed" in label
    assert "Refund payment: Undoing" in label


def test_a_picture_with_too_many_steps_is_not_drawn():
    detail = find_run_detail(f.completed(f.frozen_now()).id)
    picture = graph.draw_run(replace(detail, steps=detail.steps * 21), f.frozen_now())
    assert picture.is_too_big
    assert picture.forward == ()


def test_a_rejected_step_says_so_on_its_node():
    nodes = draw(f.compensating).forward
    detail = find_run_detail(f.compensating(f.frozen_now()).id)
    assert detail.steps[2].last_outcome == "rejected"
    assert nodes[2].facts[0] == "Failed · rejected"
    assert nodes[0].facts[0] == "Succeeded"


def test_a_definition_is_drawn_before_anything_has_happened():
    picture = graph.draw_definition(f.BOOK_ORDER)
    detail = find_run_detail(f.book_compensating(f.frozen_now()).id)
    run = graph.draw_run(detail, f.frozen_now())
    assert [(node.x, node.title) for node in picture.nodes] == [(node.x, node.title) for node in run.nodes]
    assert picture.words == run.words
    assert picture.pivot_x == run.pivot_x
    assert not any(node.is_reached or node.is_current or node.url for node in picture.nodes)
    assert picture.jump_x is None
    assert picture.forward[-1].facts[0] == "tried until it works"
    assert "Compensation: Refund payment" in picture.label


def test_a_reaction_that_is_only_watched_is_not_said_to_be_tried():
    told = {"emits": {"succeeded": "stock.reserved"}, "on": ["order.placed"], "external": True}
    undo = {"name": "restore", "undoes": "reserve", "on": ["order.lost"], "action": "shop.restore"}
    picture = graph.draw_definition({"style": "choreography", "reactions": [{"name": "reserve", **told}, undo]})
    assert [node.facts for node in picture.nodes] == [("by its service",), ("up to 3 tries",)]
    lone = {"style": "choreography", "reactions": [
        {"name": "reserve", "on": ["order.placed"], "action": "shop.reserve"},
        {"name": "restore", "undoes": "reserve", "on": ["order.lost"], "external": True},
    ]}  # fmt: skip
    assert [node.facts for node in graph.draw_definition(lone).nodes] == [("up to 3 tries",), ("by its service",)]


@pytest.mark.parametrize("document", [{}, {"steps": "no"}, {"steps": [3, {"name": None}]}, {"steps": [{}] * 99}])
def test_a_document_of_any_form_can_be_drawn(document):
    assert graph.draw_definition(document).label
