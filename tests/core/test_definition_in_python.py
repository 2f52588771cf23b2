"""Sagas written in Python make the documents that YAML makes."""

from __future__ import annotations

import inspect
import json
import runpy
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from sagas import definition as d
from sagas.core.choreography_form import CHOREOGRAPHY_KEYS, REACTION_KEYS
from sagas.core.document import SAGA_KEYS, check_source, content_hash
from sagas.core.fields import RETRY_KEYS
from sagas.core.source import read_source
from sagas.core.steps import COMPENSATION_KEYS, DEFAULTS_KEYS, STEP_KEYS
from sagas.core.wait_form import APPROVAL_KEYS, SIGNAL_KEYS
from sagas.definition import DefinitionError, approval, compensation, defaults, retry, saga, step, wait_for
from sagas.testing import simulate
from tests.core.test_document_schema import FULL
from tests.documents import ACTIONS

ROOT = Path(__file__).parents[2]
FULL_IN_PYTHON = saga(
    "full-order",
    title="Full",
    style="orchestration",
    description="All of it.",
    input={
        "type": "object",
        "properties": {"id": {}, "key": {}, "more": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {}},
    },
    key="${input.key}",
    labels={"a": "${input.key}", "b": 1, "c": True},
    amount=12,
    unit="EUR",
    output={"more": ["${input.more}"]},
    deadline=timedelta(hours=1),
    on_compensation_failure="continue",
    in_doubt="ask",
    defaults=defaults(
        timeout="PT30S",
        retry=retry(attempts=3, initial="1s", factor=1.5, max=timedelta(minutes=1), jitter=0.2),
        compensation_retry=retry(attempts="forever"),
    ),
    steps=[
        (pay := step(
            "pay",
            title="Pay",
            action=d.python("shop.ship"),
            with_={"id": "${input.id}"},
            after=[],
            when="${input.id != ''}",
            compensation=compensation(d.python("shop.refund"), with_={}, timeout="1s", retry=retry(attempts=2)),
            timeout=timedelta(milliseconds=250),
            retry=retry(attempts="forever"),
            probe=d.python("shop.look"),
            redact=["with.id", "output.a.*.b", "compensation.output"],
        )),
        step("ship", action="shop.ship", after=[pay], when=True, compensation="none"),
        step("mark", action="shop.ship", pivot=True),
        step("paid", wait_for=wait_for("confirmed", timeout="2d", on_timeout="continue")),
        step("agree", approval=approval(group="operators", prompt="Ship it?", timeout="1d", on_timeout="fail")),
        step("out", run="ship-order", with_={"id": "${input.id}"}),
        step("each", for_each="${input.l}", max_parallel=4, action="shop.ship", with_={"a": "${item}"}),
        step(
            "call",
            action=d.http(
                "stock", method="PUT", path="/a/${input.id}", headers={"X-A": "${input.id}"},
                query={"n": [1, "${input.id}"]}, body={"id": "${input.id}"}, async_=True,
            ),
            probe=d.http("stock", method="POST", path="/b", headers={"X-B": 1}, query={}, body=None),
            compensation=compensation(d.http("stock", method="DELETE", path="/a/${input.id}")),
        ),
        step(
            "tell",
            action=d.command("mail", "send"),
            with_={"id": "${input.id}"},
            compensation=compensation(d.command("mail", "recall")),
        ),
        step("rest", sleep=timedelta(minutes=5)),
        step("day", sleep_until="${input.at}"),
    ],
)  # fmt: skip


def test_a_saga_in_python_is_the_document_and_has_its_hash():
    assert FULL_IN_PYTHON.document == FULL
    checked = check_source(FULL_IN_PYTHON.as_text(), ACTIONS)
    assert checked.problems == ()
    assert content_hash(checked.document) == content_hash(check_source(json.dumps(FULL), ACTIONS).document)
    assert list(checked.document)[:3] == ["saga", "title", "style"]


def test_the_demo_order_in_python_has_the_hash_of_the_one_in_yaml():
    source = (ROOT / "examples/shop/create-order.yaml").read_text()
    document = read_source(source)[0]

    def call(names, fault):
        return {name: f"${{input.{name}}}" for name in names} | {
            "fault": f"${{input.faults.{fault}}}", "pace_ms": "${input.pace_ms}",
        }  # fmt: skip

    policy = retry(attempts=3, initial=timedelta(seconds=0.5), factor=2.0, max="5s", jitter=0.2)
    made = saga(
        "create-order",
        title="Create order",
        description=document["description"],
        input=document["input"],
        key="${input.order_id}",
        labels={"customer": "${input.customer}"},
        amount="${input.amount}",
        unit="EUR cents",
        output="${steps.create_shipment.output}",
        deadline="15m",
        defaults=defaults(timeout="2s", retry=policy, compensation_retry=policy),
        steps=[
            step(
                "process_payment",
                title="Process payment",
                action="shop.process_payment",
                with_=call(["order_id", "amount"], "process_payment"),
                compensation=compensation("shop.refund_payment", with_=call(["order_id"], "refund_payment")),
            ),
            step(
                "update_inventory",
                title="Update inventory",
                action="shop.update_inventory",
                with_=call(["order_id", "items"], "update_inventory"),
                compensation=compensation("shop.restore_inventory", with_=call(["order_id"], "restore_inventory")),
            ),
            step(
                "create_shipment",
                title="Create shipment",
                action="shop.create_shipment",
                with_=call(["order_id"], "create_shipment"),
                timeout=timedelta(seconds=3),
                compensation="none",
            ),
        ],
    )
    assert made.document == document
    assert content_hash(made.document) == content_hash(document)
    assert content_hash(read_source(made.as_text())[0]) == content_hash(document)


@pytest.mark.parametrize(
    ("function", "keys"),
    [
        (d.saga, SAGA_KEYS),
        (d.step, STEP_KEYS),
        (d.choreography, CHOREOGRAPHY_KEYS),
        (d.reaction, REACTION_KEYS),
        (d.compensation, COMPENSATION_KEYS),
        (d.retry, RETRY_KEYS),
        (d.defaults, DEFAULTS_KEYS),
        (d.wait_for, SIGNAL_KEYS),
        (d.approval, APPROVAL_KEYS),
    ],
)
def test_each_function_takes_the_keys_of_the_format(function, keys):
    taken = [name.removesuffix("_") for name in inspect.signature(function).parameters]
    expected = {*keys} - ({"style"} if function is d.choreography else set())
    is_whole = function in {d.saga, d.choreography}
    assert {"saga" if is_whole and name == "name" else name for name in taken} == expected


def test_every_keyword_comes_into_the_document():
    """Also those whose key is not built yet: the reader says so."""
    more = step(
        "more", action=d.http("stock", method="POST", path="/a", headers={"a": "b"}, query={}, body=None, async_=True),
        for_each=["${input.a}"], max_parallel=2, probe=d.command("stock", "look"), redact=["with.card"],
    )  # fmt: skip
    assert more.document == {
        "name": "more",
        "action": {"http": {"service": "stock", "method": "POST", "path": "/a", "headers": {"a": "b"}, "query": {},
                            "body": None, "async": True}},
        "for_each": ["${input.a}"],
        "max_parallel": 2,
        "probe": {"command": {"service": "stock", "name": "look"}},
        "redact": ["with.card"],
    }  # fmt: skip
    assert d.http("stock").document == {"http": {"service": "stock"}}
    assert "output" not in saga("a", steps=[more]).document
    assert saga("a", steps=[more], output=None).document["output"] is None


def test_what_was_made_is_not_changed_by_what_it_was_made_of():
    arguments = {"a": {"b": 1}}
    made = step("x", action="a.b", with_=arguments)
    arguments["a"]["b"] = 2
    made.document["with"]["a"]["b"] = 3
    assert made.document["with"] == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({1, 2}, "A set is not JSON."),
        (date(2026, 1, 1), "A date is not JSON."),
        (timedelta(1), "A timedelta is not JSON."),
        (float("nan"), "Numbers must be finite."),
        ("\0", "Text must not contain the character U+0000."),
        ({1: 2}, "Keys must be text."),
    ],
)
def test_what_no_document_can_hold_is_refused_where_it_is_written(value, text):
    with pytest.raises(DefinitionError, match=r"^a: steps\[0\]\.with\.x: ") as caught:
        saga("a", steps=[step("one", action="a.b", with_={"x": value})])
    assert str(caught.value).endswith(text)


def test_whole_numbers_are_whole_as_they_are_when_read():
    made = saga("a", steps=[step("x", action="a.b", retry=retry(factor=2.0), with_={"a": (1.0, 1.5)})])
    assert made.document["steps"][0]["with"] == {"a": [1, 1.5]}
    assert content_hash(read_source(made.as_text())[0]) == content_hash(made.document)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(), "0s"), (timedelta(seconds=90), "90s"), (timedelta(days=2), "2d"), (timedelta(hours=36), "36h"),
        (timedelta(microseconds=1500), "1.5ms"), (timedelta(seconds=1234567), "1234567s"),
        (timedelta(seconds=1, microseconds=1), "1.000001s"),
    ],
)  # fmt: skip
def test_a_length_of_time_is_written_exactly(span, text):
    assert step("x", sleep=span).document["sleep"] == text


def test_a_saga_in_python_can_be_simulated():
    made = saga(
        "a",
        steps=[step("x", action="a.b", compensation=compensation("a.c")), step("y", action="a.d", compensation="none")],
    )
    assert simulate(made, faults={"y": "rejected"}).undone == ["x"]


def test_the_saga_of_the_how_to_is_one(tmp_path):
    page = (ROOT / "docs/howto/definitions-as-files.md").read_text()
    (tmp_path / "definitions.py").write_text(page.split("```python\n")[1].split("```")[0])
    made = runpy.run_path(str(tmp_path / "definitions.py"))["bake_bread"]
    assert check_source(made.as_text(), {}).problems == ()
    assert simulate(made, {"order": "1", "cents": 2}, {"book": "rejected"}, reads_only=()).undone == ["charge"]


def test_it_needs_no_django():
    code = "import sys, sagas.definition; print([m for m in sys.modules if m.split('.')[0] in {'django', 'channels'}])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


WRONG = {
    'step("x", acton="a.b")': 'Unexpected keyword argument "acton" for "step"',
    'step("x", action="a.b", retry=retry(atempts=3))': 'Unexpected keyword argument "atempts" for "retry"',
    'step("x", action="a.b", compensation="nothing")': 'Argument "compensation" to "step" has incompatible type',
    'step("x", action="a.b", timeout=10)': 'Argument "timeout" to "step" has incompatible type "int"',
    'step("x", action="a.b", compensation=retry())': 'Argument "compensation" to "step" has incompatible type "Retry"',
    'saga("a", steps=[compensation("a.b")])': 'List item 0 has incompatible type "Compensation"; expected "Step"',
    'saga("a", steps=[], in_doubt="stop")': 'Argument "in_doubt" to "saga" has incompatible type',
    "saga(steps=[])": 'Missing positional argument "name" in call to "saga"',
}


@pytest.mark.slow
def test_a_type_checker_finds_what_is_wrong(tmp_path):
    """As it does in a project of one's own: with mypy's own settings, and `sagas` as an installed package."""
    lines = [
        "from sagas.definition import compensation, retry, saga, step",
        'step("x", action="a.b", retry=retry(attempts=5))',
    ]
    (tmp_path / "mine.py").write_text("\n".join([*lines, *WRONG, ""]))
    cache = f"--cache-dir={ROOT / 'var/mypy-users'}"
    answer = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", cache, "mine.py"],
        cwd=tmp_path, env={"PATH": "", "MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [line for line in answer.stdout.splitlines() if ": error: " in line]
    for number, (source, message) in enumerate(WRONG.items(), start=len(lines) + 1):
        assert any(line.startswith(f"mine.py:{number}: ") and message in line for line in found), (
            source,
            answer.stdout,
        )
    assert {int(line.split(":")[1]) for line in found} == {*range(3, 3 + len(WRONG))}
