"""Runs with open questions: a probe is asked, an answer came too late. Tellers for `tests.factories`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sagas.core import messages as m
from sagas.core.vocabulary import OutcomeKind, Phase, Verb
from sagas.models import SagaRun
from tests.story import ACTION, COMPENSATION, CREATE_ORDER, NO_CARRIER, SUCCEEDED, UNKNOWN, Story

PAY, STOCK, SHIP = "process_payment", "update_inventory", "create_shipment"
PROBE_ORDER: dict[str, Any] = {
    **CREATE_ORDER,
    "saga": "probe-order",
    "title": "Probe order",
    "steps": [
        CREATE_ORDER["steps"][0],
        {**CREATE_ORDER["steps"][1], "probe": {"python": "shop.stock_state"}},
        CREATE_ORDER["steps"][2],
    ],
}
NO_ANSWER = "No answer within 10 s"


def _lost(now: datetime, ago_s: float, key: str) -> Story:
    story = Story(now - timedelta(seconds=ago_s), PROBE_ORDER, key=key).do(PAY)
    return story.start(STOCK).end(STOCK, UNKNOWN, took_s=10, message=NO_ANSWER)


def probing(now: datetime) -> SagaRun:
    """The probe was asked two seconds ago."""
    story = _lost(now, 12.7, "48240")
    return story.start(STOCK, Phase.PROBE, after_s=0.0).save()


def asked_again(now: datetime) -> SagaRun:
    """The probe could not say, and is asked again in a moment."""
    story = _lost(now, 11.2, "48241").start(STOCK, Phase.PROBE, after_s=0.0)
    story.end(STOCK, UNKNOWN, Phase.PROBE, message="connection refused")
    at = story.started_at + timedelta(seconds=story.at_s + 2)
    return story.tell(m.RetryScheduled(step=STOCK, phase=Phase.PROBE, at=at)).save()


def draining_with_a_probe(now: datetime) -> SagaRun:
    """Cancelled while nobody knows whether the stock was updated; its probe is asked."""
    story = _lost(now, 12.7, "48242").start(STOCK, Phase.PROBE, after_s=0.0)
    return story.turn(cause="cancel", by="ana").save()


def never_happened(now: datetime) -> SagaRun:
    """The probe said that the stock was not updated; it is tried again in a while."""
    story = _lost(now, 12, "48243").start(STOCK, Phase.PROBE, after_s=0.0)
    said: dict[str, Any] = {"step": STOCK, "phase": Phase.PROBE, "number": 1, "outcome": OutcomeKind.FAILED}
    story.tell(m.AttemptEnded(**said, code="not_done", message="No such booking.", settles=True), 0.4)
    at = story.started_at + timedelta(seconds=story.at_s + 42)
    return story.tell(m.RetryScheduled(step=STOCK, phase=ACTION, at=at)).save()


def _late(story: Story, step: str, **more: Any) -> Story:
    story.orders += 1
    said: dict[str, Any] = {"order": story.orders, "step": step, "phase": ACTION, "number": 1, "outcome": SUCCEEDED}
    return story.tell(m.LateReportReceived(**said, output={"id": 9}, **more), 3)


def settled_late(now: datetime) -> SagaRun:
    """The stock was updated after all, and the run went on."""
    story = _late(_lost(now, 30, "48244"), STOCK, settles=True)
    story.tell(m.StepSettled(step=STOCK, outcome=SUCCEEDED, output={"id": 9}, is_late=True))
    return story.do(SHIP).tell(m.RunCompleted()).save()


def _undone_in_doubt(now: datetime, key: str) -> Story:
    story = Story(now - timedelta(seconds=60), key=key).do(PAY)
    story.start(STOCK).end(STOCK, UNKNOWN, took_s=10, message=NO_ANSWER)
    story.tell(m.StepInDoubt(step=STOCK, code="timed_out", message=NO_ANSWER))
    story.turn(cause="in_doubt", step=STOCK, outcome="unknown", message=NO_ANSWER)
    return story.turned(PAY, STOCK).do(STOCK, phase=COMPENSATION)


def hanging(now: datetime) -> SagaRun:
    """The stock was updated after it had been restored; a person must see to it."""
    story = _undone_in_doubt(now, "48245").start(PAY, COMPENSATION)
    _late(story, STOCK, is_hanging=True, needs_undo=True)
    story.tell(m.AttentionNeeded(step=STOCK, phase=COMPENSATION, code="hanging"))
    return story.end(PAY, phase=COMPENSATION).save()


def hung(now: datetime) -> SagaRun:
    """All was undone and the run had ended when the stock said that it was updated."""
    story = _undone_in_doubt(now, "48246").do(PAY, phase=COMPENSATION).tell(m.RunCompensated())
    return _late(story, STOCK, is_hanging=True).save()


def terminated_in_doubt(now: datetime) -> SagaRun:
    """Terminated while the probe was asked."""
    story = _lost(now, 40, "48247").start(STOCK, Phase.PROBE, after_s=0.0)
    story.order(Verb.TERMINATE, reason=NO_CARRIER)
    said: dict[str, Any] = {"step": STOCK, "code": "terminated", "message": "The run was terminated."}
    story.tell(m.AttemptEnded(**said, phase=Phase.PROBE, number=1, outcome=UNKNOWN, is_counted=False))
    story.tell(m.StepInDoubt(**said))
    return story.tell(m.RunTerminated(by="alice", message=NO_CARRIER)).save()


DOUBTFUL = (
    probing,
    asked_again,
    draining_with_a_probe,
    never_happened,
    settled_late,
    hanging,
    hung,
    terminated_in_doubt,
)
