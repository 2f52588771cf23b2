"""What a confirm page sends: read, kept as typed, and with its problems beside their fields."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.vocabulary import OutcomeKind, Phase, Verb
from sagas.dashboard.start_form import UnreadableError, read_json
from sagas.engine import orders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagas.core.problem import Problem
    from sagas.core.vocabulary import Json

REASON_CHARACTERS_MAX = 2_000
_OUTCOMES = {outcome.value: outcome for outcome in (OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED)}


@dataclass(frozen=True, slots=True)
class OrderForm:
    """One order as a person typed it. `phase` is None while nobody has said which half is meant."""

    verb: Verb
    step: str = ""
    phase: Phase | None = None
    reason: str = ""
    reference: str = ""
    outcome: str = ""
    output: str = ""
    signal: str = ""
    payload: str = ""
    revision: int | None = None
    errors: Mapping[str, str] = field(default_factory=dict)  # by field; "" is about none of them

    @property
    def lines(self) -> int:
        """Height of the box for JSON: the output, or what a signal brings."""
        return min(12, max(3, (self.output or self.payload).count("\n") + 1))


def read_form(verb: Verb, sent: Mapping[str, str]) -> OrderForm:
    """Read the fields of an address or of a POST."""
    phase = sent.get("phase", "")
    return OrderForm(
        verb,
        step=sent.get("step", ""),
        phase=Phase(phase) if phase in {Phase.ACTION.value, Phase.COMPENSATION.value} else None,
        reason=sent.get("reason", "")[:REASON_CHARACTERS_MAX],
        reference=sent.get("reference", "").strip(),
        outcome=sent.get("outcome", ""),
        output=sent.get("output", ""),
        signal=sent.get("signal", ""),
        payload=sent.get("payload", ""),
        revision=_number(sent.get("revision", "")),
    )


def read_ask(form: OrderForm) -> tuple[orders.Ask, OrderForm]:
    """Return what is asked of the engine, and the form with what could not be read written beside its field."""
    errors: dict[str, str] = {}
    phase = form.phase or Phase.ACTION
    outcome = OutcomeKind.SUCCEEDED
    if form.verb is Verb.APPROVE or (form.verb is Verb.SETTLE and phase is Phase.ACTION):
        outcome = _OUTCOMES.get(form.outcome, outcome)
        if form.outcome not in _OUTCOMES:
            errors["outcome"] = _("Say which of the two is true.")
    output: Json = None
    if form.verb in {Verb.SKIP, Verb.SETTLE} and outcome is OutcomeKind.SUCCEEDED:
        output = _read("output", form.output, errors)
    payload = _read("payload", form.payload, errors) if form.verb is Verb.SIGNAL else None
    if errors and form.verb in orders.NEEDS_REASON and not form.reason.strip():  # the engine is not asked to say so
        errors["reason"] = _("Say why: it is written down.")
    ask = orders.Ask(
        reason=form.reason,
        step=form.step or None,
        phase=phase,
        outcome=outcome,
        output=output,
        reference=form.reference,
        signal=form.signal,
        arguments=payload,
        has_arguments=form.verb is Verb.SIGNAL,
    )
    return ask, replace(form, errors=errors)


def _read(name: str, typed: str, errors: dict[str, str]) -> Json:
    """Return what a box for JSON holds; None when it is empty, or when it is wrong, which is then said beside it."""
    if not typed.strip():
        return None
    try:
        return read_json(typed)
    except UnreadableError as error:
        errors[name] = str(error)
        return None


_FIELDS = {  # beside which of our fields a problem of the engine stands, by the beginning of its place
    "reason": "reason", "comment": "reason", "reference": "reference", "outcome": "outcome", "output": "output",
    "name": "signal", "payload": "payload",
}  # fmt: skip


def with_problems(form: OrderForm, problems: Iterable[Problem]) -> OrderForm:
    """Put each problem beside its field; those of no field together under the empty name."""
    errors: dict[str, str] = {}
    for problem in problems:
        name = _FIELDS.get(problem.pointer.removeprefix("/").partition("/")[0], "")
        errors[name] = f"{errors[name]} {problem.message}" if name in errors else problem.message
    return replace(form, errors=errors)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - revisions
