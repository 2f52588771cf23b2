"""Values from outside: what neither database could keep unchanged is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core import problem
from sagas.core.problem import check_payload


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": ["x\0"]}, "a[0]: Text must not contain the character U+0000."),
        ({"a\0": 1}, "a\0: Text must not contain the character U+0000."),
        (["\udfff"], "[0]: Text must not contain half of a surrogate pair."),
        ({"a": 2**63}, "a: Whole numbers must fit into 64 bits."),
        (-(2**63) - 1, "document: Whole numbers must fit into 64 bits."),
        (1e300, "document: Numbers from 10^16 on must be whole and written without point and exponent."),
        (float("inf"), "document: Numbers must be finite."),
        ("x" * 256 * 1024, "document: This is 257 KiB; at most 256 KiB are allowed."),
        ("é" * 128 * 1024, "document: This is 257 KiB; at most 256 KiB are allowed."),
        ({1: 2}, "document: Keys must be text."),
        ((1, 2), "document: A tuple is not JSON."),
        ({"a": {1, 2}}, "a: A set is not JSON."),
        ([0] * 70 + [{"x": "\0"}], "[70].x: Text must not contain the character U+0000."),
    ],
)
def test_a_payload_that_cannot_be_kept_unchanged_is_refused(value, message):
    assert str(check_payload(value)[0]) == message


def test_a_payload_of_any_depth_is_answered():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert check_payload(deep)[0].message == "This is nested deeper than 64 levels."


def nested(depth):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("wide", [[], [{}] * 100])
def test_a_payload_may_be_nested_as_deeply_beside_much_else(wide):
    assert check_payload([nested(63), wide]) == ()
    assert check_payload([wide, nested(64)])[0].message == "This is nested deeper than 64 levels."


def test_a_wide_payload_that_is_fine_is_not_walked_part_by_part(monkeypatch):
    """Walking 256 KiB of `{}` took a second and a half, in which a pump did nothing else."""
    monkeypatch.setattr(problem, "_walk", None)
    assert check_payload({"rows": [{"id": number, "tags": []} for number in range(5_000)]}) == ()


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e15, 1e15) | st.text('aé😀"\\\n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('aé"'), inner), max_leaves=20,
))  # fmt: skip
def test_ordinary_payloads_pass_and_their_size_is_not_overrated(value):
    assert check_payload(value) == ()
    bytes_real = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    assert check_payload(value, bytes_max=bytes_real + 1) == ()
