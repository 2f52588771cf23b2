"""What comes before what, in sagas of any length."""

from __future__ import annotations

import tracemalloc

from sagas.core import dag

LONG = 10_000
MIB = 1 << 20


def test_all_that_come_before_a_step_of_a_long_chain_take_a_bit_each():
    after = {f"s{place}": [f"s{place - 1}"] if place else [] for place in range(LONG)}
    tracemalloc.start()
    before = dag.ancestors(after)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(before[f"s{LONG - 1}"]) == LONG - 1
    assert peak < 32 * MIB, "a set of names for each step would take gigabytes"


def test_a_set_of_steps_knows_its_names_in_the_order_of_the_document():
    before = dag.ancestors({"a": ["b", "nobody"], "b": [], "c": ["a"], "d": []})
    assert list(before["c"]) == ["a", "b"]
    assert ("d" in before["c"], "nobody" in before["a"], len(before["d"])) == (False, False, 0)
    assert before["c"] & {"b", "d"} == {"b"}
