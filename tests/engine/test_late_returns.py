"""Who hears a thread that comes back: whoever waits, and else, once, the inbox of the run."""

from __future__ import annotations

import asyncio
import threading
from uuid import uuid4

import pytest
from django.db import OperationalError

from sagas.core.outcome import Error, Failed, Succeeded, Unknown
from sagas.core.redaction import NOTHING
from sagas.core.vocabulary import INTERNAL, NO_ITEM, AttemptKey, Phase, Verb
from sagas.engine import late, stored
from sagas.engine.commands import start_run
from sagas.engine.orders import allowed_orders, give_order
from sagas.engine.perform import Performer
from sagas.models import Order
from sagas.participants.base import Call
from tests.engine.stored_run import fetch

ATTEMPT = AttemptKey("pay", NO_ITEM, Phase.ACTION, 1)


def test_no_face_can_give_a_report(saga):
    run = start_run(saga(), {}).run
    assert Verb.REPORT in INTERNAL
    with pytest.raises(ValueError, match="report"):
        give_order(run.id, Verb.REPORT, by="alice")
    assert Verb.REPORT not in allowed_orders(fetch(run))


@pytest.mark.parametrize("attempt", [ATTEMPT, ATTEMPT._replace(phase=Phase.PROBE)])
def test_only_what_is_definite_and_of_no_probe_is_told(saga, attempt):
    run = start_run(saga(), {}).run
    late.tell(run.id, attempt, 1, NOTHING, Unknown(Error("exception", "broke")))
    late.tell(run.id, ATTEMPT._replace(phase=Phase.PROBE), 1, NOTHING, Succeeded())
    late.tell(uuid4(), ATTEMPT, 1, NOTHING, Succeeded())
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "outcome",
    [
        Succeeded({"deep": [1, None, "ü"]}),
        Failed(Error("no_effect", "not reached", {"host": "a"})),
    ],
)
def test_a_report_reads_back_as_it_was_told(saga, outcome):
    run = start_run(saga(), {}).run
    late.tell(run.id, ATTEMPT._replace(item=3), 2, NOTHING, outcome)
    (row,) = Order.objects.all()
    assert (row.verb, row.by, row.number) == ("report", "try 1 of pay[3]", 1)
    told = stored.as_command(row, row.at).late
    assert (told.attempt, told.edition, told.outcome) == (ATTEMPT._replace(item=3), 2, outcome)


@pytest.mark.parametrize(("failures", "arrives"), [(2, True), (3, False)])
def test_a_database_that_is_away_for_a_moment_costs_no_report(saga, monkeypatch, caplog, failures, arrives):
    run, put, tries = start_run(saga(), {}).run, late._put, []
    monkeypatch.setattr(late, "PAUSE_S", 0.0)

    def away(*arguments):
        tries.append(1)
        if len(tries) <= failures:
            raise OperationalError("away")
        put(*arguments)

    monkeypatch.setattr(late, "_put", away)
    late.tell(run.id, ATTEMPT, 1, NOTHING, Succeeded())
    assert Order.objects.exists() is arrives
    assert ("is lost" in caplog.text) is not arrives


# ---- the thread and the loop ------------------------------------------------------


class Held:
    """An executor whose work is done when the test says so."""

    def __init__(self, size, name, initializer):
        self.work = []

    def submit(self, function, *arguments):
        self.work.append((function, arguments))

    def do(self):
        """Do the next piece of work in a thread, while the loop stands still."""
        function, arguments = self.work.pop(0)
        thread = threading.Thread(target=function, args=arguments)
        thread.start()
        thread.join()


async def _perform(told):
    """Begin an attempt whose thread is held; return the performer and the waiting task."""
    performer = Performer(Held)
    call = Call(
        run_id="r", saga="s", step="pay", phase=Phase.ACTION, attempt=1, idempotency_key="r:pay:action",
        arguments={}, timeout_s=30.0,
    )  # fmt: skip
    waiting = asyncio.ensure_future(performer.perform("engine.plain", call, lambda: None, told.append))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return performer, waiting


async def test_a_return_in_the_moment_in_which_the_run_is_given_up_is_told():
    told = []
    performer, waiting = await _perform(told)
    performer._plain.executor.do()  # comes back, which the loop has yet to see
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    performer._plain.executor.do()
    assert [outcome.kind for outcome in told] == ["succeeded"]


async def test_a_return_after_the_run_was_given_up_is_told_once():
    told = []
    performer, waiting = await _perform(told)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    performer._plain.executor.do()
    await asyncio.sleep(0)
    assert [outcome.kind for outcome in told] == ["succeeded"]
    assert performer._plain.executor.work == []


async def test_a_return_in_time_is_the_outcome_and_is_not_told():
    told = []
    performer, waiting = await _perform(told)
    performer._plain.executor.do()
    assert (await waiting).kind == "succeeded"
    assert told == []


def test_a_return_in_time_to_a_loop_that_is_gone_is_told():
    told = []
    loop = asyncio.new_event_loop()
    performer, waiting = loop.run_until_complete(_perform(told))
    loop.close()
    waiting._log_destroy_pending = False
    performer._plain.executor.do()
    assert [outcome.kind for outcome in told] == ["succeeded"]
