"""A barrier lets an action happen once, undoes only what happened, and refuses what comes after its undo."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from sagas import NoEffect, Rejected
from sagas.barrier.models import Mark
from sagas.core.vocabulary import Phase
from sagas.participants import barrier
from sagas.participants.base import Call
from tests.participants.deliveries import action, compensation, fill, put_back, take, taken

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shelf():
    fill()


def call(phase: Phase, *, action_key: str = "", outcome: str = "") -> Call:
    return Call(
        run_id="0192",
        saga="order",
        step="stock",
        phase=phase,
        attempt=1,
        idempotency_key=f"0192:stock:{phase}",
        arguments={},
        timeout_s=5.0,
        action_key=action_key,
        outcome=outcome,
    )


# ---- once -------------------------------------------------------------------


def test_a_repeated_action_is_done_once_and_answered_alike():
    answers = [barrier.run(action(), take) for _ in range(3)]
    assert answers == [{"left": 99}] * 3
    assert taken() == 1


def test_a_repeated_compensation_undoes_once_and_is_answered_alike():
    barrier.run(action(), take)
    answers = [barrier.run(compensation(), put_back) for _ in range(3)]
    assert answers == [{"left": 100}] * 3
    assert taken() == 0


def test_another_edition_of_a_compensation_does_not_undo_again():
    barrier.run(action(), take)
    barrier.run(compensation(), put_back)
    assert barrier.run(compensation(key="0192:stock:compensation#2"), put_back) == {"left": 100}
    assert taken() == 0
    assert Mark.objects.get().compensation_key == "0192:stock:compensation"


def test_another_edition_of_an_action_is_another_action():
    barrier.run(action(), take)
    barrier.run(action("0192:stock:action#2"), take)
    assert taken() == 2


def test_a_call_of_the_engine_is_a_delivery():
    for _ in range(2):
        barrier.run(call(Phase.ACTION), take)
    assert taken() == 1
    for _ in range(2):
        barrier.run(call(Phase.COMPENSATION, action_key="0192:stock:action", outcome="succeeded"), put_back)
    assert taken() == 0


def test_a_block_is_told_whether_the_work_is_its_own():
    for is_mine in (True, False):
        with barrier.once(action()) as turn:
            assert turn.is_mine is is_mine
            if turn.is_mine:
                turn.output = take()
        assert turn.output == {"left": 99}
    assert taken() == 1


def test_what_a_repeat_sets_as_its_output_changes_nothing():
    barrier.run(action(), take)
    with barrier.once(action()) as turn:
        turn.output = "mine"
    assert barrier.run(action(), take) == {"left": 99}


# ---- undone before it was done ----------------------------------------------


@pytest.mark.parametrize("outcome", ["unknown", ""])
def test_what_never_happened_is_undone_by_doing_nothing(outcome):
    for _ in range(2):
        assert barrier.run(compensation(outcome=outcome), put_back) is None
    assert taken() == 0


def test_an_action_that_comes_after_its_empty_compensation_is_refused():
    barrier.run(compensation(), put_back)
    for _ in range(2):
        with pytest.raises(Rejected) as refused:
            barrier.run(action(), take)
        assert refused.value.code == barrier.COMPENSATED_ALREADY == "compensated_already"
    assert taken() == 0


def test_a_repeat_of_an_action_that_was_undone_is_refused_too():
    """If it said *succeeded*, the run would be shown as hanging."""
    barrier.run(action(), take)
    barrier.run(compensation(), put_back)
    with pytest.raises(Rejected):
        barrier.run(action(), take)
    assert taken() == 0


def test_an_action_known_to_have_succeeded_does_not_pass_as_undone_when_no_mark_is_found():
    """Purged, in another database, or done before there was a barrier: saying *undone* would be a lie."""
    with pytest.raises(Rejected) as refused:
        barrier.run(compensation(outcome="succeeded"), put_back)
    assert refused.value.code == barrier.ACTION_NOT_FOUND
    assert not Mark.objects.exists()


# ---- what goes wrong leaves nothing -----------------------------------------


@pytest.mark.parametrize("error", [Rejected("no"), NoEffect("busy"), RuntimeError("broke"), SystemExit(1)])
def test_a_function_that_raises_has_changed_nothing_and_runs_again(error):
    def break_down() -> None:
        take()
        raise error

    with pytest.raises(type(error)):
        barrier.run(action(), break_down)
    assert taken() == 0
    assert not Mark.objects.exists()
    with pytest.raises(type(error)):
        barrier.run(action(), break_down)
    barrier.run(action(), take)
    assert taken() == 1


def test_a_compensation_that_raises_is_done_by_the_next_one():
    def break_down() -> None:
        put_back()
        raise RuntimeError

    barrier.run(action(), take)
    with pytest.raises(RuntimeError):
        barrier.run(compensation(), break_down)
    assert taken() == 1
    barrier.run(compensation(), put_back)
    assert taken() == 0


def test_a_transaction_that_is_doomed_is_not_called_a_success():
    def doom() -> None:
        take()
        transaction.set_rollback(True)

    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        barrier.run(action(), doom)
    assert taken() == 0


def test_the_mark_shares_the_fate_of_the_callers_transaction():
    with pytest.raises(RuntimeError), transaction.atomic():
        barrier.run(action(), take)
        raise RuntimeError
    assert taken() == 0
    barrier.run(action(), take)
    assert taken() == 1


@pytest.mark.parametrize(
    "output", [{1, 2}, object(), float("nan"), "lone \ud800", "x" * (256 * 1024)], ids=["set", "object", *"nsx"]
)
def test_an_output_that_cannot_be_remembered_undoes_the_action(output):
    def act() -> object:
        take()
        return output

    with pytest.raises(barrier.OutputInvalidError):
        barrier.run(action(), act)
    assert taken() == 0
    assert not Mark.objects.exists()


@pytest.mark.parametrize(
    "output",
    [None, 0, "", [], {}, "nul \0", 2**70, 0.1, 1e300, {"ö": [1.5, None, True], "a": "\x1b"}, (1, {"b": (2,)})],
)
def test_an_output_is_given_back_as_it_was_the_first_time(output):
    first = barrier.run(action(), lambda: output)
    again = barrier.run(action(), take)
    assert repr(first) == repr(again)
    assert taken() == 0


# ---- who may pass -----------------------------------------------------------


@pytest.mark.parametrize(
    "delivery",
    [
        barrier.Delivery(idempotency_key=""),
        barrier.Delivery(idempotency_key="x" * 256),
        barrier.Delivery(idempotency_key="a\0b"),
        barrier.Delivery(idempotency_key="a\ud800"),
        barrier.Delivery(idempotency_key="a", phase="probe", action_key="b"),
        barrier.Delivery(idempotency_key="a", phase="undo", action_key="b"),
        barrier.Delivery(idempotency_key="a", phase="", action_key="b"),
        barrier.Delivery(idempotency_key="a", phase="compensation"),
    ],
)
def test_a_delivery_that_does_not_say_what_it_is_is_refused_before_anything_runs(delivery):
    with pytest.raises(barrier.CallInvalidError):
        barrier.run(delivery, take)
    assert taken() == 0


def test_the_headers_of_a_request_are_a_delivery():
    key, undo = "0192:stock:action", "0192:stock:compensation"
    assert barrier.from_headers({"Idempotency-Key": key, "Saga-Phase": "action"}) == action()
    assert barrier.from_headers({"Idempotency-Key": key}) == action()
    by_us = {"Idempotency-Key": undo, "Saga-Phase": "compensation", "Saga-Action-Key": key}
    assert barrier.from_headers(by_us) == compensation()
    del by_us["Saga-Phase"]
    assert barrier.from_headers(by_us) == compensation()
    with pytest.raises(barrier.CallInvalidError):
        barrier.run(barrier.from_headers({}), take)


# ---- the table --------------------------------------------------------------


@pytest.mark.parametrize(
    "nonsense",
    [
        {"action_output": "1"},
        {"action_at": timezone.now()},
        {"compensated_at": timezone.now(), "compensation_output": "null"},
        {"compensation_key": "a", "compensation_output": "null"},
    ],
)
def test_the_table_refuses_nonsense(nonsense):
    with pytest.raises(IntegrityError), transaction.atomic():
        Mark.objects.create(key="a", changed_at=timezone.now(), **nonsense)


def test_old_marks_are_purged_oldest_first_and_not_more_than_asked():
    for number in range(5):
        barrier.run(action(f"old-{number}"), lambda: None)
        Mark.objects.filter(key=f"old-{number}").update(changed_at=timezone.now() - timedelta(days=40 - number))
    barrier.run(action("new"), lambda: None)
    assert barrier.purge(timedelta(days=30), rows_max=2) == 2
    assert set(Mark.objects.values_list("key", flat=True)) == {"old-2", "old-3", "old-4", "new"}
    assert [barrier.purge(timedelta(days=30)) for _ in range(2)] == [3, 0]
    assert Mark.objects.get().key == "new"
    with pytest.raises(ValueError, match="positive"):
        barrier.purge(timedelta(0))


def test_a_compensation_makes_a_mark_young_again():
    barrier.run(action(), take)
    Mark.objects.update(changed_at=timezone.now() - timedelta(days=40))
    barrier.run(compensation(), put_back)
    assert barrier.purge(timedelta(days=30)) == 0


def test_what_was_purged_is_guarded_no_more():
    """The caveat of `purge`, as it is documented."""
    barrier.run(action(), take)
    Mark.objects.update(changed_at=timezone.now() - timedelta(days=40))
    barrier.purge(timedelta(days=30))
    barrier.run(action(), take)
    assert taken() == 2


@pytest.mark.django_db(transaction=True)
def test_a_mark_that_cannot_be_written_undoes_the_action(monkeypatch):
    def lose(*_args, **_options) -> None:
        raise DatabaseError

    with monkeypatch.context() as broken, pytest.raises(DatabaseError):
        broken.setattr(Mark, "save", lose)
        barrier.run(action(), take)
    assert taken() == 0
    assert not connection.in_atomic_block
