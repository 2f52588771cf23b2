"""What attempts may come to, in a run whose every way is gone."""

from __future__ import annotations

from sagas.core.outcome import NOT_DONE, NOT_SENT, WORKER_LOST, Error, Failed, Outcome, Rejected, Succeeded, Unknown

ANSWERS: tuple[Outcome, ...] = (
    Succeeded({"done": True}),
    Rejected(Error("no", "no")),
    Rejected(Error("bare", "no"), is_explicit=False),
    Failed(Error("failed", "failed")),
    Unknown(Error("unknown", "unknown")),
)
NOT_STARTED = Failed(Error("child_not_started", "no such saga"), is_retriable=False)
NEVER_HAPPENED = Failed(Error(NOT_DONE, "not done"), settles=True)  # only a probe says so
LOSSES: tuple[Outcome, ...] = (
    Unknown(Error(WORKER_LOST, "lost"), is_counted=False),
    Failed(Error(NOT_SENT, "not sent"), is_counted=False),
)
