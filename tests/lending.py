"""Runs that wait, or have waited: a car is lent once an hour has passed, a deposit came and somebody agreed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sagas.core import messages as m
from sagas.core.vocabulary import Verb, WaitingFor
from sagas.models import SagaRun
from tests.story import COMPENSATION, LEND_CAR, REJECTED, Story, patient

RESERVE, COOL_OFF, DEPOSIT, AGREE = "reserve", "cool_off", "deposit", "agree"
ENDLESS = patient(LEND_CAR, "lend-car-endless", deposit={"wait_for": {"signal": "deposit_paid"}})
LENIENT = patient(
    LEND_CAR,
    "lend-car-lenient",
    deposit={"wait_for": {"signal": "deposit_paid", "timeout": "2d", "on_timeout": "continue"}},
)
TEAM = patient(LEND_CAR, "lend-car-team", agree={"approval": {"group": "front desk"}})


def sleeping(now: datetime) -> SagaRun:
    """The hour of cooling off ends in 42 s."""
    started_at = now - timedelta(seconds=3600.6 - 42)
    return Story(started_at, LEND_CAR, key="48240").do(RESERVE).wait(COOL_OFF, WaitingFor.TIMER, 3600).save()


def waiting_for_signal(now: datetime) -> SagaRun:
    """The deposit has two days, and came not yet."""
    return _rested(now, "48241").wait(DEPOSIT, WaitingFor.SIGNAL, 2 * 86_400, signal="deposit_paid").save()


def waiting_for_ever(now: datetime) -> SagaRun:
    """The deposit may take as long as it takes."""
    return _rested(now, "48242", ENDLESS).wait(DEPOSIT, WaitingFor.SIGNAL, signal="deposit_paid").save()


def asking_for_approval(now: datetime) -> SagaRun:
    """An operator may say yes or no, within a day; a second deposit is kept."""
    return _asked(now, "48243").save()


def asking_a_group(now: datetime) -> SagaRun:
    """The people of the front desk may say yes or no, whenever they like."""
    story = _paid(now, "48244", TEAM)
    return story.wait(AGREE, WaitingFor.APPROVAL, group="front desk", prompt="Agree?").save()


def approved(now: datetime) -> SagaRun:
    """Alice said yes, and the car is handed over."""
    story = _asked(now, "48245").order(Verb.APPROVE, AGREE, reason="she is a good driver")
    output = {"approved_by": "alice", "comment": "she is a good driver"}
    story.tell(m.WaitEnded(step=AGREE, output=output, by="alice")).do("hand_over")
    return story.tell(m.RunCompleted()).save()


def declined(now: datetime) -> SagaRun:
    """Alice said no, and the reservation was taken back."""
    story = _asked(now, "48246").order(Verb.APPROVE, AGREE, reason="no licence")
    story.give_up_waiting(AGREE, "declined", "alice said no: no licence", REJECTED)
    return story.turned(RESERVE).do(RESERVE, phase=COMPENSATION).tell(m.RunCompensated()).save()


def timed_out(now: datetime) -> SagaRun:
    """No deposit came within two days, and the reservation was taken back."""
    story = _rested(now - timedelta(days=2), "48247")
    story.wait(DEPOSIT, WaitingFor.SIGNAL, 2 * 86_400, signal="deposit_paid")
    story.at_s += 2 * 86_400
    story.give_up_waiting(DEPOSIT, "timed_out", "No signal came in time.")
    return story.turned(RESERVE).do(RESERVE, phase=COMPENSATION).tell(m.RunCompensated()).save()


def went_on_without(now: datetime) -> SagaRun:
    """No deposit came within two days, and the saga goes on without it."""
    story = _rested(now - timedelta(days=2), "48248", LENIENT)
    story.wait(DEPOSIT, WaitingFor.SIGNAL, 2 * 86_400, signal="deposit_paid")
    story.tell(m.StepSkipped(step=DEPOSIT, cause="timed_out"), 2 * 86_400)
    story.wait(AGREE, WaitingFor.APPROVAL, 86_400, group="operator", prompt="Lend it to 48248?")
    story.order(Verb.APPROVE, AGREE).tell(m.WaitEnded(step=AGREE, output={"approved_by": "alice"}, by="alice"))
    return story.do("hand_over").tell(m.RunCompleted()).save()


def cancelled_while_waiting(now: datetime) -> SagaRun:
    """A cancel ended the wait for the deposit, and the reservation was taken back."""
    story = _rested(now, "48249").wait(DEPOSIT, WaitingFor.SIGNAL, 2 * 86_400, signal="deposit_paid")
    story.order(Verb.CANCEL, by="ana").turn(cause="cancel", by="ana").tell(m.StepSkipped(step=DEPOSIT, cause="turn"))
    return story.turned(RESERVE).do(RESERVE, phase=COMPENSATION).tell(m.RunCompensated()).save()


def _rested(now: datetime, key: str, document: dict[str, Any] = LEND_CAR) -> Story:
    """Tell a run until its hour of cooling off is over, ten minutes ago."""
    story = Story(now - timedelta(seconds=4200), document, key=key).do(RESERVE).wait(COOL_OFF, WaitingFor.TIMER, 3600)
    return story.tell(m.WaitEnded(step=COOL_OFF), 3600)


def _paid(now: datetime, key: str, document: dict[str, Any] = LEND_CAR) -> Story:
    """Tell a run until the deposit was paid twice: one signal ended the wait, the other is kept."""
    story = _rested(now, key, document).wait(DEPOSIT, WaitingFor.SIGNAL, 2 * 86_400, signal="deposit_paid")
    for number in (1, 2):
        story.order(Verb.SIGNAL, by="token:bank")
        story.tell(m.SignalReceived(name="deposit_paid", payload={"cents": 20_000 + number}, by="token:bank"))
        if number == 1:
            story.tell(m.WaitEnded(step=DEPOSIT, output={"cents": 20_001}, by="token:bank"))
    return story


def _asked(now: datetime, key: str) -> Story:
    story = _paid(now, key)
    return story.wait(AGREE, WaitingFor.APPROVAL, 86_400, group="operator", prompt=f"Lend it to {key}?")
