"""What must hold between the books of ledgers and the journal, whatever went wrong: pure functions over rows.

Each returns faults, one sentence each; none when it holds. A book of a naive
ledger is only counted (`duplicates`): at-least-once is all that can be said of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tests.ledger.book import Effect, Seen


@dataclass(frozen=True)
class Told:
    """A step of a run, as the product tells it.

    `action_key` is the key of the action's last edition. `is_undoable` is false
    for a step whose document says `compensation: none`.
    """

    run: str
    run_status: str
    step: str
    status: str
    compensation_status: str
    action_key: str
    is_undoable: bool = True


def duplicates(effects: Iterable[Effect]) -> dict[str, int]:
    """Return how often more than once each key had an effect."""
    return {key: count - 1 for key, count in Counter(effect.key for effect in effects).items() if count > 1}


def not_once(effects: Iterable[Effect]) -> list[str]:
    """Effectively once: no key has two effects."""
    return [f"{key} had {more + 1} effects" for key, more in duplicates(effects).items()]


def changed_requests(requests: Iterable[Seen]) -> list[str]:
    """The same key is the same request: method, path and body."""
    asked: dict[str, set[tuple[str, str, bytes]]] = defaultdict(set)
    for one in requests:
        if one.phase != "probe":
            asked[one.key].add((one.method, one.path, one.body))
    return [f"{key} came with {len(forms)} different requests" for key, forms in asked.items() if len(forms) > 1]


def acted_after_undo(effects: Iterable[Effect]) -> list[str]:
    """No action has an effect once its compensation had one, an empty one too."""
    undone: set[str] = set()
    found = []
    for effect in sorted(effects, key=lambda one: one.number):
        if effect.kind != "action":
            undone.add(effect.action_key)
        elif effect.action_key in undone:
            found.append(f"{effect.key} happened after it was undone")
    return found


def standing(effects: Iterable[Effect]) -> set[str]:
    """Return the keys of the actions that happened and were not undone."""
    rows = list(effects)
    return {one.action_key for one in rows if one.kind == "action"} - {
        one.action_key for one in rows if one.kind == "undo"
    }


def unlike(effects: Iterable[Effect], told: Iterable[Told]) -> list[str]:
    """Nothing stands that the journal does not know, and nothing that it undid; all that it says happened did."""
    rows, found = list(effects), []
    stands, known = standing(rows), set()
    happened = {one.action_key for one in rows if one.kind == "action"}
    for step in told:
        known.add(step.action_key)
        does_stand = step.action_key in stands
        what = f"{step.run} ({step.run_status}) {step.step} ({step.status}, {step.compensation_status})"
        if step.status == "succeeded" and step.action_key not in happened:
            found.append(f"{what} never happened")
        if step.run_status == "completed" and step.status == "succeeded" and not does_stand:
            found.append(f"{what} was undone")
        if step.run_status == "compensated" and step.is_undoable and does_stand:
            found.append(f"{what} is uncompensated")
        if step.status in {"failed", "pending", "skipped"} and does_stand:
            found.append(f"{what} stands")
    return found + [f"{key} happened, and no journal knows it" for key in sorted(happened - known)]


def faults(requests: Iterable[Seen], effects: Iterable[Effect], told: Iterable[Told]) -> list[str]:
    """Return everything that is wrong at a participant that honours the key."""
    rows = list(effects)
    return [*not_once(rows), *changed_requests(requests), *acted_after_undo(rows), *unlike(rows, told)]
