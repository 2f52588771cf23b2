"""Every way through a choreography, gone through one by one: nothing here is from the code that checks documents."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WAYS_MAX = 512  # of one document; larger ones are not drawn


@dataclass
class Trip:
    """One way, from the first event until nothing follows."""

    seen: list[str] = field(default_factory=list)
    done: Counter = field(default_factory=Counter)  # by reaction: how often
    undone: Counter = field(default_factory=Counter)
    refused: int = 0

    def is_in(self, kinds: list[str]) -> bool:
        return any(kind in kinds for kind in self.seen)


def trips(document: dict, outside: list[str], dice: random.Random) -> Iterator[Trip]:
    """Yield every way on which these events come from outside, what is under way being taken in any order."""
    todo: list[list[bool]] = [[]]
    order = dice.randrange(2**32)
    while todo:
        decisions = todo.pop()
        trip = _trip(document, outside, decisions, order)
        if trip is None:
            todo += [[*decisions, True], [*decisions, False]]
        else:
            yield trip


def _trip(document: dict, outside: list[str], decisions: list[bool], seed: int) -> Trip | None:
    """Return the way on which the reactions are decided so, one after the other; None: more of them are to be."""
    dice, trip, left = random.Random(seed), Trip(), list(decisions)
    waiting = [(kind, f"/{number}") for number, kind in enumerate(outside)]
    begun: list[tuple[str, dict]] = []
    while waiting:
        kind, place = waiting.pop(dice.randrange(len(waiting)))
        trip.seen.append(kind)
        for reaction in document["reactions"]:
            if kind in reaction["on"]:
                begun.append((f"{place}/{reaction['name']}", reaction))
        while begun:
            mine, reaction = begun.pop()
            emits = reaction.get("emits", {})
            is_done = True
            if "rejected" in emits:
                if not left:
                    return None
                is_done = left.pop(0)
            if is_done:
                to, name = (trip.undone, reaction["undoes"]) if "undoes" in reaction else (trip.done, reaction["name"])
                to[name] += 1
            else:
                trip.refused += 1
            if emitted := emits.get("succeeded" if is_done else "rejected"):
                waiting.append((emitted, mine))
    return trip


def later_events(document: dict) -> list[str]:
    """Return the events from outside that do not begin a run."""
    return [kind for kinds in document["publishes"].values() for kind in kinds if kind not in document["starts_on"]]


def is_ended_from_outside(document: dict) -> bool:
    """Whether some way on from an event from outside ends a run."""
    ends = [*document["completes_on"], *document.get("compensated_on", ())]
    return any(
        trip.is_in(ends) for kind in later_events(document) for trip in trips(document, [kind], random.Random(0))
    )


def faults(document: dict, outside: list[str], dice: random.Random) -> set[str]:
    """Return what is wrong with some way on which these events come from outside."""
    found = set()
    undoing = {one["undoes"] for one in document["reactions"] if "undoes" in one}
    needs_undo = undoing | {
        one["name"] for one in document["reactions"] if "undoes" not in one and "compensation" not in one
    }
    comes_later = is_ended_from_outside(document)
    for trip in trips(document, outside, dice):
        is_compensated = trip.is_in(document.get("compensated_on", []))
        if trip.is_in(document["completes_on"]) and not is_compensated:
            continue
        is_open = comes_later and not is_compensated
        if is_open and not trip.refused:
            continue
        left = [name for name in needs_undo if trip.done[name] > trip.undone[name]]
        if left:
            found.add("left_undone")
        elif not is_compensated and not is_open:
            found.add("no_end")
        if is_compensated and any(trip.undone[name] > trip.done[name] for name in needs_undo):
            found.add("undoes_nothing")
    return found


def drawn(dice: random.Random) -> dict:
    """Draw a choreography of a few reactions, right or wrong, which has no loop."""
    kinds, rows = ["go"], []
    later = ["later"] if dice.random() < 0.25 else []
    for number in range(dice.randint(2, 5)):
        fresh = [kind for kind in kinds if not any(kind in row["on"] for row in rows)]
        on = dice.sample(kinds + later, 1 if dice.random() < 0.8 else min(2, len(kinds)))
        row = {"name": f"r{number}", "service": "s", "on": on, "action": "shop.do"}
        names = [one["name"] for one in rows if "undoes" not in one]
        if names and dice.random() < 0.4:
            row["undoes"] = dice.choice(names)
            refusals = [kind for kind in fresh if kind.endswith("no")]
            row["on"] = [dice.choice(refusals)] if refusals else on
        elif dice.random() < 0.25:
            row["compensation"] = "none"
        emits = {"succeeded": f"e{number}.yes"}
        if "undoes" not in row and dice.random() < 0.5:
            emits["rejected"] = f"e{number}.no"
        kinds += emits.values()
        rows.append({**row, "emits": emits})
    used = {kind for row in rows for kind in row["on"]}
    later = [kind for kind in later if kind in used]
    undone = {row["emits"]["succeeded"] for row in rows if "undoes" in row}
    ends = [kind for kind in kinds if kind not in used]
    failing = [kind for kind in ends if (kind.endswith("no") or kind in undone) == (dice.random() < 0.95)]
    completing = [kind for kind in ends if kind not in failing] or ["go"]
    return {
        "saga": "drawn", "style": "choreography", "starts_on": ["go"], "correlate": "${event.data.id}",
        "completes_on": completing, "publishes": {"outside": ["go", *later]}, "reactions": rows,
        **({"compensated_on": failing} if failing else {}),
    }  # fmt: skip


def is_small(document: dict) -> bool:
    """Whether there are few enough ways to go through all of them."""
    outside = ["go", *later_events(document)]
    return all(number < WAYS_MAX for number, _ in enumerate(trips(document, outside, random.Random(0))))
