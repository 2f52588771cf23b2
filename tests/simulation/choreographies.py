"""The choreographies that are crashed at every point, and what can become of each: answers, and events from outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from sagas.core.vocabulary import Verb
from tests.simulation.script import ALWAYS, BROKEN, BROKEN_AFTER, FAILED, HANGING, REJECTED, Half, Script

if TYPE_CHECKING:
    from sagas.core.definition import Definition

HEAD = """
saga: {0}
style: choreography
correlate: ${{event.data.order}}
defaults:
  timeout: 500ms
  retry: {{attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
"""
# `~` stands for the name of the choreography: each has events of its own.
BODIES = {
    "chain": """
starts_on: [~placed]
completes_on: [~shipped]
compensated_on: [~refused, ~refunded]
publishes: {shop: [~placed]}
reactions:
  - {name: take, service: payments, on: [~placed], action: simulated.plain,
     emits: {succeeded: ~taken, rejected: ~refused}}
  - {name: reserve, service: inventory, on: [~taken], action: simulated.atomic,
     emits: {succeeded: ~reserved, rejected: ~short}}
  - {name: ship, service: shipping, on: [~reserved], action: simulated.slow,
     emits: {succeeded: ~shipped, rejected: ~failed}}
  - {name: restore, service: inventory, on: [~failed], undoes: reserve, action: simulated.atomic,
     emits: {succeeded: ~restored}}
  - {name: refund, service: payments, on: [~short, ~restored], undoes: take, action: simulated.plain,
     emits: {succeeded: ~refunded}}
""",
    "around": """
starts_on: [~placed]
completes_on: [~shipped]
compensated_on: [~refused, ~refunded]
publishes: {shop: [~placed]}
early: {default: buffer 1h}
reactions:
  - {name: pay, service: payments, on: [~placed], external: true, emits: {succeeded: ~taken, rejected: ~refused}}
  - {name: pack, service: inventory, on: [~taken], action: simulated.plain,
     emits: {succeeded: ~packed, rejected: ~short}}
  - {name: ship, service: shipping, on: [~packed], external: true, emits: {succeeded: ~shipped, rejected: ~failed}}
  - {name: unpack, service: inventory, on: [~failed], undoes: pack, action: simulated.atomic,
     emits: {succeeded: ~unpacked}}
  - {name: refund, service: payments, on: [~short, ~unpacked], undoes: pay, external: true,
     emits: {succeeded: ~refunded}}
""",
    "crossing": """
starts_on: [~placed]
completes_on: [~shipped]
compensated_on: [~freed]
publishes: {shop: [~placed], bank: [~money], customer: [~withdrawn]}
early: {default: park, ~money: buffer 1h}
reactions:
  - {name: reserve, service: inventory, on: [~placed], action: simulated.plain}
  - {name: ship, service: shipping, on: [~money], action: simulated.atomic, compensation: none,
     emits: {succeeded: ~shipped}}
  - {name: free, service: inventory, on: [~withdrawn], undoes: reserve, action: simulated.plain,
     emits: {succeeded: ~freed}}
""",
    "ring": """
starts_on: [~go]
completes_on: [~done]
publishes: {clock: [~go, ~done]}
reactions:
  - {name: ping, service: left, on: [~go, ~ponged], action: simulated.plain, emits: {succeeded: ~pinged}}
  - {name: pong, service: right, on: [~pinged], action: simulated.atomic, emits: {succeeded: ~ponged}}
""",
}
CHOREOGRAPHIES = {name: HEAD.format(name) + body.replace("~", f"{name}.") for name, body in BODIES.items()}
LOOPS = frozenset({"ring"})  # nobody publishes these any more: they are refused
DEPTH_MAX = 5  # of events that follow from each other, in these worlds: a ring of fifty takes an hour


@dataclass(frozen=True)
class Drama(Script):
    """A run's fate that begins with events from outside.

    Attributes:
        sends: what comes from outside, in this order; the same type again is the same event, sent again.
        is_doubled: whether services that act by themselves publish each event twice.
    """

    sends: tuple[str, ...] = ("placed",)
    is_doubled: bool = False


def dramas_of(definition: Definition) -> list[Drama]:
    """Return every fate of one choreography."""
    found = {"chain": _chain, "around": _around, "crossing": _crossing, "ring": _ring}[definition.saga]()
    return list(found)


def _chain() -> Iterator[Drama]:
    yield Drama("chain", "success", ("completed",))
    yield Drama("chain", "success, sent twice", ("completed",), sends=("placed", "placed"))
    for name, kind in (("take", "plain"), ("reserve", "atomic"), ("ship", "slow")):
        yield from _answers("chain", name, kind, ("compensated",))
    refused: dict[Half, tuple[str, int]] = {("ship", "action"): (REJECTED, ALWAYS)}
    for name, kind in (("restore", "atomic"), ("refund", "plain")):
        yield from _answers("chain", name, kind, (), refused)
    for verb, end in ((Verb.PAUSE, "completed"), (Verb.TERMINATE, "terminated")):
        for name in ("take", "ship"):
            yield Drama("chain", f"{verb} during {name}", (end,), during={(name, "action"): verb})


def _answers(
    saga: str, name: str, kind: str, refused: tuple[str, ...], before: dict[Half, tuple[str, int]] | None = None
) -> Iterator[Drama]:
    """A reaction goes wrong; `refused` is how the run ends when it says no, nothing for one that may not."""
    calm = "compensated" if before else "completed"
    doubt = (calm, *refused)  # an attempt lost in a crash makes a failure unknown, and a person then says no
    wrong = [(FAILED, 1, doubt), (FAILED, ALWAYS, doubt), (BROKEN, ALWAYS, doubt if kind == "atomic" else doubt[::-1])]
    if refused:
        wrong.append((REJECTED, ALWAYS, refused))
    if kind != "atomic":
        wrong += [(BROKEN_AFTER, 1, (calm,)), (BROKEN_AFTER, ALWAYS, (calm,))]
    if kind == "slow":
        wrong.append((HANGING, ALWAYS, doubt[::-1]))
    for answer, times, ends in wrong:
        answers = {**(before or {}), (name, "action"): (answer, times)}
        yield Drama(saga, f"{name} {'once' if times == 1 else 'always'} {answer}", ends, answers)


def _around() -> Iterator[Drama]:
    for is_doubled in (False, True):
        twice = ", all of it twice" if is_doubled else ""
        yield Drama("around", f"success{twice}", ("completed",), is_doubled=is_doubled)
        for name in ("pay", "pack", "ship"):
            answers = {(name, "action"): (REJECTED, ALWAYS)}
            yield Drama("around", f"{name} refused{twice}", ("compensated",), answers, is_doubled=is_doubled)
    yield Drama("around", "paid before it is placed", ("completed",), sends=("taken", "placed"))
    yield Drama("around", "paid before, sent again", ("completed",), sends=("taken", "placed", "taken", "placed"))
    yield from _answers("around", "pack", "plain", ("compensated",))


def _crossing() -> Iterator[Drama]:
    for sends in permutations(("placed", "money")):
        yield Drama("crossing", " ".join(sends), ("completed",), sends=sends)
    for sends in (*permutations(("placed", "withdrawn")), ("withdrawn", "placed", "withdrawn", "placed")):
        yield Drama("crossing", " ".join(sends), ("compensated",), sends=sends)
    for sends in permutations(("placed", "money", "withdrawn")):
        yield Drama("crossing", " ".join(sends), ("compensated",), sends=sends)
    answers = {("reserve", "action"): (BROKEN_AFTER, ALWAYS)}
    yield Drama("crossing", "withdrawn in doubt", ("compensated",), answers, sends=("placed", "withdrawn"))


def _ring() -> Iterator[Drama]:
    yield Drama("ring", "round", ("terminated",), sends=("go",))
    yield Drama("ring", "round, sent twice", ("terminated",), sends=("go", "go"))
