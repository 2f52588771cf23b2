"""`${…}`: what it gives, what it refuses, and what the library underneath would have done wrong."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.expressions import ExpressionError, Names, TemplateInvalidError, compile_template
from sagas.core.limits import EXPRESSION_LENGTH_MAX, EXPRESSIONS_PER_VALUE_MAX, LOOP_ENTRIES_MAX, LOOPS_MAX

NAMES = Names(values=("input", "run.key"), texts=("run.id",), steps=("pay", "reserve"), later_steps=frozenset({"ship"}))
SCOPE = {
    "input": {"id": "A-7", "n": None, "count": 3, "price": 2.5, "ok": True, "items": [{"sku": "a"}, {"sku": "b"}]},
    "run.id": "r1",
    "steps.pay.output": {"receipt": {"number": 7}},
    "steps.pay.status": "succeeded",
}


def render(source, scope=SCOPE, names=NAMES):
    return compile_template(source, names).render(scope)


def faults(source, names=NAMES):
    with pytest.raises(TemplateInvalidError) as caught:
        compile_template(source, names)
    return [(fault.path, fault.message) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("plain", "plain"),
        ({"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
        ("${input.id}", "A-7"),
        ("${ input.count }", 3),
        ("${input.items}", [{"sku": "a"}, {"sku": "b"}]),
        ("${steps.pay.output.receipt.number}", 7),
        ("${run.id}", "r1"),
        ("order ${input.id}, ${input.count} pieces, ${input.price}, ${input.ok}", "order A-7, 3 pieces, 2.5, true"),
        ("${input.items[1].sku}", "b"),
        ("${input.count * 2 + 1}", 7),
        ("${steps.pay.status == 'succeeded' ? 'paid' : 'open'}", "paid"),
        ("${input.items.map(i, i.sku)}", ["a", "b"]),
        ("${ {'id': input.id, 'n': [null]} }", {"id": "A-7", "n": [None]}),
        ("${input.?nope.orValue('default')}", "default"),
        ("${has(input.nope)}", False),
        ("${'}' + input.id}", "}A-7"),
        ("${null}", None),
        ("$${input.id}", "${input.id}"),
        ("$${a} ${input.id} $${", "${a} A-7 ${"),
        ("$ {input.id} $", "$ {input.id} $"),
        ({"a": {"b": "${input.id}", "c": 1}, "d": ["${run.id}"]}, {"a": {"b": "A-7", "c": 1}, "d": ["r1"]}),
        ({"a": "$${", "b": ["$${b}", 1]}, {"a": "${", "b": ["${b}", 1]}),
    ],
)  # fmt: skip
def test_a_template_renders_to(source, value):
    found = render(source)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "path",
    [
        "input.nope",
        "input.nope.deeper",
        "input.n",
        "input.n.deeper",
        "input.id.deeper",
        "run.key",
        "steps.reserve.output.x",
    ],
)
def test_a_plain_path_with_a_missing_link_is_null(path):
    assert render(f"${{{path}}}") is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("to ${input.n}", "`${input.n}` is null, which cannot be put into text"),
        ("to ${input.nope}", "`${input.nope}` is null, which cannot be put into text"),
        ("to ${input.items}", "`${input.items}` is a list, which cannot be put into text"),
        ("to ${input}", "`${input}` is an object, which cannot be put into text"),
        ("${input.nope + 'x'}", 'Key not found in map : "nope"'),
        ("${input.items[5].sku}", "index=5 size=2"),
        ("${1 / 0}", "divide by zero"),
        ("${9223372036854775807 + input.count}", "overflow"),
        ("${18446744073709551615u}", "beyond 64 bits"),
        ("${0.0 / 0.0}", "not finite"),
        ("${b'x'}", "which JSON does not know"),
        ("${timestamp('2026-01-01T00:00:00Z')}", "which JSON does not know"),
        ("${type(1)}", "which JSON does not know"),
        ("${input.?nope}", "Unable to convert"),
        ("${ {1: 2} }", "a key that is not text"),
        ("${input.items.map(a, input.items.map(b, 1 / 0))}", "divide by zero"),
    ],
)
def test_an_expression_without_a_json_value_is_an_error(source, why):
    with pytest.raises(ExpressionError) as caught:
        render(source)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a\0b", "U+0000"),
        ({"a\0b": 1}, "U+0000"),
        (["\ud800"], "surrogate"),
        (2**63, "beyond 64 bits"),
        (-(2**63) - 1, "beyond 64 bits"),
        (float("nan"), "not finite"),
    ],
)
def test_what_the_library_would_change_is_refused_before_it_sees_it(value, why):
    with pytest.raises(ExpressionError) as caught:
        render("${size(input.items) + 0}", {"input": {"items": [], "x": value}})
    assert why in str(caught.value)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**53 + 1, 1.5, "Zoë 😀", [None, True], {"b": {"a": None}}])
def test_values_go_through_the_library_unchanged(value):
    assert render("${[input.x][0]}", {"input": {"x": value}}) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-9e15, 9e15)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc${}.", max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_a_plain_path_and_the_library_agree_on_every_value(value):
    scope = {"input": {"x": value}}
    assert render("${input.x}", scope) == render("${[input.x][0]}", scope) == value


@given(st.text("${}'\"\\ab./r", max_size=12))
def test_any_text_compiles_or_says_why(text):
    try:
        compile_template(text, NAMES)
    except TemplateInvalidError as error:
        messages = [fault.message for fault in error.faults]
    else:
        messages = []
    assert all(messages)


@given(JSON)
def test_text_without_an_expression_is_itself(value):
    if "${" not in str(value):
        assert render(value) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("inputt.id", "`inputt.id` is not a name here. Did you mean `input`?"),
        ("steps.payy.output", "no step is called `payy`. Did you mean `pay`?"),
        ("steps.payy.output + 1", "no step is called `payy`. Did you mean `pay`?"),
        ("steps.zzz.output", "no step is called `zzz`. Steps that can be read here: `pay`, `reserve`."),
        ("steps.ship.output",
         "step `ship` does not come before this place, so it has no output or status to read here."),
        ("steps.pay.outptu.x", "a step has no `outptu`. Did you mean `steps.pay.output`?"),
        ("steps.pay", "`steps.pay` alone is not a value. Write `steps.pay.output` or `steps.pay.status`."),
        ("steps", "`steps` alone is not a value. Write `steps.<name>.output` or `steps.<name>.status`."),
        ("steps['pay']", "`steps` alone is not a value. Write `steps.<name>.output` or `steps.<name>.status`."),
        ("run.idd", "`run.idd` is not a name here. Did you mean `run.id`?"),
        ("thing.x", "`thing.x` is not a name here. Known here: `input`, `run`, `steps`."),
            ("item.x", "`item` is known only in a step with `for_each`, and there not in `for_each` and `when`."),
        ("run.id.x", "`run.id` is text and has no `x`."),
        ("", "`${}` is empty. Write an expression such as `${input.order_id}`."),
        ("steps.pay.status == 1",
         ("`steps.pay.status == 1` is not an expression: "
         "found no matching overload for '_==_' applied to '(string, int)'")),
    ],
)  # fmt: skip
def test_a_wrong_name_is_found_when_compiling(expression, message):
    assert faults(f"${{{expression}}}") == [((), message)]


def test_all_faults_of_a_value_are_reported_with_their_places():
    found = faults({"a": ["${inputt}", "fine"], "b": {"c": "x ${steps.pay} ${"}, "${d}": 1})
    assert [path for path, _ in found] == [("${d}",), ("a", 0), ("b", "c"), ("b", "c")]


def test_an_expression_that_is_too_long_or_never_closed_is_refused():
    long = "1 " * EXPRESSION_LENGTH_MAX
    for source in ("${" + long + "}", "${input.id", "x ${ {'a': 1 }"):
        assert [message[:19] for _, message in faults(source)] == ["`${` is not closed "]


@pytest.mark.parametrize(
    "expression",
    [
        "input.items.map(i, i.sku + i.sku)",
        "input.items . map (i, i.sku + 'x')",
        "[1].filter(i, [1].exists(j, 'a' + 'b' == 'ab'))",
        r"r'\' != '' && input.items.map(i, i.sku + i.sku) == ['\'']",
        "input.items // '\n .map(i, i.sku + i.sku) // '\n",
        "+".join(["input.id"] * 34),
    ],
)
def test_text_cannot_grow_without_a_bound(expression):
    assert "`+`" in faults(f"${{{expression}}}")[0][1]


def test_a_plus_inside_a_text_is_no_plus():
    assert render("${input.items.map(i, 'a+b')[0]}") == "a+b"


def test_a_small_program_cannot_unfold_into_a_huge_result():
    scope = {"input": {"items": list(range(90)), "text": "x" * 4000}}
    with pytest.raises(ExpressionError, match="larger than 256 KiB"):
        render("${input.items.map(i, input)}", scope)
    doubled = "[1]" + ".map(a, [a, a])" * 14
    with pytest.raises(ExpressionError, match="larger than 256 KiB"):
        render("${[" + ", ".join([doubled] * 7) + "]}")
    assert len(render("${input.text + input.text}", scope)) == 8000


def test_loops_are_bounded():
    hundred = {"input": {"items": list(range(100))}}
    with pytest.raises(ExpressionError, match="budget"):
        render("${input.items.map(a, input.items.map(b, input.items.map(c, c)))}", hundred)
    many = {"input": {"items": list(range(LOOP_ENTRIES_MAX + 1))}}
    with pytest.raises(ExpressionError, match="at most 1000 entries"):
        render("${input.items.map(a, a)}", many)
    assert render("${[size(input.items), input.items.exists(a, a == 7)]}", many) == [LOOP_ENTRIES_MAX + 1, True]


def test_a_text_of_braces_and_quotes_is_read_in_a_moment():
    """The pattern for texts must not look ahead over the whole value again and again."""
    assert faults("${" + "'\\" * 60_000)
    assert faults("${" * 60_000)


def test_nulls_do_not_wear_out_the_interpreter():
    """Version 0.1.3 takes one reference from None for each null it hands out: some 3,000 of them end the process."""
    program = """
        from sagas.core.expressions import Names, compile_template
        template = compile_template({"a": "${[input.n][0]}", "b": "${[null, {'x': input}]}"}, Names())
        for _ in range(20_000):
            template.render({"input": {"n": None, "deep": [None]}})
        print("alive")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_a_value_without_expressions_is_not_copied():
    source = {"a": [1, {"b": "text"}]}
    template = compile_template(source, NAMES)
    assert template.is_constant
    assert template.render({}) is template.render({})


def test_a_name_the_scope_does_not_have_counts_as_null():
    assert render("${[run.key, steps.reserve.output]}") == [None, None]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (["${input.s}"] * 400, "larger than 256 KiB"),
        ({"a": {"b": ["${input.s}"] * 400}}, "larger than 256 KiB"),
        (" ".join(["${input.s}"] * 400), "larger than 256 KiB"),
        (["${input.many}"] * 50, "larger than 256 KiB"),
        ('${"x\\u0000y"}', "U+0000"),
        ({"a": ['${"x" + "\\u0000"}']}, "at a[0]: Text must not contain the character U+0000"),
    ],
)
def test_a_result_that_no_database_keeps_has_no_value(source, why):
    template = compile_template(source, NAMES)
    with pytest.raises(ExpressionError) as caught:
        template.render({"input": {"s": "s" * 100_000, "many": [0] * 10_000}})
    assert why in str(caught.value)


def test_loops_of_one_value_may_cost_only_so_much_together():
    scope = {"input": {"l": list(range(LOOP_ENTRIES_MAX))}}
    few = ["${size(input.l.map(a, a))}"] * LOOPS_MAX
    assert compile_template(few, NAMES).render(scope) == [LOOP_ENTRIES_MAX] * LOOPS_MAX
    with pytest.raises(ExpressionError, match="take too long together"):
        compile_template([*few, *few], NAMES).render(scope)
    short = compile_template(["${input.l.exists(a, a == 1)}"] * EXPRESSIONS_PER_VALUE_MAX, NAMES)
    assert short.render({"input": {"l": [1, 2]}}) == [True] * EXPRESSIONS_PER_VALUE_MAX


def test_one_value_holds_only_so_many_computed_expressions():
    with pytest.raises(TemplateInvalidError, match="at most 200 computed expressions"):
        compile_template([f"${{1 + {number}}}" for number in range(5_000)], NAMES)
    assert compile_template(["${input.a}"] * 5_000, NAMES).expressions


def test_a_text_cannot_grow_beyond_a_payload():
    template = compile_template({"a": "${input}${input}", "b": "${input}!"}, Names())
    assert template.render({"input": "x" * 80_000})["b"] == "x" * 80_000 + "!"
    with pytest.raises(ExpressionError, match="larger than 256 KiB"):
        template.render({"input": "x" * 90_000})


def test_a_template_knows_every_name_it_reads():
    template = compile_template(
        {"a": "${input.id}", "b": ["x ${steps.pay.output.x + run.id}"], "c": "$${run.key}"}, NAMES
    )
    assert template.reads == ("input", "run.id", "steps.pay.output")
    assert compile_template("${1 + 1}", NAMES).reads == ()
