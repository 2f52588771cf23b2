"""From a version's id to a compiled definition; without a query once this process has seen the version."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING
from uuid import UUID

from sagas.catalog.errors import VersionUnknownError, VersionUnreadableError
from sagas.core.document import DocumentBrokenError, compile_document
from sagas.core.limits import COMPILED_KEPT_MAX
from sagas.core.problem import one_line
from sagas.models import SagaVersion
from sagas.participants import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.definition import ActionFacts, Definition
    from sagas.core.vocabulary import Json

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
        VersionUnreadableError: its document does not compile here: it was stored by a later release, or by other hands.
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
    definition = _compile(document, facts)
    actions = definition.python_actions
    with _lock:
        _hashes[version_id] = digest
        _compiled[digest] = _Known(definition, actions, tuple(map(facts.get, actions)))
        for kept in (_hashes, _compiled):
            while len(kept) > COMPILED_KEPT_MAX:
                kept.popitem(last=False)
    return definition


def _compile(document: Json, facts: Mapping[str, ActionFacts]) -> Definition:
    try:
        return compile_document(document, facts)
    except DocumentBrokenError as error:
        raise VersionUnreadableError(one_line(str(error))) from error
    except Exception as error:  # whatever a document makes the compiler do: one version's trouble is not the others'
        raise VersionUnreadableError(one_line(f"{type(error).__name__}: {error}.")) from error
