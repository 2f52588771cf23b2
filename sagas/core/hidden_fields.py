"""Which fields of an event hold values of the run, and at which root of a redaction each of them stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.redaction import EVENT, INPUT, OUTPUT, input_of, items_of, output_of, signal_of
from sagas.core.vocabulary import Json, Phase

if TYPE_CHECKING:
    from sagas.core.redaction import Redaction


def changed_entry(
    redaction: Redaction, event: m.Event, data: dict[str, Json], change: Callable[[Json], Json]
) -> dict[str, Json]:
    """Return the encoded `data` of an event with `change` done to what is redacted in it."""
    roots = {name: root for name, root in _roots(event).items() if name in data}
    return data | {name: redaction.changed(root, data[name], change) for name, root in roots.items()}


def _roots(event: m.Event) -> dict[str, str]:
    match event:
        case m.RunStarted():
            return {"input": INPUT}
        case m.RunCompleted():
            return {"output": OUTPUT}
        case m.EventReceived():
            return {"event": EVENT}
        case m.SignalReceived():
            return {"payload": signal_of(event.name)}
        case m.ItemsListed():
            return {"items": items_of(event.step)}
    step = getattr(event, "step", "")
    phase = getattr(event, "phase", Phase.ACTION)
    return {"input": input_of(step, phase), "output": output_of(step, phase)} if step else {}
