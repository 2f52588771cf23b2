"""What a probe answers in a simulation: what truly became of the action, by the word of the script."""

from __future__ import annotations

from sagas.core.outcome import TIMED_OUT, Error, Failed, Outcome, Succeeded, Unknown


def answer(happened: bool | None) -> Outcome:  # noqa: FBT001 - the question is yes, no, or nobody knows
    """Return what a probe says of an action that happened, did not, or (None) may have: then it cannot say either."""
    if happened is None:
        return Unknown(Error(TIMED_OUT, "The probe cannot say whether it happened: the script does not."))
    return Succeeded({}) if happened else Failed(Error("not_done", "The probe says it never happened."), settles=True)
