"""Which services a document names, and where: read from the document alone, so that code that is gone hides none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core.choreography import is_choreography

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json

ACTION, COMPENSATION, PROBE = "action", "compensation", "probe"


@dataclass(frozen=True, slots=True)
class Named:
    """One place of a document that names a service."""

    service: str
    step: str
    half: str  # action, compensation or probe
    kind: str = "http"  # how it is called there: http or command


def named_services(document: Json) -> tuple[Named, ...]:
    """Return every place of a canonical document that calls a service, in the order of the steps or reactions.

    A service whose reactions are only watched is called by nobody here.
    """
    steps = document.get("reactions" if is_choreography(document) else "steps") if isinstance(document, dict) else None
    found: list[Named] = []
    for step in steps if isinstance(steps, list) else ():
        if not isinstance(step, dict):
            continue
        compensation = step.get("compensation")
        halves = (
            (ACTION, step.get("action")),
            (COMPENSATION, compensation.get("action") if isinstance(compensation, dict) else None),
            (PROBE, step.get("probe")),
        )
        for half, form in halves:
            service, kind = _service_of(form)
            if service:
                found.append(Named(service, str(step.get("name", "")), half, kind))
    return tuple(found)


def _service_of(form: Json) -> tuple[str, str]:
    """Return the service and the key of `{http: {service: …}}` or `{command: {service: …}}`; else nothing."""
    if not isinstance(form, dict):
        return "", ""
    for key in ("http", "command"):
        inner = form.get(key)
        if isinstance(inner, dict) and isinstance(inner.get("service"), str):
            return str(inner["service"]), key
    return "", ""
