"""Files, tickets, databases, letters: something is made, and may be withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from business import effects
from business.models import Record
from sagas import Rejected, action

if TYPE_CHECKING:
    from sagas.participants.base import Call


@action("records.make")
def make(call: Call, ref: str, kind: str, **details: Any) -> Any:
    """Make a record of this kind for `ref`; refuse when there is one."""
    return effects.once(call, ref, lambda: _make(call, ref, kind, details))


@action("records.withdraw")
def withdraw(call: Call, ref: str) -> Any:
    """Withdraw what the action made."""
    return effects.once(call, ref, lambda: {"withdrawn": effects.undo(Record, call) is not None})


@action("records.send")
async def send(call: Call, ref: str, to: str, text: str) -> Any:
    """Send a letter or a message. It cannot be taken back, so a saga sends late, or sends another."""
    kind = f"letter:{call.step}" if call.item < 0 else f"letter:{call.step}[{call.item}]"

    def work() -> Any:
        return effects.once(call, ref, lambda: _make(call, ref, kind, {"to": to, "text": text}))

    return await sync_to_async(work)()


@action("records.erase")
def erase(call: Call, ref: str, kind: str) -> Any:
    """Wipe what is known of `ref` in records of this kind, for good. A record of the erasure is all that stays."""

    def wipe() -> dict[str, Any]:
        erased = Record.objects.filter(kind=kind, ref=ref).update(details={}, undone_at=timezone.now())
        return {"erased": erased, **_make(call, ref, f"erasure of {kind}", {})}

    return effects.once(call, ref, wipe)


@action("records.look", reads_only=True)
def look(call: Call, ref: str, kind: str, *, of: str | None = None, is_there: bool = True) -> Any:
    """Look whether `of`, or `ref` itself, has a record of this kind; refuse when it is not as `is_there` says."""
    with effects.on_purpose(call, ref):
        found = Record.objects.filter(kind=kind, ref=of or ref, undone_at=None).exists()
        if found is not is_there:
            raise Rejected(f"{of or ref} has {'a' if found else 'no'} {kind}.", code="not_as_expected")
        return {"kind": kind, "is_there": found}


def _make(call: Call, ref: str, kind: str, details: dict[str, Any]) -> dict[str, Any]:
    if Record.objects.filter(kind=kind, ref=ref, undone_at=None).exists():
        raise Rejected(f"{ref} has a {kind} already.", code="there_already")
    row = Record.objects.create(**effects.named(call, ref), kind=kind, details=details)
    return {"record": f"R-{row.pk}"}
