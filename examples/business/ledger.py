"""Money and points: what leaves one account arrives on another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F, Q

from business import effects
from business.models import Account, Movement
from sagas import Rejected, action

if TYPE_CHECKING:
    from sagas.participants.base import Call


@action("ledger.transfer")
def transfer(call: Call, ref: str, payer: str, payee: str, amount: int) -> Any:
    """Move `amount` cents (or points). Stands for a bank that is asked over a network."""
    return effects.once(call, ref, lambda: _move(call, ref, payer, payee, amount))


@action("ledger.transfer_back")
def transfer_back(call: Call, ref: str) -> Any:
    """Move back what the action moved."""
    return effects.once(call, ref, lambda: _move_back(call))


@action("ledger.post", atomic=True)
def post(call: Call, ref: str, payer: str, payee: str, amount: int) -> Any:
    """Move `amount` within our own books: the movement commits with the journal entry that says so."""
    with effects.on_purpose(call, ref):
        return _move(call, ref, payer, payee, amount)


@action("ledger.reverse", atomic=True)
def reverse(call: Call, ref: str) -> Any:
    """Reverse what `ledger.post` posted."""
    with effects.on_purpose(call, ref):
        return _move_back(call)


@action("ledger.balance", reads_only=True)
def balance(call: Call, ref: str, account: str, at_least: int = 0) -> Any:
    """Look at an account; refuse when it holds less than `at_least`."""
    with effects.on_purpose(call, ref):
        found = _find(account).balance
        if found < at_least:
            raise Rejected(f"{account} holds {found}, less than {at_least}.", code="too_little")
        return {"balance": found}


def _move(call: Call, ref: str, payer: str, payee: str, amount: int) -> dict[str, Any]:
    for name in sorted({payer, payee}):  # one order of locks, so that two movements never wait in a circle
        _find(name, is_held=True)
    taken = Account.objects.filter(Q(is_house=True) | Q(balance__gte=amount), name=payer)
    if not taken.update(balance=F("balance") - amount):
        raise Rejected(f"{payer} has less than {amount}.", code="too_little")
    Account.objects.filter(name=payee).update(balance=F("balance") + amount)
    row = Movement.objects.create(**effects.named(call, ref), payer_id=payer, payee_id=payee, amount=amount)
    return {"movement": f"M-{row.pk}", "amount": amount}


def _move_back(call: Call) -> dict[str, Any]:
    row = effects.undo(Movement, call)
    if row is None:
        return {"amount": 0}
    for name in sorted({row.payer_id, row.payee_id}):
        _find(name, is_held=True)
    if not Account.objects.filter(Q(is_house=True) | Q(balance__gte=row.amount), name=row.payee_id).update(
        balance=F("balance") - row.amount
    ):
        raise Rejected(f"{row.payee_id} has spent it: less than {row.amount} is left.", code="too_little")
    Account.objects.filter(name=row.payer_id).update(balance=F("balance") + row.amount)
    return {"amount": row.amount}


def _find(name: str, *, is_held: bool = False) -> Account:
    accounts = Account.objects.select_for_update() if is_held else Account.objects
    found = accounts.filter(name=name).first()
    if found is None:
        raise Rejected(f"There is no account {name}.", code="no_such_account")
    return found
