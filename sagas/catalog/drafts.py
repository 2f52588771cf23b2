"""Drafts: what one person is writing. At most one per person and saga; runs never see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.catalog.errors import DocumentInvalidError
from sagas.core.limits import DOCUMENT_BYTES_MAX
from sagas.core.problem import check_payload
from sagas.models import Draft

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def save_draft(saga: str, owner: User, source: str, *, base: int = 0) -> Draft:
    """Keep `source`, right or wrong, in place of what the owner kept before.

    Args:
        saga: the saga's name, which need not exist yet.
        owner: whose draft it is.
        source: any text the database can hold.
        base: number of the version it started from, 0 for none.

    Raises:
        DocumentInvalidError: the text is too long, or holds characters no document can.
    """
    if problems := check_payload(source, bytes_max=DOCUMENT_BYTES_MAX):
        raise DocumentInvalidError(problems)
    draft, _ = Draft.objects.update_or_create(
        saga_name=saga, owner=owner, defaults={"source": source, "base_number": base}
    )
    return draft


def get_draft(saga: str, owner: User) -> Draft | None:
    """Return the owner's draft of a saga, or None."""
    return Draft.objects.filter(saga_name=saga, owner=owner).first()


def discard_draft(saga: str, owner: User) -> bool:
    """Throw the owner's draft away; False when there was none."""
    deleted, _ = Draft.objects.filter(saga_name=saga, owner=owner).delete()
    return deleted > 0
