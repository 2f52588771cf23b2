"""What all participants of the examples share: one effect for each action, done once, undone once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import QuerySet
from django.utils import timezone

from business import troubles
from business.models import Booking, Effect, Movement, Record
from sagas.participants import barrier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sagas.participants.base import Call

Row = TypeVar("Row", bound=Effect)
KINDS: tuple[type[Effect], ...] = (Movement, Booking, Record)


def once(call: Call, ref: str, work: Callable[[], dict[str, Any]]) -> Any:
    """Do `work` behind the barrier: once for each action, however often it is asked for."""
    with on_purpose(call, ref):
        return barrier.run(call, work)


@contextmanager
def on_purpose(call: Call, ref: str) -> Iterator[None]:
    """Let the block go wrong as `Trouble` says."""
    troubles.before(call, ref)
    yield
    troubles.after(call, ref)


def named(call: Call, ref: str) -> dict[str, Any]:
    """Return the columns that say which effect it is."""
    return {"key": call.idempotency_key, "run": call.run_id, "step": call.step, "ref": ref}


def undo(kind: type[Row], call: Call) -> Row | None:
    """Date the undoing of what the action did, and return the row; None when nothing stands."""
    row = _standing(kind).filter(key=call.action_key).first()
    if row is not None:
        row.undone_at = timezone.now()
        row.save(update_fields=["undone_at"])
    return row


def standing(run: str) -> list[str]:
    """Return the steps of a run whose effects stand, sorted; a step once for each of its effects."""
    return sorted(step for kind in KINDS for step in _standing(kind).filter(run=run).values_list("step", flat=True))


def _standing(kind: type[Row]) -> QuerySet[Row]:
    return QuerySet(kind).filter(undone_at=None)
