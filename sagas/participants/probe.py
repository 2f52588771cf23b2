"""How a Python probe is asked: it looks whether an action happened, and what it says becomes an `Outcome`.

It returns the action's output, or raises: `NotDone` when it never happened,
`Rejected` when it was refused. Anything else leaves the question open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.outcome import Error, Failed, Outcome, Succeeded, Unknown

if TYPE_CHECKING:
    from sagas.participants.registry import Action

PROBE_UNCLEAR = "probe_unclear"
PROBE_WRITES = "probe_writes"


def refusal(action: Action | None) -> Unknown | None:
    """Return why an action must not be asked as a probe; None when it may, or when nobody registered it."""
    if action is None or action.reads_only:
        return None
    message = f"{action.name} is not registered with reads_only=True, so it is not asked: a probe only looks."
    return Unknown(Error(PROBE_WRITES, message))


def as_answer(outcome: Outcome) -> Outcome:
    """Return what an outcome of the probe says of the action that it was asked about.

    Null, true and false say neither that it happened nor that it did not: a
    search that finds nothing returns them just as well, and money moves on the answer.
    """
    match outcome:
        case Succeeded(None | True | False):
            said = {None: "null", True: "true", False: "false"}[outcome.output]
            message = (
                f"The probe returned {said}, which says neither: it returns the action's output, such as {{}}, "
                "or raises NotDone."
            )
            return Unknown(Error(PROBE_UNCLEAR, message))
    return as_said(outcome)


def as_said(outcome: Outcome) -> Outcome:
    """Return the answer of a probe that says in so many words what it means; one that did not work leaves it open."""
    if isinstance(outcome, Failed) and not outcome.settles:
        return Unknown(outcome.error, retry_after_s=outcome.retry_after_s, is_counted=outcome.is_counted)
    return outcome
