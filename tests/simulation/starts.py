"""Who starts runs and publishes versions: under keys, in transactions of their own, and from pages that are old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from sagas.catalog.errors import PublishConflictError
from sagas.catalog.publish import publish
from sagas.engine.commands import start_run
from sagas.engine.errors import EngineError, KeyReusedError, SagaArchivedError
from sagas.models import Saga, SagaRun
from tests.simulation.definitions import source
from tests.simulation.promises import Promise, Promises

if TYPE_CHECKING:
    from tests.simulation.crowd import Crowd


class _ChangedMindError(Exception):
    """The caller's transaction ends without a commit."""


@dataclass
class Starter:
    """Starts runs, and remembers under which keys."""

    promises: Promises

    def start(self, world: Crowd, saga: str, key: str, extra: int, *, dies_at: int = 0) -> None:
        """Start a run under a key that may be taken, and compare what comes of it with the law.

        `extra` makes another input of it. Where the machine dies at `dies_at`, nobody
        is told anything: the run is there whole, or not at all.
        """
        value = {"order": key, "card": "4111"} | ({"extra": extra} if extra else {})
        row = Saga.objects.select_related("latest").get(name=saga)
        known = self.promises.keys.get((saga, key))
        before = world.snapshot().rows
        started, refused = None, None
        with world.life(dies_at):
            try:
                with transaction.atomic():
                    started = start_run(saga, value)
            except EngineError as error:
                refused = error
        if refused is not None:
            expected = SagaArchivedError if row.archived_at else KeyReusedError if known and known[1] != value else None
            if expected is None or not isinstance(refused, expected):
                world.faults.append(f"R11 a start of {saga} {key} was refused: {refused}")
            if world.snapshot().rows != before:
                world.faults.append(f"R11 a start of {saga} {key} was refused, but left a trace")
            return
        found = SagaRun.objects.filter(saga=row, start_key=key).first()
        if found is None:
            if started is not None:
                world.faults.append(f"L2 the start of {saga} {key} was acknowledged, and is lost")
            return
        world.tally["started" if started is not None else "start died"] += 1
        if started is not None and (row.archived_at or started.is_new == (known is not None)):
            world.faults.append(f"R11 a start of {saga} {key} made a run that is new: {started.is_new}")
        if known is None:
            self._note(world, found, value, row)
        elif (found.id, found.input_hash) != (known[0], SagaRun.objects.get(id=known[0]).input_hash):
            world.faults.append(f"R11 {saga} {key} is {found.id} now, and was {known[0]}")
        elif started is not None and (known[1] != value or started.run.id != known[0]):
            world.faults.append(
                f"R11 {saga} {key} gave {started.run.id} for another input, or another run than {known[0]}"
            )

    def _note(self, world: Crowd, run: SagaRun, value: Any, row: Saga) -> None:
        if run.version_id != row.latest_id:
            world.faults.append(f"R12 {row.name} was started in another version than the latest")
        if (run.sequence, run.revision, run.due_at is None) != (1, 1, False):
            world.faults.append(f"L2 half a start of {row.name} was stored")
        self.promises.runs[run.id] = Promise(row.name, run.version_id)
        self.promises.keys[row.name, run.start_key] = (run.id, value)

    def change_mind(self, world: Crowd, saga: str, key: str) -> None:
        """Start a run in a transaction that is rolled back."""
        before = world.snapshot().rows
        try:
            with transaction.atomic():
                start_run(saga, {"order": key, "card": "4111"})
                raise _ChangedMindError
        except (_ChangedMindError, EngineError):
            pass
        if world.snapshot().rows != before:
            world.faults.append(f"R11 a start of {saga} {key} was rolled back, but left a trace")


def publish_variant(world: Crowd, saga: str, variant: int, base: int | None) -> None:
    """Publish a variant of a saga, from a version that may not be the latest any more."""
    row = Saga.objects.select_related("latest").get(name=saga)
    text = source(saga, variant)
    is_same = row.latest.source == text
    try:
        told = publish(text, by="author", base=base)
    except PublishConflictError:
        if is_same or base is None or base == row.latest.number:
            world.faults.append(f"R12 {saga} was at version {row.latest.number}, and {base} is refused")
        return
    is_conflict = base not in {None, row.latest.number}
    if told.is_new == is_same or (is_conflict and not is_same):
        world.faults.append(f"R12 {saga} was at version {row.latest.number}, and {base} is taken")
    if told.version.number != row.latest.number + told.is_new:
        world.faults.append(f"R12 after version {row.latest.number} of {saga} came {told.version.number}")


def archive(saga: str, *, is_archived: bool) -> None:
    """Archive a saga, or take it up again."""
    Saga.objects.filter(name=saga).update(archived_at=timezone.now() if is_archived else None)
