"""Reading a stored run back, as the invariants want it."""

from __future__ import annotations

from sagas.catalog.load import load_version
from sagas.core.codec import decode
from sagas.engine import stored
from sagas.engine.hiding import opened_state
from sagas.models import SagaRun
from sagas.sealing import opened
from tests.invariants import violations


def fetch(run) -> SagaRun:
    return SagaRun.objects.select_related("saga", "version").get(id=getattr(run, "id", run))


def state_of(run):
    row = fetch(run)
    return opened_state(load_version(row.version_id).redaction, stored.load_one(row))


def kinds(run) -> list[str]:
    return list(fetch(run).journal.values_list("kind", flat=True))


def faults_of(run) -> list[str]:
    """Every invariant that the stored run breaks, as sentences."""
    row = fetch(run)
    entries = [(entry.sequence, decode(entry.kind, opened(entry.data)), entry.at) for entry in row.journal.all()]
    found = violations(load_version(row.version_id), entries, state_of(row))
    is_asked = row.inbox_last > row.inbox_done  # what came too late is still to be answered
    if row.status in {"completed", "compensated"} and (row.lease_until or (row.due_at and not is_asked)):
        found.append("S1 a final run has a lease or is due")
    if row.sequence != len(entries):
        found.append(f"S4 the row says {row.sequence} entries, there are {len(entries)}")
    return found
