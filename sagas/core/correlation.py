"""Which run an event is of: what a choreography's expressions say about an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.choreography import event_names
from sagas.core.expressions import ExpressionError
from sagas.core.facts import Facts, is_amount, text_of
from sagas.core.limits import KEY_LENGTH_MAX
from sagas.core.problem import check_payload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.definition import Definition
    from sagas.core.vocabulary import Json


class UncorrelatedError(Exception):
    """The event does not say which run it is of; the text says why."""


def correlate(definition: Definition, event: Mapping[str, Json]) -> str:
    """Return the correlation value of an event: the key of its run.

    Args:
        definition: a choreography.
        event: `{id, source, type, data, subject?, time?}`.

    Raises:
        UncorrelatedError: the expression has no value, or none that can be a key.
    """
    if definition.choreography is None:
        raise AssertionError(f"{definition.saga} is no choreography")
    try:
        value = definition.choreography.correlate.render(event_names(event))
    except ExpressionError as error:
        raise UncorrelatedError(f"`correlate` has no value for this event: {error}") from error
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UncorrelatedError("`correlate` must give text or a whole number; it gives nothing of the kind here.")
    key = str(value)
    if not key or len(key) > KEY_LENGTH_MAX or check_payload(key):
        raise UncorrelatedError(f"`correlate` must give 1 to {KEY_LENGTH_MAX} characters; it gives {len(key)}.")
    return key


def event_facts(definition: Definition, event: Mapping[str, Json], key: str) -> Facts:
    """Return the facts of the run that an event begins; a label or an amount that has no value is left out."""
    scope = event_names(event)
    labels: dict[str, str] = {}
    for name, template in definition.labels.items():
        try:
            value = template.render(scope)
        except ExpressionError:
            continue
        if value is not None:
            labels[name] = text_of(value)
    amount = None
    if definition.amount is not None:
        try:
            amount = definition.amount.render(scope)
        except ExpressionError:
            amount = None
    return Facts(key, {} if check_payload(labels) else labels, amount if is_amount(amount) else None)
