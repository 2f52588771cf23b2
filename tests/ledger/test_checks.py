"""The checkers see what is wrong, and nothing where all is well."""

from __future__ import annotations

from tests.ledger import checks
from tests.ledger.book import Effect, Seen
from tests.ledger.checks import Told

KEY = "r:pay:action"


def effects(*kinds: str) -> list[Effect]:
    return [
        Effect(n, 0.0, KEY if kind == "action" else "r:pay:compensation", KEY, kind, "r", "pay", n)
        for n, kind in enumerate(kinds)
    ]


def told(run_status: str, status: str, compensation_status: str = "none", **more: bool) -> list[Told]:
    return [Told("r", run_status, "pay", status, compensation_status, KEY, **more)]


def test_all_is_well_where_each_end_is_as_it_should_be():
    assert checks.faults([], effects("action"), told("completed", "succeeded")) == []
    assert checks.faults([], effects("action", "undo"), told("compensated", "succeeded", "succeeded")) == []
    assert checks.faults([], effects("empty"), told("compensated", "in_doubt", "succeeded")) == []
    assert checks.faults([], effects("action"), told("compensated", "succeeded", "not_needed", is_undoable=False)) == []
    assert checks.faults([], [], told("compensated", "failed")) == []


def test_two_effects_of_one_key_are_seen():
    assert checks.not_once(effects("action", "action")) == [f"{KEY} had 2 effects"]
    assert checks.duplicates(effects("action", "undo")) == {}


def test_an_action_after_its_undo_is_seen_an_empty_one_too():
    assert checks.acted_after_undo(effects("empty", "action"))
    assert checks.acted_after_undo(effects("action", "undo", "action"))
    assert not checks.acted_after_undo(effects("action", "undo"))


def test_what_was_left_uncompensated_is_seen():
    assert checks.unlike(effects("action"), told("compensated", "succeeded", "succeeded"))
    assert checks.unlike(effects("action"), told("compensated", "in_doubt", "succeeded"))
    assert checks.unlike(effects("action"), told("compensated", "failed"))


def test_what_the_journal_says_and_never_happened_is_seen_and_the_other_way():
    assert checks.unlike([], told("completed", "succeeded"))
    assert checks.unlike(effects("action", "undo"), told("completed", "succeeded"))
    assert checks.unlike(effects("action"), [])


def test_a_key_that_comes_with_another_body_is_seen():
    def seen(body: bytes, phase: str = "action") -> Seen:
        return Seen(1, 0.0, KEY, "", phase, "r", "pay", 1, "POST", "/pay", {}, body, "applied")

    assert checks.changed_requests([seen(b"a"), seen(b"b")])
    assert checks.changed_requests([seen(b"a"), seen(b"a"), seen(b"", "probe")]) == []
