"""What of a choreography nobody is to see: places in the data of its events, and of what its reactions exchange.

An event is handed on from reaction to reaction with what each gave back put over
it, so one list of places holds for all events of a run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagas.core.limits import JSON_DEPTH_MAX, REDACTED_MAX
from sagas.core.problem import found_text
from sagas.core.redacted_places import copies, spread
from sagas.core.redaction import EVENT, INPUT, keys_of, output_of
from sagas.core.vocabulary import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagas.core.choreography import Choreography
    from sagas.core.definition import Step
    from sagas.core.fields import Fields
    from sagas.core.redaction import Place, Redaction

EVENT_PLACE = re.compile(r"event\.data(?:\.[^.]+)*")
_DATA = (EVENT, ("data",))


def read_hidden_events(fields: Fields) -> set[Place]:
    """Read the places that a choreography hides in the data of all its events."""
    if "redact" not in fields:
        return set()
    value = fields.raw("redact")
    if not isinstance(value, list) or not value:
        message = f"`redact` must be a list of places, such as [event.data.card]; found {found_text(value)}."
        fields.error("redact", "wrong_type", message)
        return set()
    if len(value) > REDACTED_MAX:
        fields.error("redact", "too_many", f"at most {REDACTED_MAX} places are named; found {len(value)}.")
        return set()
    found: set[Place] = set()
    for number, text in enumerate(value):
        if isinstance(text, str) and EVENT_PLACE.fullmatch(text) and text.count(".") <= JSON_DEPTH_MAX:
            found.add((EVENT, keys_of(text)))
            continue
        message = (
            "`redact` names a place in the data of events, such as event.data.card.number, and a reaction's own what "
            f"that is given and gives back; found {found_text(text)}."
        )
        fields.report.error((*fields.at("redact"), number), "redact_place", message)
    return found


def redaction_of_events(hidden: set[Place], steps: Sequence[Step], chart: Choreography) -> Redaction:
    """Return what is hidden in runs of a choreography: places of events, and those that its reactions name."""
    found = hidden | {place for step in steps for place in step.redact}
    emitting = [output_of(one.name, Phase.ACTION) for one in chart.reactions if one.succeeded]
    for root, keys in list(found):
        if root in emitting:  # what is no mapping stands in the event under this name
            found.add((EVENT, ("data", "output", *keys)))
    return spread(found, _copies(steps, emitting))


def _copies(steps: Sequence[Step], emitting: Sequence[str]) -> Iterator[tuple[Place, Place]]:
    yield from copies(tuple(steps), None)
    yield (INPUT, ()), _DATA
    for root in emitting:
        yield (root, ()), _DATA
