"""How a step goes wrong on purpose, by a row of `Trouble`. `manage.py trouble` writes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from business.models import Trouble
from sagas import NoEffect, Rejected

if TYPE_CHECKING:
    from sagas.participants.base import Call

CODE = "on_purpose"


class LostAnswerError(Exception):
    """Nobody hears the answer: to the engine the outcome is unknown."""


def before(call: Call, ref: str) -> None:
    """Go wrong with nothing done.

    Raises:
        Rejected: mode `rejected`.
        NoEffect: mode `failed`.
        LostAnswerError: mode `unknown_before_effect`.
    """
    match _mode(call, ref):
        case Trouble.REJECTED:
            raise Rejected(f"{_half(call)} of {ref} is refused on purpose.", code=CODE)
        case Trouble.FAILED:
            raise NoEffect(f"{_half(call)} of {ref} fails on purpose.", code=CODE)
        case Trouble.UNKNOWN_BEFORE:
            raise LostAnswerError("The request was lost on purpose.")


def after(call: Call, ref: str) -> None:
    """Go wrong with the work done and nobody told.

    Raises:
        LostAnswerError: mode `unknown_after_effect`.
    """
    if _mode(call, ref) == Trouble.UNKNOWN_AFTER:
        raise LostAnswerError("The answer was lost on purpose.")


def _mode(call: Call, ref: str) -> str:
    found = Trouble.objects.filter(ref=ref, half=_half(call)).first()
    return found.mode if found and (not found.times or call.attempt <= found.times) else ""


def _half(call: Call) -> str:
    return call.step if call.phase == "action" else f"{call.step}.{call.phase}"
