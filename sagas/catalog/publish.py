"""Publishing: a document becomes the next immutable version of its saga. Running runs are never touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from sagas.catalog.errors import DocumentInvalidError, PublishConflictError, SagaNameMismatchError
from sagas.catalog.event_uses import write_event_uses
from sagas.core.choreography import is_choreography, style_of
from sagas.core.document import check_source, compile_document, content_hash
from sagas.core.problem import Problem
from sagas.models import Saga, SagaVersion
from sagas.participants import known_services, registry

if TYPE_CHECKING:
    from sagas.core.document import Checked


@dataclass(frozen=True, slots=True)
class Published:
    """A version, whether this call made it, and what its author should look at."""

    version: SagaVersion
    is_new: bool
    warnings: tuple[Problem, ...]


def check(source: str) -> Checked:
    """Check a document against the actions of this process and the registered services; nothing is stored."""
    calls_services = "service" in source  # the key of every such call; others need no database to be checked
    return check_source(source, registry.facts(), known_services.kinds() if calls_services else None)


def publish(
    source: str, *, by: str, saga: str | None = None, base: int | None = None, is_demo: bool = False
) -> Published:
    """Publish `source`; the same content as the latest version gives that version again.

    Versions of a saga are numbered from 1 without gaps: the saga's row is
    locked while the next number is taken (SQLite locks the whole database).

    Args:
        source: YAML or JSON text.
        by: who publishes, for the record.
        saga: the name the document must have; None accepts any.
        base: number of the version the author started from, 0 for none; None skips the check.
        is_demo: marks a saga made by this call as part of the demo.

    Raises:
        DocumentInvalidError: with every problem of the document.
        SagaNameMismatchError: the document names another saga than `saga`.
        PublishConflictError: `base` is not the latest version, and the content is new.
    """
    checked = check(source)
    if checked.document is None:
        raise DocumentInvalidError(checked.problems)
    document = checked.document
    name = document["saga"]
    if saga is not None and name != saga:
        raise SagaNameMismatchError(saga, name)
    digest = content_hash(document)
    chart = compile_document(document, registry.facts()).choreography if is_choreography(document) else None
    with transaction.atomic():
        Saga.objects.get_or_create(name=name, defaults={"title": name, "is_demo": is_demo})
        row = Saga.objects.select_for_update().get(name=name)
        latest = row.latest  # a query of its own: one joined to the lock would not see what the last holder wrote
        if latest is not None and latest.content_hash == digest:
            return Published(latest, is_new=False, warnings=checked.warnings)
        if latest is not None and style_of(document) != style_of(latest.document):
            message = f"{name} is of another style already: its runs would be lost. Choose another name."
            raise DocumentInvalidError((Problem(message, path="style", pointer="/style", code="style_changed"),))
        number = latest.number if latest is not None else 0
        if base is not None and base != number:
            raise PublishConflictError(name, number)
        version = SagaVersion.objects.create(
            saga=row, number=number + 1, document=document, source=source, content_hash=digest, published_by=by
        )
        if chart is not None:
            write_event_uses(version, chart)
        row.latest = version
        row.title = document.get("title") or name.replace("-", " ").capitalize()
        row.style = style_of(document)
        row.save(update_fields=["latest", "title", "style"])
    return Published(version, is_new=True, warnings=checked.warnings)
