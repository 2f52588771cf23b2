"""The stored form of a late report, as it waits in the inbox."""

from __future__ import annotations

from sagas.core.commands import LateReport
from sagas.core.outcome import Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import AttemptKey, Json, OutcomeKind, Phase


def encode_late(late: LateReport) -> dict[str, Json]:
    """Return a late report as JSON."""
    attempt, outcome = late.attempt, late.outcome
    data: dict[str, Json] = {
        "step": attempt.step,
        "item": attempt.item,
        "phase": str(attempt.phase),
        "number": attempt.number,
        "edition": late.edition,
        "outcome": str(outcome.kind),
    }
    match outcome:
        case Succeeded():
            return {**data, "output": outcome.output}
        case Rejected():
            data["is_explicit"] = outcome.is_explicit
    error = outcome.error
    return {**data, "code": error.code, "message": error.message, "details": error.details}


def decode_late(data: dict[str, Json]) -> LateReport:
    """Return a late report from its stored form.

    Raises:
        KeyError, ValueError: other hands wrote it, or other code.
    """
    attempt = AttemptKey(data["step"], data["item"], Phase(data["phase"]), data["number"])
    return LateReport(attempt, data["edition"], _outcome(data))


def _outcome(data: dict[str, Json]) -> Outcome:
    kind = OutcomeKind(data["outcome"])
    if kind is OutcomeKind.SUCCEEDED:
        return Succeeded(data["output"])
    error = Error(data["code"], data["message"], data["details"])
    match kind:
        case OutcomeKind.REJECTED:
            return Rejected(error, is_explicit=data.get("is_explicit", True))
        case OutcomeKind.FAILED:
            return Failed(error)
    return Unknown(error)
