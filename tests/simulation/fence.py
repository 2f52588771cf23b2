"""Watching the fence (S5): a claim gives a newer token than any before, and who holds an old one writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.engine.journal import Append
    from tests.simulation.machine import Machine


def _tokens(machine: Machine) -> dict[UUID, int]:
    return {UUID(run): token for run, token in machine.rows("SELECT id, token FROM sagas_sagarun")}


def raised(machine: Machine, claim: Callable[..., dict[UUID, int]]) -> Callable[..., dict[UUID, int]]:
    """Watch the claims: each makes every older right worthless (S5)."""

    def watched(limit: int, *, now: datetime) -> dict[UUID, int]:
        tokens = _tokens(machine)
        found = claim(limit, now=now)
        machine.faults += [f"S5 token {new} was granted twice" for run, new in found.items() if new <= tokens[run]]
        return found

    return watched


def fenced(machine: Machine, write: Callable[[Sequence[Append]], set[UUID]]) -> Callable[..., set[UUID]]:
    """Watch the one writer: who holds an old token writes nothing, nor does what was written already (S5)."""

    def watched(batch: Sequence[Append]) -> set[UUID]:
        tokens = _tokens(machine)
        written = write(batch)
        for one in batch:
            if one.run_id in written and one.token != tokens[one.run_id]:
                machine.faults.append(f"S5 written under token {one.token}, when {tokens[one.run_id]} was granted")
        if again := [one for one in batch if one.run_id in written and one.events]:
            machine.faults += _written_twice(machine, write, again)
        return written

    return watched


def _written_twice(
    machine: Machine, write: Callable[[Sequence[Append]], set[UUID]], again: Sequence[Append]
) -> list[str]:
    """Offer what is written once more, under the token that still holds: the journal has gone on, so it is refused."""
    was_resting, machine.is_resting = machine.is_resting, True  # asked by the tests, so no point
    try:
        return ["S5 the same transition was written twice"] if write(again) else []
    except IntegrityError as error:
        return [f"S5 the same transition got as far as the table: {error}"]
    finally:
        machine.is_resting = was_resting
