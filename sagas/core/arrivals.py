"""What ends a wait: the time, a signal, a person's yes or no."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sagas.core import forward, items, waiting
from sagas.core import messages as m
from sagas.core.definition import Timer
from sagas.core.limits import KIB, SIGNALS_KEPT_BYTES_MAX, SIGNALS_KEPT_MAX
from sagas.core.outcome import TIMED_OUT, Error
from sagas.core.vocabulary import Direction, Json, OutcomeKind, StepKey, WaitingFor

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.draft import Draft
    from sagas.core.state import RunState

DECLINED = "declined"


def time_is_up(draft: Draft, key: StepKey) -> None:
    """End a wait whose moment has come."""
    wait = draft.definition.by_name[key.step].wait
    if wait is None or isinstance(wait, Timer):
        _end(draft, key, None)
    elif wait.goes_on:
        waiting.leave_out(draft, key, TIMED_OUT)
        draft.candidates.update(draft.definition.successors[key.step])
    else:
        missing = "signal" if draft.step(key).action.waits_for is WaitingFor.SIGNAL else "answer"
        forward.fail(draft, key, OutcomeKind.FAILED, Error(TIMED_OUT, f"No {missing} came in time."))


def take_one(draft: Draft) -> bool:
    """Give one of the signals that are kept to a step that waits for it; false when none does.

    Of the steps that wait, the first in the document; of the signals of that name, the oldest.
    """
    found = _first_match(draft)
    if found is None:
        return False
    key, place = found
    signal = draft.state.signals[place]
    _end(draft, key, signal.payload, signal.by)
    return True


def _first_match(draft: Draft) -> tuple[StepKey, int] | None:
    names = [one.name for one in draft.state.signals]
    rank = draft.definition.rank
    for key, phase in sorted(draft.state.open, key=lambda half: (rank[half[0].step], half)):
        half = draft.step(key).half(phase)
        if half.waits_for is WaitingFor.SIGNAL and half.input["signal"] in names:
            return key, names.index(half.input["signal"])
    return None


def _end(draft: Draft, key: StepKey, output: Json, by: str = "") -> None:
    passes_pivot = key.step == draft.definition.pivot
    draft.emit(m.WaitEnded(step=key.step, item=key.item, output=output, by=by, passes_pivot=passes_pivot))
    forward.after_success(draft, key)


# ---- signals ---------------------------------------------------------------


def signal_refusal(definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    """Return why a signal cannot be taken."""
    if order.signal not in definition.signals:
        return f"The saga waits for no signal named {order.signal!r}."
    if state.direction is Direction.BACKWARD:
        return "The run is being undone: it waits for no signal any more."
    kept_bytes = len(json.dumps([order.arguments, *(one.payload for one in state.signals)]))
    if state.signals and (len(state.signals) >= SIGNALS_KEPT_MAX or kept_bytes > SIGNALS_KEPT_BYTES_MAX):
        limits = f"{SIGNALS_KEPT_MAX} signals or {SIGNALS_KEPT_BYTES_MAX // KIB} KiB"
        return f"Of signals that no step waits for yet, a run keeps at most {limits}."
    return None


def receive(draft: Draft, order: m.TakeOrder) -> None:
    """Keep a signal; a step that waits for it takes it at once."""
    draft.emit(m.SignalReceived(name=order.signal, payload=order.arguments, by=order.by))


# ---- approvals -------------------------------------------------------------


def approval_refusal(definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    """Return why there is nothing to say yes or no to."""
    if order.step is None:
        return "Say which step is approved."
    if why := items.misnamed(definition, state, order.step):
        return why
    step = state.step(StepKey.parse(order.step) or StepKey(order.step))
    if step.action.waits_for is not WaitingFor.APPROVAL:
        status = str(step.status).replace("_", " ")
        return f"Step {order.step} waits for no answer of a person: it is {status}."
    return None


def answer(draft: Draft, order: m.TakeOrder) -> None:
    """Take a person's yes or no."""
    key = StepKey.parse(order.step or "") or StepKey(order.step or "")
    if order.outcome is OutcomeKind.SUCCEEDED:
        _end(draft, key, {"approved_by": order.by, "comment": order.reason}, order.by)
        return
    message = f"{order.by} said no" + (f": {order.reason}" if order.reason else ".")
    forward.fail(draft, key, OutcomeKind.REJECTED, Error(DECLINED, message))
