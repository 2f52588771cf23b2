"""What can go wrong around an action, outside the action itself."""

from __future__ import annotations


class RegistrationError(Exception):
    """An action cannot be registered so. A mistake in the code: raised when its module is imported."""


class NotAwaitedError(Exception):
    """The attempt is no longer awaited, or the lease is lost: an atomic action must not commit.

    Raised by the engine inside the action's transaction.
    """


class CommitUncertainError(Exception):
    """The connection was lost in COMMIT: effects and entry are stored both or neither, and only the rows tell.

    The engine drops the run from memory and lets it be claimed anew.
    """
