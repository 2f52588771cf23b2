"""What a choreography hides: where it says so, where the same values stand, and what it may not hide."""

from __future__ import annotations

import json

import pytest

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.redaction import EVENT, INPUT
from sagas.core.sealed import MASK
from tests.choreography.redacted import SOURCE

FACTS = {"engine.plain": ActionFacts()}
EVENT_DATA = "redact: [event.data.card.number, event.data.card.pin]"


def compiled(source: str = SOURCE):
    """Return what a source says; it must be right."""
    checked = check_source(source, FACTS)
    assert checked.problems == ()
    return compile_document(checked.document, FACTS)


def problems(source: str) -> list[str]:
    """Return what is wrong with a source: place, code and words."""
    return [f"{one.path} {one.code}: {one.message}" for one in check_source(source, FACTS).problems]


def test_a_place_of_events_is_hidden_wherever_a_plain_path_carries_it():
    places = compiled().redaction.places
    card = (("card", "number"), ("card", "pin"))
    assert places[EVENT] == (("data", "card", "number"), ("data", "card", "pin"), ("data", "output", "token"),
                             ("data", "token"))  # fmt: skip
    assert places[INPUT] == (*card, ("output", "token"), ("token",))
    assert places["take_payment.with"] == card
    assert places["refund_payment.with"] == (("number",),)
    assert places["ship.with"] == (("bearer",), ("token",))


def test_an_output_that_is_no_mapping_is_hidden_where_it_stands_in_the_event():
    redaction = compiled().redaction
    event = {"id": "1", "data": {"order_id": "7", "output": "tok_1"}}
    assert redaction.masked(EVENT, event)["data"] == {"order_id": "7", "output": MASK}


def test_without_redact_nothing_is_hidden():
    source = "\n".join(line for line in SOURCE.splitlines() if "redact" not in line)
    assert not compiled(source).redaction


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("event.subject", "event.subject"), ("event", "event"), ("data.card", "data.card"), ("5", "5"),
        ("event.data..card", "event.data..card"), ("with.card", "with.card"),
    ],
)  # fmt: skip
def test_what_is_no_place_of_an_event_is_refused_with_its_place(place, found):
    said = problems(SOURCE.replace("event.data.card.pin]", f"{place}]"))
    assert len(said) == 1
    assert said[0].startswith("redact[1] redact_place: `redact` names a place in the data of events, such as")
    assert found in said[0]


def test_a_list_is_wanted():
    assert problems(SOURCE.replace(EVENT_DATA, "redact: event.data.card"))[0].startswith("redact wrong_type:")
    assert problems(SOURCE.replace(EVENT_DATA, "redact: []"))[0].startswith("redact wrong_type:")
    many = ", ".join(f"event.data.f{number}" for number in range(2_000))
    assert problems(SOURCE.replace(EVENT_DATA, f"redact: [{many}]"))[0].startswith("redact too_many:")


def test_a_reaction_hides_only_what_it_is_given_or_gives_back():
    said = problems(SOURCE.replace("[output.token]", "[with.crad, compensation.with.x, body]"))
    assert said == [
        "reactions[0].redact[0] redact_place: There is no argument `crad`. Did you mean `card`?",
        "reactions[0].redact[1] redact_place: The step has no `compensation` in which something could be hidden.",
        "reactions[0].redact[2] redact_place: There is no `body` in which something could be hidden.",
    ]


def test_a_reaction_that_is_only_watched_hides_nothing_of_its_own():
    source = SOURCE.replace("    action: engine.plain\n    with: {card:", "    external: true\n    with: {card:")
    assert "reactions[0].redact not_of_external" in "".join(problems(source))


@pytest.mark.parametrize("place", ["event.data.order_id", "event.data", "event.data.*"])
def test_what_runs_are_found_by_is_not_hidden(place):
    said = problems(SOURCE.replace("event.data.card.pin]", f"{place}]"))
    assert any(one.startswith("correlate redacted_shown: This would show `event.data.order_id`") for one in said)


def test_a_label_is_not_hidden_and_an_output_of_which_the_key_is_a_part_neither():
    said = problems(SOURCE.replace("event.data.card.pin]", "event.data.customer]"))
    assert [one.partition(":")[0] for one in said] == ["labels.customer redacted_shown"]
    said = problems(SOURCE.replace("[output.token]", "[output]"))
    assert any(one.startswith("correlate redacted_shown") for one in said)


def test_what_an_expression_makes_of_a_hidden_value_is_warned_of_at_the_reaction():
    source = SOURCE.replace("    redact: [with.bearer]\n", "")
    warnings = [(one.path, one.code) for one in check_source(source, FACTS).warnings]
    assert ("reactions[1].with.bearer", "redacted_read") in warnings
    assert "redacted_read" not in {one.code for one in check_source(SOURCE, FACTS).warnings}


def test_places_without_end_do_not_follow_from_each_other():
    source = SOURCE.replace("[output.token]", "[output.output.output, output.token]")
    assert compiled(source).redaction.count < 100
    json.dumps(sorted(compiled(source).redaction.places))
