"""YAML that we write is read back as what it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sagas.core.problem import check_payload
from sagas.core.source import read_source
from sagas.core.yaml_text import yaml_text

TEXTS = st.one_of(
    st.text(max_size=30),
    st.text("ab:#-?,[]{}&*!|>'\"%@` \n\t\r~=<.0123eE+_$/\\\x85\u2028\ufeff\x7f\x07😀é", max_size=12),
    st.sampled_from([
        "null", "~", "true", "No", "012", "0x1f", "1e3", ".5", ".nan", "-", "?", "a: b", "a #b", "2026-01-01", "---",
        "${input.a == 'b' ? 1 : {}}", "...", "key: ", "| x", "a\n", "a\n\nb\n\n\n", " a", "a ", "\n", "a\n b",
        "a\n---\nb",
    ]),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(-1e15, 1e15), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda part: st.one_of(st.lists(part, max_size=4), st.dictionaries(TEXTS, part, max_size=4)),
    max_leaves=12,
)


def _number(text):
    return int(float(text)) if float(text).is_integer() else float(text)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
@example({"a": [[], [[1, "a\nb"], {}], {"b": {"": ""}}]})
@example({"a": ["x" * 200, "y"], "b": "z\n" * 3})
def test_what_is_written_is_read_back(value):
    value = json.loads(
        json.dumps(value), parse_float=lambda text: int(float(text)) if float(text) % 1 == 0 else float(text)
    )
    if check_payload(value):
        return  # what no document may hold
    text = yaml_text(value)
    again, report = read_source(text)
    assert [str(problem) for problem in report.problems] == []
    assert again == value
    assert list(again) == list(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": "${input.amount > 1000 && input.b == 'x'}"}, "a: ${input.amount > 1000 && input.b == 'x'}\n"),
        ({"a": "yes: no", "b": "1", "c": "", "d": "# no"}, 'a: "yes: no"\nb: "1"\nc: ""\nd: "# no"\n'),
        ({"required": ["a", "b,c", None, 1.5], "x": {}, "y": []}, 'required: [a, "b,c", null, 1.5]\nx: {}\ny: []\n'),
        ({"description": "One.\nTwo.\n"}, "description: |\n  One.\n  Two.\n"),
        ({"after": [], "steps": [{"name": "a", "with": {"b": [{"c": 1}]}}]},
         "after: []\nsteps:\n  - name: a\n    with:\n      b:\n        - c: 1\n"),
    ],
)  # fmt: skip
def test_it_reads_like_written_by_a_person(value, text):
    assert yaml_text(value) == text
