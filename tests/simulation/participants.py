"""Who is asked in the simulation: participants that honour the key, and do what the script says.

What plain ones did outlives every crash (`Memory.effects`); what atomic ones did
is a row that commits with the entry of its outcome. Both can be counted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from django.db import connection

from sagas import Rejected, action
from sagas.participants.base import NoEffect, NotDone
from tests.simulation.script import BROKEN, BROKEN_AFTER, FAILED, HANGING, REJECTED, Half

if TYPE_CHECKING:
    from sagas.participants.base import Call
    from tests.simulation.world import World

EFFECTS = "simulated_effect"
TAKES_S = 0.1  # slow ones, so that orders and deadlines find them at work

here: list[World] = []  # the one world, while there is one


def _half(call: Call) -> Half:
    return (call.step, str(call.phase))


def _arrive(call: Call) -> str:
    """Note the call, and return what the script says about it."""
    world, half = here[-1], _half(call)
    world.machine.point(f"before {half} is asked")
    world.note_call(call)
    world.client.interrupt(world, half)
    return world.next_answer(half)


def _leave(call: Call, answer: str) -> dict[str, str]:
    here[-1].machine.point(f"{_half(call)} has answered")
    if answer == REJECTED:
        raise Rejected("not today", code="no")
    if answer == FAILED:
        raise NoEffect("not now")
    if answer in {BROKEN, BROKEN_AFTER, HANGING}:
        raise RuntimeError("the answer was lost")
    return {"did": call.step}


def _do(call: Call, answer: str) -> None:
    """Have the effect that goes with the answer, once per key."""
    memory = here[-1].memory
    key = here[-1].name_of(call.idempotency_key)
    if answer == REJECTED:
        memory.barred.add(key)  # whoever said no under a key says so again
    if answer not in {"", BROKEN_AFTER}:
        return
    if key in memory.barred:
        raise Rejected("that was undone before it came", code="barred")
    memory.effects.setdefault(key, 0)
    memory.effects[key] = 1
    if call.action_key:
        undone = here[-1].name_of(call.action_key)
        if undone not in memory.effects:
            memory.barred.add(undone)  # an empty compensation: the action must not come after it


@action("simulated.plain")
def plain(call: Call, **_arguments: Any) -> Any:
    answer = _arrive(call)
    _do(call, answer)
    return _leave(call, answer)


@action("simulated.slow")
async def slow(call: Call, takes_s: float = TAKES_S) -> Any:
    answer = _arrive(call)
    await asyncio.sleep(takes_s / 2)
    _do(call, answer)
    await asyncio.sleep(call.timeout_s if answer == HANGING else takes_s / 2)
    return _leave(call, answer)


@action("simulated.atomic", atomic=True)
def atomic(call: Call, **_arguments: Any) -> Any:
    answer = _arrive(call)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {EFFECTS} (effect) VALUES (%s)", [here[-1].name_of(call.idempotency_key)])
    return _leave(call, answer)


@action("simulated.look", reads_only=True)
def look(call: Call, **_arguments: Any) -> Any:
    return _leave(call, _arrive(call))


@action("simulated.probe", reads_only=True)
def probe(call: Call, **_arguments: Any) -> Any:
    answer = _arrive(call)
    memory, key = here[-1].memory, here[-1].name_of(call.idempotency_key)
    if answer in {"", REJECTED} and key in memory.effects:
        return _leave(call, "")
    if answer == "":
        raise NotDone("it never came")
    if answer == REJECTED:
        memory.barred.add(key)
    return _leave(call, answer)
