"""A participant acts once for each key, undoes only what happened, and refuses what comes after its undo.

Needs Django and the app `sagas.barrier`, nothing else of Sagaweb; works in the
participant's own database (docs/howto/barrier.md). The idea is known as the
sub-transaction barrier: what was done is remembered in the transaction that does it.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from sagas.barrier.models import KEY_LENGTH_MAX, Mark
from sagas.core.limits import KIB, PAYLOAD_BYTES_MAX
from sagas.core.vocabulary import Json, OutcomeKind, Phase
from sagas.participants.base import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta

__all__ = [
    "ACTION_NOT_FOUND",
    "COMPENSATED_ALREADY",
    "CallInvalidError",
    "Delivery",
    "Keyed",
    "OutputInvalidError",
    "Rejected",
    "Turn",
    "from_headers",
    "once",
    "purge",
    "run",
]

COMPENSATED_ALREADY = "compensated_already"
ACTION_NOT_FOUND = "action_not_found"
PURGED_AT_ONCE_MAX = 10_000  # rows of one `purge`: a second or so, and no long lock


class CallInvalidError(ValueError):
    """The key, the phase or the action's key is missing or cannot be one. Nothing was run."""


class OutputInvalidError(ValueError):
    """The output cannot be remembered: not JSON, or too large. Everything was rolled back."""


class Keyed(Protocol):
    """What a barrier must be told. `Call` says it; whoever receives HTTP says it by `Delivery`."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this half."""

    @property
    def phase(self) -> str:
        """`action` or `compensation`."""

    @property
    def action_key(self) -> str:
        """In a compensation: the key of the action to undo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of an action or a compensation, in plain values.

    `outcome` is how the action ended where the sender says so: `succeeded` or `unknown`.
    """

    idempotency_key: str
    phase: str = Phase.ACTION.value
    action_key: str = ""
    outcome: str = ""


@dataclass(slots=True)
class Turn:
    """What one delivery gets: the work, when `is_mine`; else the `output` of whoever did it."""

    is_mine: bool
    output: Json = None


def from_headers(headers: Mapping[str, str]) -> Delivery:
    """Read a delivery from the headers of a request, such as Django's `request.headers`.

    `Saga-Phase` may be missing: with a `Saga-Action-Key` it is a compensation, else an action.
    """
    action_key = headers.get("Saga-Action-Key", "")
    implied = Phase.COMPENSATION if action_key else Phase.ACTION
    return Delivery(
        idempotency_key=headers.get("Idempotency-Key", ""),
        phase=headers.get("Saga-Phase", implied.value),
        action_key=action_key,
    )


def run(call: Keyed, function: Callable[[], Json], *, using: str = DEFAULT_DB_ALIAS) -> Json:
    """Call `function` if this delivery's turn has come, and return its output; a repeat gets the same output.

    The function runs in a transaction of the database `using` and changes things
    there only. Whatever it raises undoes everything and is not remembered: the next
    delivery runs it again. A compensation whose action never happened calls
    nothing and returns None.

    Raises:
        Rejected: the action comes after its compensation (code `compensated_already`), or this
            compensation is for an action that succeeded by the sender's word but
            left no mark here (`action_not_found`): it must not pass as undone.
        CallInvalidError, OutputInvalidError: nothing was changed.
    """
    with once(call, using=using) as turn:
        if turn.is_mine:
            turn.output = function()
    return turn.output


@contextmanager
def once(call: Keyed, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[Turn]:
    """Do the same as `run` for a block: it works if `turn.is_mine`, and sets `turn.output`.

    Two deliveries for one action, whether repeats of it or its compensation, take
    turns: the second waits here until the transaction of the first has ended.
    """
    phase, action_key = _checked(call)
    with transaction.atomic(using=using):
        mark = _hold(action_key, using)
        turn = _turn_of_action(mark) if phase is Phase.ACTION else _turn_of_compensation(mark, call)
        is_noted = _has_ended(mark, phase)
        yield turn
        if not is_noted:
            _note(mark, phase, call.idempotency_key, turn)


def purge(older_than: timedelta, *, using: str = DEFAULT_DB_ALIAS, rows_max: int = PURGED_AT_ONCE_MAX) -> int:
    """Forget the oldest marks that nothing has changed for `older_than`, and return how many; at most `rows_max`.

    What is forgotten is no longer guarded: a repeat acts again, a late action is
    not refused, and a compensation is taken for an empty one, so that **nothing is
    undone**. Keep marks for longer than any run may take, with all its waits for a person.

    Raises:
        ValueError: `older_than` is not positive.
    """
    if older_than.total_seconds() <= 0:
        message = "Marks can be purged by a positive age only."
        raise ValueError(message)
    marks = Mark.objects.using(using)
    old = marks.filter(changed_at__lt=timezone.now() - older_than).order_by("changed_at")
    return marks.filter(key__in=old.values("key")[:rows_max]).delete()[0]


def _checked(call: Keyed) -> tuple[Phase, str]:
    """Return the phase, and the key of the action that this delivery is about."""
    try:
        phase = Phase(call.phase)
    except ValueError:
        phase = Phase.PROBE
    if phase not in {Phase.ACTION, Phase.COMPENSATION}:
        message = f"The phase must be `action` or `compensation`, not {call.phase!r}."
        raise CallInvalidError(message)
    action_key = call.idempotency_key if phase is Phase.ACTION else call.action_key
    for name, key in (("idempotency key", call.idempotency_key), ("action's key", action_key)):
        if not key or len(key) > KEY_LENGTH_MAX or not key.isprintable():
            message = f"The {name} must be 1 to {KEY_LENGTH_MAX} printable characters."
            raise CallInvalidError(message)
    return phase, action_key


def _hold(key: str, using: str) -> Mark:
    """Return the mark of `key`, a blank one where there was none, held to the end of the transaction.

    The insert comes first: on PostgreSQL it waits for another transaction that has
    inserted the key and not ended; on SQLite it takes the write lock before anything
    was read. A blank mark is never committed: whoever makes one fills it or rolls back.
    """
    marks = Mark.objects.using(using)
    marks.bulk_create([Mark(key=key, changed_at=timezone.now())], ignore_conflicts=True)
    return marks.select_for_update().get(key=key)


def _turn_of_action(mark: Mark) -> Turn:
    if mark.compensated_at is not None:
        message = "This action was compensated already; it must not happen any more."
        raise Rejected(message, code=COMPENSATED_ALREADY)
    return Turn(is_mine=True) if mark.action_at is None else Turn(is_mine=False, output=json.loads(mark.action_output))


def _turn_of_compensation(mark: Mark, call: Keyed) -> Turn:
    """A second compensation of one action does nothing either, though it may be a new edition with a key of its own."""
    if mark.compensated_at is not None:
        return Turn(is_mine=False, output=json.loads(mark.compensation_output))
    if mark.action_at is None and getattr(call, "outcome", "") == OutcomeKind.SUCCEEDED:
        message = "The action to undo succeeded, but left no mark here: purged, or done without this barrier."
        raise Rejected(message, code=ACTION_NOT_FOUND)
    return Turn(is_mine=mark.action_at is not None)


def _has_ended(mark: Mark, phase: Phase) -> bool:
    return (mark.action_at if phase is Phase.ACTION else mark.compensated_at) is not None


def _note(mark: Mark, phase: Phase, key: str, turn: Turn) -> None:
    """Write down that this half was done; the turn's output becomes what a repeat will get."""
    text = _text_of(turn.output)
    turn.output = json.loads(text)
    mark.changed_at = timezone.now()
    if phase is Phase.ACTION:
        mark.action_at, mark.action_output = mark.changed_at, text
    else:
        mark.compensated_at, mark.compensation_key, mark.compensation_output = mark.changed_at, key, text
    mark.save(force_update=True)  # in the database it was read from


def _text_of(output: Json) -> str:
    try:
        text = json.dumps(output, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The output is not JSON: {error}."
        raise OutputInvalidError(message) from error
    if size > PAYLOAD_BYTES_MAX:
        message = f"The output is {-(-size // KIB)} KiB; at most {PAYLOAD_BYTES_MAX // KIB} KiB are remembered."
        raise OutputInvalidError(message)
    return text
