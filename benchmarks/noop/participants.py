"""CreateOrder without the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas import Rejected, action

if TYPE_CHECKING:
    from sagas.participants.base import Call


@action("noop.succeed")
def succeed(_call: Call, **_arguments: object) -> None:
    """Do nothing, well."""


@action("noop.reject")
def reject(_call: Call, **_arguments: object) -> None:
    """Refuse."""
    raise Rejected("no", code="no")
