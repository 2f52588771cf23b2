"""What a probe answers in a simulation: as the script says, and else what truly became of the action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.outcome import NOT_DONE, TIMED_OUT, WORKER_LOST, Error, Failed, Outcome, Rejected, Unknown
from sagas.core.script import Answer, Ending

if TYPE_CHECKING:
    from sagas.core.script import Part

CANNOT_SAY = "The probe cannot say whether it happened: the script does not."


def answer_of(part: Part, number: int, *, happened: bool | None) -> Answer:
    """Return the answer of the probe's attempt `number`, about an action that happened, did not, or may have."""
    if part.says(number):
        return part.answer(number)
    endings = {True: Ending.SUCCEEDED, False: Ending.NOT_DONE, None: Ending.UNKNOWN}
    return Answer(endings[happened])


def outcome_of(answer: Answer) -> Outcome:
    """Return what an answer other than yes means."""
    match answer.ending:
        case Ending.REJECTED:
            return Rejected(Error("rejected", "The probe says that it was rejected."))
        case Ending.NOT_DONE:
            return Failed(Error(NOT_DONE, "The probe says it never happened."), settles=True)
        case Ending.WORKER_LOST:
            return Unknown(Error(WORKER_LOST, "The worker was lost before the probe answered."), is_counted=False)
    return Unknown(Error(TIMED_OUT, CANNOT_SAY))


def truth_in(answer: Answer) -> bool | None:
    """Return what the answer tells of what truly happened; None when it tells nothing."""
    return {Ending.SUCCEEDED: True, Ending.REJECTED: False, Ending.NOT_DONE: False}.get(answer.ending)
