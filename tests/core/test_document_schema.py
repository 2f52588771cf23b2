"""The JSON Schema of the format says what the reader says, as far as a schema can."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.choreography_form import CHOREOGRAPHY_KEYS, REACTION_KEYS
from sagas.core.document import SAGA_KEYS, check_source
from sagas.core.document_schema import document_schema
from sagas.core.fields import Fields
from sagas.core.limits import STEPS_MAX
from sagas.core.source import read_source
from sagas.core.steps import KINDS, STEP_KEYS
from tests import story
from tests.core.test_document import GOOD
from tests.core.test_document_faults import LINT, WRONG
from tests.documents import ACTIONS
from tests.mixed.shapes import SHAPES
from tests.simulation import definitions

ROOT = Path(__file__).parents[2]
SCHEMA = document_schema()
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)

FULL = {
    "saga": "full-order",
    "title": "Full",
    "style": "orchestration",
    "description": "All of it.",
    "input": {"type": "object", "properties": {"id": {}, "key": {}, "more": {"$ref": "#/$defs/a"}},
              "$defs": {"a": {}}},
    "key": "${input.key}",
    "labels": {"a": "${input.key}", "b": 1, "c": True},
    "amount": 12,
    "unit": "EUR",
    "output": {"more": ["${input.more}"]},
    "deadline": "1h",
    "on_compensation_failure": "continue",
    "in_doubt": "ask",
    "defaults": {
        "timeout": "PT30S",
        "retry": {"attempts": 3, "initial": "1s", "factor": 1.5, "max": "1m", "jitter": 0.2},
        "compensation_retry": {"attempts": "forever"},
    },
    "steps": [
        {
            "name": "pay",
            "title": "Pay",
            "action": {"python": "shop.ship"},
            "with": {"id": "${input.id}"},
            "after": [],
            "when": "${input.id != ''}",
            "compensation": {
                "action": {"python": "shop.refund"}, "with": {}, "timeout": "1s", "retry": {"attempts": 2},
            },
            "timeout": "250ms",
            "retry": {"attempts": "forever"},
            "probe": {"python": "shop.look"},
            "redact": ["with.id", "output.a.*.b", "compensation.output"],
        },
        {"name": "ship", "action": "shop.ship", "after": ["pay"], "when": True, "compensation": "none"},
        {"name": "mark", "action": "shop.ship", "pivot": True},
        {"name": "paid", "wait_for": {"signal": "confirmed", "timeout": "2d", "on_timeout": "continue"}},
        {
            "name": "agree",
            "approval": {"group": "operators", "prompt": "Ship it?", "timeout": "1d", "on_timeout": "fail"},
        },
        {"name": "out", "run": "ship-order", "with": {"id": "${input.id}"}},
        {"name": "each", "for_each": "${input.l}", "max_parallel": 4, "action": "shop.ship", "with": {"a": "${item}"}},
        {
            "name": "call",
            "action": {"http": {
                "service": "stock", "method": "PUT", "path": "/a/${input.id}", "headers": {"X-A": "${input.id}"},
                "query": {"n": [1, "${input.id}"]}, "body": {"id": "${input.id}"}, "async": True,
            }},
            "probe": {"http": {
                "service": "stock", "method": "POST", "path": "/b", "headers": {"X-B": 1}, "query": {}, "body": None,
            }},
            "compensation": {"action": {"http": {"service": "stock", "method": "DELETE", "path": "/a/${input.id}"}}},
        },
        {
            "name": "tell",
            "action": {"command": {"service": "mail", "name": "send"}},
            "with": {"id": "${input.id}"},
            "compensation": {"action": {"command": {"service": "mail", "name": "recall"}}},
        },
        {"name": "rest", "sleep": "5m"},
        {"name": "day", "sleep_until": "${input.at}"},
    ],
}  # fmt: skip
# What only the reader can say: codes of problems, each with the reason.
NOT_STRUCTURAL = {
    "step_unknown": "whether a name is one of the steps",
    "cycle": "whether steps wait for each other",
    "beside_pivot": "the order of steps",
    "second_pivot": "a count over steps",
    "pivot_conditional": "a rule between keys",
    "pivot_compensated": "a rule between keys",
    "probe_writes": "whether an action writes is known to the registry",
    "compensation_missing": "whether an action writes is known to the registry",
    "unknown_name": "what an expression means",
    "input_unknown": "what an expression means",
    "redact_place": "whether the place is there",
    "bad_path": "what a path means",
    "bad_header": "which headers are the engine's own",
    "no_body": "a rule between keys",
    "two_bodies": "a rule between keys",
    "async_read": "a rule between keys",
    "redacted_shown": "what an expression means",
    "bad_expression": "what an expression means",
}
NOT_STRUCTURAL_TEXTS = {  # the code is one of structure, the fault is not
    "must be between 10ms and 1d": "how long a duration is",
    "Two steps are called": "a comparison of steps",
    "are one header": "a comparison of names",
    "Pointer '/$defs/x' does not exist": "where a reference leads",
    'is not a "regex"': "whether the linear-time engine takes a pattern",
}


def fits(document) -> bool:
    return VALIDATOR.is_valid(document)


def read(text: str):
    document, report = read_source(text)
    return None if report.problems else document


def accepted(document) -> bool:
    return not check_source(json.dumps(document), ACTIONS).problems


def with_step(said: dict) -> dict:
    return {**FULL, "steps": [{"name": "more", **said}]}


def with_value(path, value) -> dict:
    document = copy.deepcopy(FULL)
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return document


def test_the_schema_is_one():
    jsonschema_rs.meta.validate(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def documents():
    yield "full", FULL
    yield "good", read(GOOD)
    yield from ((f"lint-{number}", read(text)) for number, (text, _) in enumerate(LINT))
    yield from ((path.name, read(path.read_text())) for path in sorted((ROOT / "examples").glob("**/*.yaml")))
    yield from ((name, read(definitions.source(name))) for name in definitions.SOURCES)
    yield from ((shape.saga, read(shape.source)) for shape in SHAPES if shape.source)
    yield from ((each["saga"], each) for each in (story.CREATE_ORDER, story.BOOK_ORDER, story.ASK_ORDER))
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]):
        for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)):
            yield f"{page.name}-{number}", read(block)


@pytest.mark.parametrize("document", [pytest.param(each, id=name) for name, each in documents()])
def test_every_document_we_have_fits(document):
    assert document is not None
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize("text", [pytest.param(text, id=str(number)) for number, (text, _) in enumerate(WRONG)])
def test_a_document_of_the_wrong_structure_does_not_fit(text):
    document = read(text)
    if document is None and text:
        return  # not even YAML
    problems = check_source(text, ACTIONS).problems
    structural = [
        problem
        for problem in problems
        if problem.code not in NOT_STRUCTURAL and not any(said in problem.message for said in NOT_STRUCTURAL_TEXTS)
    ]
    assert fits(document) == (not structural), structural


ALONE = [  # one fault each, so that nothing else can be what does not fit
    (("saga",), "Full Order"), (("saga",), "a" * 65), (("saga",), "start"), (("title",), "x" * 201), (("title",), 1),
    (("style",), "choreography"), (("description",), "x" * 10_001), (("input",), True), (("input", "type"), "objekt"),
    (("key",), 5), (("labels",), {f"l{number}": 1 for number in range(11)}), (("labels", "A"), "x"),
    (("labels", "a"), None), (("amount",), 1.5), (("amount",), "12"), (("unit",), "x" * 41), (("deadline",), 60),
    (("deadline",), "PT"), (("deadline",), "1 h"), (("on_compensation_failure",), "ask"), (("in_doubt",), "stop"),
    (("defaults",), []), (("defaults", "retry", "attempts"), 0), (("defaults", "retry", "attempts"), 1001),
    (("defaults", "retry", "attempts"), "never"), (("defaults", "retry", "factor"), 10.5),
    (("defaults", "retry", "factor"), 0.5), (("defaults", "retry", "jitter"), 1.1), (("defaults", "retry", "max"), 5),
    (("steps",), []), (("steps",), [{"name": f"s{number}", "action": "shop.look"} for number in range(STEPS_MAX + 1)]),
    (("steps", 0, "name"), "Pay"), (("steps", 0, "name"), "in"), (("steps", 0, "name"), "a" * 65),
    (("steps", 0, "action"), "shop pay"), (("steps", 0, "action"), "a" * 201), (("steps", 0, "action"), {}),
    (("steps", 0, "action"), {"python": 1}), (("steps", 0, "with"), [1]), (("steps", 1, "after"), "pay"),
    (("steps", 3, "wait_for"), "paid"), (("steps", 3, "wait_for"), {}), (("steps", 3, "wait_for", "signal"), "1 x"),
    (("steps", 3, "wait_for", "on_timeout"), "stop"), (("steps", 3, "wait_for"), {"signal": "a", "on_timeout": "fail"}),
    (("steps", 3, "with"), {}), (("steps", 3, "retry"), {}), (("steps", 3, "timeout"), "1s"),
    (("steps", 3, "sleep"), "1s"),
    (("steps", 4, "approval", "group"), "x" * 151), (("steps", 4, "approval", "prompt"), "x" * 2001),
    (("steps", 4, "approval", "more"), 1), (("steps", 7, "sleep"), 5), (("steps", 8, "sleep_until"), 5),
    (("steps", 6, "for_each"), "a"), (("steps", 6, "for_each"), {}), (("steps", 6, "max_parallel"), 0),
    (("steps", 6, "max_parallel"), 101), (("steps", 0, "max_parallel"), 2),
    (("steps", 0, "redact"), "with.id"), (("steps", 0, "redact"), []), (("steps", 0, "redact"), ["with..id"]),
    (("steps", 0, "redact"), ["id"]), (("steps", 0, "redact"), [1]), (("steps", 0, "redact"), ["output"] * 201),
    (("steps", 5, "run"), "Ship"), (("steps", 5, "timeout"), "1s"), (("steps", 5, "retry"), {}),
    (("steps", 1, "after"), ["pay", "pay"]), (("steps", 0, "when"), 1), (("steps", 0, "when"), "yes"),
    (("steps", 0, "compensation"), "shop.refund"), (("steps", 0, "compensation", "when"), True),
    (("steps", 0, "compensation", "action"), 7), (("steps", 2, "pivot"), 1), (("steps", 0, "timeout"), 10),
    (("steps", 0, "retry"), 3), (("steps", 0, "more"), 1), (("more",), 1), (("defaults", "more"), 1),
    (("steps", 0, "retry", "more"), 1), (("steps", 0, "compensation", "more"), 1),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), ALONE)
def test_one_fault_of_structure_is_seen_by_both(path, value):
    document = with_value(path, value)
    assert not accepted(document)
    assert not fits(document)


def places(schema=SCHEMA, path=()):
    """Return the schemas that hold at one place of a document: references followed, all branches taken."""
    found, todo = [], [schema]
    while todo:
        part = todo.pop()
        if reference := part.get("$ref"):
            todo.append(SCHEMA["$defs"][reference.removeprefix("#/$defs/")])
        todo += [*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())]
        todo += [part[branch] for branch in ("else",) if branch in part]
        found.append(part)
    if not path:
        return found
    key = path[0]
    below = [
        part["items"] if isinstance(key, int) else part["properties"][key]
        for part in found
        if ("items" in part if isinstance(key, int) else key in part.get("properties", ()))
    ]
    return [one for part in below for one in places(part, path[1:])]


def test_the_schema_knows_the_keys_that_the_reader_knows_and_no_others(monkeypatch):
    seen = {}
    begin = Fields.__init__

    def noting(self, value, path, report, *, what, known, of_others=("", ())):
        seen.setdefault(tuple(path), {*known})
        begin(self, value, path, report, what=what, known=known, of_others=of_others)

    monkeypatch.setattr(Fields, "__init__", noting)
    check_source(json.dumps(FULL), ACTIONS)
    assert {(), ("defaults",), ("defaults", "retry"), ("defaults", "compensation_retry"), ("steps", 0)} <= seen.keys()
    assert {("steps", 0, *rest) for rest in (
        ("action",), ("retry",), ("compensation",), ("compensation", "action"), ("compensation", "retry"),
    )} <= seen.keys()  # fmt: skip
    for path, known in seen.items():
        properties = [part["properties"] for part in places(path=path) if "properties" in part]
        assert {key for each in properties for key in each} == known, path


def test_keys_of_the_other_style_are_refused_by_both():
    for key in {*CHOREOGRAPHY_KEYS} - {*SAGA_KEYS}:
        document = {**FULL, key: []}
        assert not fits(document)
        assert {problem.code for problem in check_source(json.dumps(document), ACTIONS).problems} == {"other_style"}


def test_every_key_has_an_example_here():
    assert {key for step in FULL["steps"] for key in step} == {*STEP_KEYS}
    assert {*FULL} == {*SAGA_KEYS}
    assert accepted(FULL)


def test_a_step_is_of_one_kind():
    assert {*KINDS} < {*STEP_KEYS}
    assert not fits(with_step({}))
    for step in FULL["steps"]:
        assert fits({**FULL, "steps": [step]})
        assert fits({**FULL, "steps": [{"sleep": "5m", **step}]}) == ("sleep" in step)


def keyed(schema, path=""):
    """Yield every key that the schema describes, with its row."""
    for key, row in schema.get("properties", {}).items():
        if isinstance(row, dict) and "jsonSchema" not in path:
            yield f"{path}.{key}", row
            yield from keyed(row, f"{path}.{key}")
    branches = [schema[branch] for branch in ("then", "else") if branch in schema]
    for part in (*schema.get("anyOf", ()), *branches, *schema.get("$defs", {}).values()):
        if part is not SCHEMA["$defs"]["jsonSchema"]:
            yield from keyed(part, path)


def test_every_key_has_a_title_and_a_description():
    rows = dict(keyed(SCHEMA))
    assert len(rows) > 50
    assert [
        path for path, row in rows.items() if not row.get("title") or not row.get("description", "").endswith(".")
    ] == []


def test_nothing_stands_beside_a_reference_and_nothing_is_fetched():
    """Editors made for draft 7 ignore what stands beside a `$ref`, and look for what an `$id` names."""

    def parts(value):
        if isinstance(value, dict):
            yield value
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from parts(each)

    for part in parts({key: row for key, row in SCHEMA.items() if key != "$defs"}):
        assert "$id" not in part
        assert "$ref" not in part or part == {"$ref": part["$ref"]}
    text = json.dumps(SCHEMA)
    assert {*re.findall(r'"\$ref": "([^"]*)"', text)} == {"#/$defs/step", "#/$defs/reaction", "#/$defs/jsonSchema"}


_JUNK = [
    None, True, 0, -1, 3, 1.5, "", "none", "x", "10s", "2d", "forever", "${input.id}", "${", "a.b", "1 h", [], ["pay"],
    {}, {"type": "string"}, {"python": "shop.look"}, {"attempts": 2}, [{}], "x" * 300,
]  # fmt: skip
JUNK = st.sampled_from(_JUNK).map(copy.deepcopy)  # what was put in may be changed next
KEYS = st.sampled_from(sorted({*SAGA_KEYS, *STEP_KEYS, "type", "$ref", "python", "attempts", "max", "other"}))


@given(st.data())
def test_whatever_the_reader_accepts_fits(data):
    document = copy.deepcopy(FULL)
    for _ in range(data.draw(st.integers(1, 3))):
        part = document
        while True:
            keys = list(part) if isinstance(part, dict) else list(range(len(part)))
            key = data.draw(st.sampled_from(keys)) if keys else None
            if key is None or not isinstance(part[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
                break
            part = part[key]
        match data.draw(st.integers(0, 2)):
            case 0 if key is not None:
                part[key] = data.draw(JUNK)
            case 1 if key is not None:
                del part[key]
            case _ if isinstance(part, dict):
                part[data.draw(KEYS)] = data.draw(JUNK)
    if accepted(document):
        assert [error.message for error in VALIDATOR.iter_errors(document)] == []


CHOREOGRAPHY = read_source((ROOT / "examples/choreography/order.yaml").read_text())[0]
FULL_CHOREOGRAPHY = {
    **CHOREOGRAPHY,
    "title": "Full", "description": "All of it.", "labels": {"a": "${event.data.order_id}"}, "amount": 12,
    "unit": "EUR", "defaults": {"timeout": "1s", "retry": {"attempts": 2}}, "redact": ["event.data.card.number"],
    "reactions": [
        {**CHOREOGRAPHY["reactions"][0], "title": "Take", "timeout": "2s", "retry": {"attempts": 3},
         "probe": {"python": "shop.look"}, "within": "1m", "redact": ["output.token"]},
        *CHOREOGRAPHY["reactions"][1:],
        {"name": "tell", "service": "mail", "on": ["order.shipped"], "external": True, "compensation": "none"},
    ],
}  # fmt: skip


def test_a_choreography_with_every_key_is_accepted_by_both():
    assert {*FULL_CHOREOGRAPHY} == {*CHOREOGRAPHY_KEYS}
    assert {key for one in FULL_CHOREOGRAPHY["reactions"] for key in one} == {*REACTION_KEYS}
    assert accepted(FULL_CHOREOGRAPHY)
    assert fits(FULL_CHOREOGRAPHY)


@pytest.mark.parametrize(
    "change",
    [
        {"starts_on": []}, {"starts_on": "order.placed"}, {"starts_on": ["1"]}, {"correlate": "order_id"},
        {"reactions": []}, {"early": {"default": "later"}}, {"early": []}, {"publishes": {"A": ["order.placed"]}},
        {"publishes": []}, {"steps": []}, {"defaults": {"compensation_retry": {}}}, {"labels": {"A": "1"}},
        {"reactions": [{"name": "a", "service": "b", "on": []}]}, {"completes_on": ["a b"]},
        {"redact": ["event.subject"]}, {"redact": []},
    ],
)  # fmt: skip
def test_one_fault_of_a_choreography_is_seen_by_both(change):
    document = {**FULL_CHOREOGRAPHY, **change}
    assert not accepted(document)
    assert not fits(document)
