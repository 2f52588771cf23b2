"""From a version's id to a compiled definition; without a query once this process has seen the version."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING
from uuid import UUID

from sagas.catalog.errors import VersionUnknownError
from sagas.core.document import compile_document
from sagas.core.limits import COMPILED_KEPT_MAX
from sagas.models import SagaVersion
from sagas.participants import registry

if TYPE_CHECKING:
    from sagas.core.definition import ActionFacts, Definition

Facts = tuple["ActionFacts | None", ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """A compiled definition and what the registry said of its actions when it was compiled."""

    definition: Definition
    actions: tuple[str, ...]
    facts: Facts


_hashes: OrderedDict[UUID, str] = OrderedDict()  # versions never change, so neither does this
_compiled: OrderedDict[str, _Known] = OrderedDict()
_lock = Lock()


def load_version(version_id: UUID) -> Definition:
    """Return the definition of one version.

    Raises:
        VersionUnknownError: there is no such version.
        DocumentBrokenError: its document cannot be compiled.
    """
    facts = registry.facts()
    with _lock:
        digest = _hashes.get(version_id, "")
        known = _compiled.get(digest)
        if known is not None and known.facts == tuple(map(facts.get, known.actions)):
            _hashes.move_to_end(version_id)
            _compiled.move_to_end(digest)
            return known.definition
    row = SagaVersion.objects.filter(id=version_id).values_list("document", "content_hash").first()
    if row is None:
        raise VersionUnknownError(version_id)
    document, digest = row
    definition = compile_document(document, facts)
    actions = definition.python_actions
    with _lock:
        _hashes[version_id] = digest
        _compiled[digest] = _Known(definition, actions, tuple(map(facts.get, actions)))
        for kept in (_hashes, _compiled):
            while len(kept) > COMPILED_KEPT_MAX:
                kept.popitem(last=False)
    return definition
