"""Which places are hidden, what is hidden there, and texts that would tell it."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core import messages as m
from sagas.core.expressions import ExpressionError, Names, compile_template
from sagas.core.limits import REDACTED_MAX
from sagas.core.redaction import EACH, NOTHING, Redaction
from sagas.core.sealed import LOST, MASK, Hidden, as_stored, from_stored, holds_mask, unmasked
from sagas.core.secret_text import scrubbed, secrets_in, without_secrets
from sagas.core.simulate import simulate
from sagas.core.state import RunState
from sagas.core.vocabulary import Phase
from tests.core.test_document import compiled
from tests.documents import one, said, steps

FLOW = """\
saga: flow
input: {{properties: {{card: {{}}, cards: {{}}, who: {{}}}}}}
output: {{made: "${{steps.pay.output.token}}", all: "${{steps.pay.output}}"}}
steps:
  - name: pay
    action: shop.ship
    with: {{card: "${{input.card}}", who: "${{ input.who }}", pair: ["${{input.who}}", "${{input.card.pin}}"]}}
    compensation: {{action: shop.refund, with: {{c: "${{step.input.card}}", t: "${{step.output.token}}"}}}}
    {pay}
  - {{name: each, for_each: "${{input.cards}}", action: shop.ship, with: {{n: "${{item.number}}"}}, compensation: none
     {each}}}
  - {{name: told, wait_for: {{signal: s, timeout: 1h}} {told}}}
  - {{name: ship, action: shop.ship, compensation: none,
     with: {{whole: "${{input}}", got: "${{steps.told.output.x}}"}}}}
"""


def places(pay="", each="", told=""):
    return compiled(FLOW.format(pay=pay, each=each, told=told)).redaction.places


def test_nothing_is_hidden_where_nothing_is_redacted():
    assert places() == {}
    assert compiled(FLOW.format(pay="", each="", told="")).redaction == NOTHING
    assert not NOTHING


def test_a_value_is_hidden_back_where_it_came_from_and_on_wherever_a_path_carries_it():
    assert places(pay="redact: [with.card.number]") == {
        "pay.with": (("card", "number"),),
        "input": (("card", "number"),),
        "pay.compensation.with": (("c", "number"),),
        "ship.with": (("whole", "card", "number"),),
    }
    assert places(pay="redact: [output.token]") == {
        "pay.output": (("token",),),
        "pay.compensation.with": (("t",),),
        "output": (("all", "token"), ("made",)),
    }
    assert places(pay="redact: [compensation.with.c]") == {
        "pay.compensation.with": (("c",),),
        "pay.with": (("card",), ("pair", "1")),
        "input": (("card",),),
        "ship.with": (("whole", "card"),),
    }
    assert places(pay="redact: [compensation.output.x]") == {"pay.compensation.output": (("x",),)}


def test_items_of_lists_and_signals_are_followed_too():
    assert places(each=", redact: [with.n]") == {
        "each.with": (("n",),),
        "each.items": (("number",),),
        "input": (("cards", "number"),),
        "ship.with": (("whole", "cards", "number"),),
    }
    assert places(told=", redact: [output.x]") == {
        "told.output": (("x",),),
        "signal s": (("x",),),
        "ship.with": (("got",),),
    }


def test_one_item_of_a_list_in_a_document_is_hidden_alone():
    assert places(pay="redact: [with.pair.1]")["input"] == (("card", "pin"),)
    redaction = Redaction({"a": (("pair", "1"),)})
    assert redaction.masked("a", {"pair": ["x", "y"]}) == {"pair": ["x", MASK]}


def test_a_computed_value_is_not_followed():
    text = one("    with: {a: '${input.a}', b: '${[input.a]}'}\n    redact: [with.a]\n")
    assert compiled(text).redaction.places == {"input": (("a",),), "look.with": (("a",),)}


def test_what_is_hidden_twice_is_named_once():
    assert places(pay="redact: [with.card, with.card.number]")["pay.with"] == (("card",), ("pair", "1"))


def test_too_many_places_are_refused():
    """Ten steps with thirty copies each: the reader stops before it has looked for all of them."""
    copies = ", ".join(f"a{number}: '${{input.x}}'" for number in range(30))
    lines = [f"  - {{name: s{n}, action: shop.look, with: {{{copies}}}, redact: [with.a0]}}\n" for n in range(10)]
    assert said(steps("".join(lines))) == [
        f"steps (line 3, column 3): More than {REDACTED_MAX} places would be redacted, those that paths add included."
    ]


@pytest.mark.parametrize(
    ("keys", "value", "shown"),
    [
        (("a",), {"a": 1, "b": 2}, {"a": MASK, "b": 2}),
        (("a", "b"), {"a": {"b": [1], "c": 2}}, {"a": {"b": MASK, "c": 2}}),
        (("a", "b"), {"a": [{"b": 1}, {"c": 2}, 3, None]}, {"a": [{"b": MASK}, {"c": 2}, MASK, None]}),
        (("a", EACH), {"a": {"x": 1, "y": None}}, {"a": {"x": MASK, "y": None}}),
        (("a", EACH, "b"), {"a": [{"b": 1, "c": 2}]}, {"a": [{"b": MASK, "c": 2}]}),
        (("a", "b"), {"a": "not a mapping"}, {"a": MASK}),
        (("a", "b"), {"a": False}, {"a": MASK}),
        (("a", "b"), {"a": None, "b": 1}, {"a": None, "b": 1}),
        (("a",), [{"a": 1}], [{"a": MASK}]),
        ((), {"a": 1}, MASK),
        ((), None, None),
    ],
)
def test_what_a_place_hides(keys, value, shown):
    before = copy.deepcopy(value)
    assert Redaction({"r": (keys,)}).masked("r", value) == shown
    assert Redaction({"r": (keys,)}).masked("other", value) == value == before


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text("ab•", max_size=3)),
    lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(st.sampled_from("abc*1"), part, max_size=3)),
    max_leaves=10,
)


@given(JSON, st.lists(st.sampled_from("abc*1"), max_size=4).map(tuple))
def test_what_was_masked_can_be_put_back(value, keys):
    assert unmasked(Redaction({"r": (keys,)}).masked("r", value), value) == value


def test_what_a_person_changed_stays_changed():
    before = {"card": {"number": "4111", "year": 1}, "list": ["a", "b"]}
    after = {"card": {"number": MASK, "year": 2}, "list": ["x", MASK, MASK], "new": MASK}
    found = unmasked(after, before)
    assert found == {"card": {"number": "4111", "year": 2}, "list": ["x", "b", MASK], "new": MASK}
    assert holds_mask(found)
    assert not holds_mask({"a": [f"{MASK}x", 1, None]})


# ---- hidden values -------------------------------------------------------------


def test_a_hidden_value_is_dots_to_everybody_who_writes_it():
    hidden = Hidden("secret-token")
    for twin in (hidden, copy.copy(hidden), copy.deepcopy({"a": hidden})["a"]):
        assert (f"{twin}", repr(twin), json.dumps(twin, ensure_ascii=False)) == (MASK, f"'{MASK}'", f'"{MASK}"')
        assert twin.token == "secret-token"


def test_hidden_values_are_stored_as_they_are_sealed():
    value = {"a": [Hidden("t"), 1], "b": {"c": Hidden("u")}, "$sealed": {"x": 1}}
    text = json.dumps(as_stored(value))
    assert text == '{"a": [{"$sealed": "t"}, 1], "b": {"c": {"$sealed": "u"}}, "$sealed": {"x": 1}}'
    again = json.loads(text, object_hook=from_stored)
    assert again == value
    assert again["b"]["c"].token == "u"


@pytest.mark.parametrize(
    "source", ["${input.card}", "${input.card.number}", "x ${input.card}", "${size(input.card)}", "${input}"]
)
def test_an_expression_that_reads_what_cannot_be_opened_says_so(source):
    template = compile_template({"a": source}, Names())
    with pytest.raises(ExpressionError, match=LOST):
        template.render({"input": {"card": Hidden("t")}})


# ---- texts ---------------------------------------------------------------------


def test_a_secret_is_taken_out_of_texts_and_of_values_with_texts():
    secrets = ("4111-2222", "90217", "abc")
    assert scrubbed("No: 4111-2222, pin 90217!", secrets) == f"No: {MASK}, pin {MASK}!"
    assert scrubbed({"a": ["x 90217", 90217, 5, True, None]}, secrets) == {"a": [f"x {MASK}", MASK, 5, True, None]}


def test_a_secret_that_was_cut_at_the_end_is_taken_out_too():
    secret = "a-long-secret-of-some-length"
    assert scrubbed(f"bad value: {secret[:12]}", (secret,)) == f"bad value: {MASK}"
    assert scrubbed("bad value: a-long", (secret,)) == "bad value: a-long"  # too short to be told from other words


def test_what_is_a_secret():
    redaction = Redaction({"pay.with": (("card",), ("n",))})
    value = {"card": {"number": 'a"b\né', "year": 31, "ok": True}, "n": 90217, "open": "shown"}
    assert secrets_in(redaction, "pay.with", value) == {'a"b\né', 'a\\"b\\n\\u00e9', 'a"b\\né', "90217"}


def test_an_event_says_what_happened_without_the_secret():
    redaction = Redaction({"input": (("card",),)})
    state = RunState(input={"card": "4111-2222"})
    event = m.StepFailed(step="pay", outcome="rejected", message="No 4111-2222")
    assert without_secrets(event, redaction, state).message == f"No {MASK}"
    assert without_secrets(m.RunPaused(), redaction, state) == m.RunPaused()
    ended = m.AttemptEnded(step="pay", phase=Phase.ACTION, number=1, outcome="failed", details={"c": "4111-2222"})
    assert without_secrets(ended, redaction, state).details == {"c": MASK}


def test_a_simulation_hides_what_a_run_would():
    text = FLOW.format(pay="redact: [with.card.number, output.token]", each="", told="")
    told = simulate(
        compiled(text.replace("told, wait_for: {signal: s, timeout: 1h}", "told, sleep: 1s")),
        {"card": {"number": "4111-2222"}, "cards": [], "who": "me"},
        {"pay": [{"outcome": "succeeded", "output": {"token": "CANARY"}}], "ship": "rejected"},
    ).as_json()
    text = json.dumps(told, ensure_ascii=False)
    assert MASK in text
    assert "4111" not in text
    assert "CANARY" not in text
