"""Between what the engine works with and what is stored: redacted values are sealed going out, opened coming in.

The state of a run whose definition redacts nothing is neither looked through nor copied.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagas.core import messages as m
from sagas.core.hidden_fields import changed_entry
from sagas.core.outcome import REDACTED_LOST, Error, Failed, Succeeded
from sagas.core.redaction import EVENT, OUTPUT, input_of, items_of, output_of, signal_of
from sagas.core.sealed import LOST, Hidden, holds_hidden
from sagas.core.vocabulary import NO_ITEM, Phase, StepKey, Verb
from sagas.sealing import opened, seal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagas.core.redaction import Redaction
    from sagas.core.state import HalfState, RunState, StepState
    from sagas.core.vocabulary import Json


def sealed_entry(redaction: Redaction, event: m.Event, data: dict[str, Json]) -> dict[str, Json]:
    """Return the data of an entry with what is redacted in it sealed."""
    return changed_entry(redaction, event, data, seal) if redaction else data


def sealed_step(redaction: Redaction, key: StepKey, step: StepState) -> StepState:
    """Return a step run as it is stored."""
    if not redaction:
        return step
    is_list = key.item == NO_ITEM and step.action.items_total is not None
    given = items_of(key.step) if is_list else input_of(key.step, Phase.ACTION)
    gives = output_of(key.step, Phase.ACTION)
    undo = (input_of(key.step, Phase.COMPENSATION), output_of(key.step, Phase.COMPENSATION))
    reacting = step.reacting
    if reacting is not None:
        reacting = replace(reacting, event=redaction.changed(EVENT, reacting.event, seal))
    asks = (input_of(key.step, Phase.PROBE), output_of(key.step, Phase.PROBE))
    return replace(
        step,
        action=_sealed_half(redaction, given, gives, step.action),
        compensation=_sealed_half(redaction, *undo, step.compensation),
        probe=_sealed_half(redaction, *asks, step.probe),
        output=redaction.changed(gives, step.output, seal),
        reacting=reacting,
    )


def _sealed_half(redaction: Redaction, given: str, gives: str, half: HalfState) -> HalfState:
    if half.input is None and half.late_output is None:
        return half
    return replace(
        half,
        input=redaction.changed(given, half.input, seal),
        late_output=redaction.changed(gives, half.late_output, seal),
    )


def _changed_late(late: m.LateReport, change: Callable[[Json], Json]) -> m.LateReport:
    """Return a late report with `change` done to all that it tells, which may be anything."""
    outcome = late.outcome
    if isinstance(outcome, Succeeded):
        told = None if outcome.output is None else change(outcome.output)
        return replace(late, outcome=replace(outcome, output=told))
    error = outcome.error
    details = None if error.details is None else change(error.details)
    error = replace(error, message=change(error.message), details=details)
    return replace(late, outcome=replace(outcome, error=error))


def sealed_run(redaction: Redaction, columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a run as they are stored."""
    if not redaction:
        return columns
    signals = [
        {**one, "payload": redaction.changed(signal_of(one["name"]), one["payload"], seal)}
        for one in columns["signals"]
    ]
    return columns | {"output": redaction.changed(OUTPUT, columns["output"], seal), "signals": signals}


def opened_state(redaction: Redaction, state: RunState) -> RunState:
    """Return a stored state as the law works with it."""
    if not redaction:
        return state
    after = state.copy()
    after.input = opened(state.input)
    after.output = opened(state.output)
    after.signals = tuple(replace(one, payload=opened(one.payload)) for one in state.signals)
    after.steps = {key: _opened_step(step) for key, step in state.steps.items()}
    return after


def _opened_half(half: HalfState) -> HalfState:
    return replace(half, input=opened(half.input), late_output=opened(half.late_output))


def _opened_step(step: StepState) -> StepState:
    reacting = step.reacting
    return replace(
        step,
        action=_opened_half(step.action),
        compensation=_opened_half(step.compensation),
        probe=_opened_half(step.probe),
        output=opened(step.output),
        reacting=None if reacting is None else replace(reacting, event=opened(reacting.event)),
    )


def find_lost(arguments: Json) -> Failed | None:
    """Return what an attempt comes to that cannot be given its arguments, since they cannot be opened; else None."""
    if not holds_hidden(arguments):
        return None
    return Failed(Error(REDACTED_LOST, f"Not sent: {LOST}."), is_retriable=False)


def sealed_order(redaction: Redaction, order: m.TakeOrder) -> m.TakeOrder:
    """Return an order as it waits in the inbox: what it brings is sealed as a whole, redacted or not.

    What a sub-saga gives back is always sealed: which places of it are redacted is for its parent to say.
    """
    if order.child is not None and order.child.output is not None:
        order = replace(order, child=replace(order.child, output=seal(order.child.output)))
    if not redaction:
        return order
    if order.late is not None:
        order = replace(order, late=_changed_late(order.late, seal))
    arguments = order.arguments if order.arguments is None else seal(order.arguments)
    return replace(order, arguments=arguments, output=order.output if order.output is None else seal(order.output))


def sealed_report(order: m.TakeOrder) -> m.TakeOrder:
    """Return a late report with all that it tells sealed, whatever is redacted."""
    return order if order.late is None else replace(order, late=_changed_late(order.late, seal))


def opened_order(order: m.TakeOrder) -> m.TakeOrder:
    """Return an order from the inbox as the law takes it."""
    if order.child is not None and isinstance(order.child.output, Hidden):
        order = replace(order, child=replace(order.child, output=opened(order.child.output)))
    if order.late is not None:
        order = replace(order, late=_changed_late(order.late, opened))
    is_sealed_event = order.verb is Verb.EVENT and isinstance(order.arguments["data"], Hidden)
    if is_sealed_event or isinstance(order.arguments, Hidden) or isinstance(order.output, Hidden):
        order = replace(order, arguments=opened(order.arguments), output=opened(order.output))
    return order
