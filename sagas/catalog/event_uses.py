"""Which types of events a version names, and how: written down when it is published, for routing and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.models import EventRole, EventUse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagas.core.choreography import Choreography
    from sagas.models import SagaVersion


def write_event_uses(version: SagaVersion, chart: Choreography) -> None:
    """Write down every event that `version` names; once, since a version never changes."""
    EventUse.objects.bulk_create(_uses(version, chart))


def _uses(version: SagaVersion, chart: Choreography) -> Iterator[EventUse]:
    def use(kind: str, role: EventRole, service: str = "", reaction: str = "", undoes: str = "") -> EventUse:
        return EventUse(
            version=version, saga_id=version.saga_id, type=kind, role=role.value,
            service=service, reaction=reaction, undoes=undoes,
        )  # fmt: skip

    for role, kinds in (
        (EventRole.STARTS, chart.starts_on),
        (EventRole.COMPLETES, chart.completes_on),
        (EventRole.COMPENSATES, chart.compensated_on),
    ):
        yield from (use(kind, role) for kind in kinds)
    for service, kinds in chart.publishes.items():
        yield from (use(kind, EventRole.PUBLISHES, service) for kind in kinds)
    for one in chart.reactions:
        yield from (use(kind, EventRole.REACTS, one.service, one.name, one.undoes) for kind in one.on)
        yield from (use(kind, EventRole.EMITS, one.service, one.name, one.undoes) for kind in one.emits)
