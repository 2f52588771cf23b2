"""Whatever a Python action does, the answer is one of the four outcomes."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction

from sagas import NoEffect, Rejected
from sagas.core import outcome
from sagas.core.outcome import Failed, Succeeded, Unknown
from sagas.core.vocabulary import Phase
from sagas.participants import local, registry
from sagas.participants.base import Call
from sagas.participants.errors import CommitUncertainError, NotAwaitedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sagas.core.vocabulary import Json
    from sagas.participants.registry import Action

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_actions", {})
    monkeypatch.setattr(registry, "_is_discovered", True)
    logging.getLogger("sagas.participants.local").disabled = True
    yield
    logging.getLogger("sagas.participants.local").disabled = False


def registered(function: Callable[..., Any], *, atomic: bool = False, reads_only: bool = False) -> Action:
    registry._actions.clear()
    registry.action("test.it", atomic=atomic, reads_only=reads_only)(function)
    found = registry.find("test.it")
    assert found is not None
    return found


def call(arguments: Json = None, *, timeout_s: float = 5.0) -> Call:
    return Call(
        run_id="0192",
        saga="create-order",
        step="pay",
        phase=Phase.ACTION,
        attempt=1,
        idempotency_key="0192:pay:action",
        arguments={} if arguments is None else arguments,
        timeout_s=timeout_s,
    )


def raising(error: BaseException) -> Callable[[Call], Any]:
    def act(call: Call) -> None:
        raise error

    return act


def returning(value: object) -> Callable[[Call], object]:
    return lambda call: value  # noqa: ARG005 - the shape of an action


def answer(act: Callable[..., Any], **flags: bool) -> Any:
    return local.perform_plain(registered(act, **flags), call())


# ---- plain ------------------------------------------------------------------


def test_what_a_plain_action_returns_is_its_output() -> None:
    def pay(call: Call, amount: int) -> dict[str, Any]:
        return {"paid": amount, "key": call.idempotency_key, "parts": (1, 2)}

    assert local.perform_plain(registered(pay), call({"amount": 7})) == Succeeded(
        {"paid": 7, "key": "0192:pay:action", "parts": [1, 2]}
    )


def test_rejected_is_an_explicit_refusal_with_its_code_and_details() -> None:
    said = answer(raising(Rejected("no stock", code="no_stock", details={"sku": "tea"})))
    assert said == outcome.Rejected(outcome.Error("no_stock", "no stock", {"sku": "tea"}))
    assert said.is_explicit


def test_no_effect_is_a_failure_that_may_be_tried_again() -> None:
    said = answer(raising(NoEffect("till is closed")))
    assert said == Failed(outcome.Error("no_effect", "till is closed"))
    assert said.is_retriable


def test_any_other_exception_of_a_plain_action_leaves_the_outcome_unknown() -> None:
    assert answer(raising(ValueError("odd"))) == Unknown(outcome.Error("exception", "ValueError: odd"))


def test_an_action_that_only_reads_can_only_fail() -> None:
    assert isinstance(answer(raising(ValueError("odd")), reads_only=True), Failed)
    assert isinstance(answer(returning({1}), reads_only=True), Failed)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_an_action_that_tries_to_end_the_process_is_an_unknown_outcome(error: BaseException) -> None:
    assert isinstance(answer(raising(error)), Unknown)


def test_wrong_arguments_are_a_definite_failure_and_nothing_runs() -> None:
    ran = []

    def pay(call: Call, amount: int) -> None:
        ran.append(amount)

    for arguments in ({}, {"amount": 1, "tip": 2}, {"amount": 1, "call": 2}, [1, 2]):
        said = local.perform_plain(registered(pay), call(arguments))
        if arguments != [1, 2]:
            assert isinstance(said, Failed)
            assert (said.error.code, said.is_retriable) == ("bad_arguments", False)
    assert ran == [[1, 2]], "what is not an object is passed whole"


def test_an_unregistered_name_is_a_failure_that_says_so() -> None:
    assert registry.find("test.nothing") is None
    assert local.not_registered("test.nothing").error.code == "action_not_registered"


# ---- outputs ----------------------------------------------------------------


def nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = [value]
    return value


def looped() -> Json:
    value: list[Any] = []
    value += [value, value]
    return value


@pytest.mark.parametrize(
    "output",
    [
        {1, 2},
        object(),
        {1: "key is not text"},
        float("nan"),
        float("inf"),
        "nul \0",
        {"nul \0": 1},
        "lone \ud800",
        nested(65),
        looped(),
        "x" * (256 * 1024),
        [0] * (256 * 1024),
        10**5_000,
    ],
    ids=range(13),
)
def test_an_output_that_cannot_be_stored_is_refused(output: object) -> None:
    assert isinstance(answer(returning(output)), Unknown), "a plain action has done its work by then"
    assert isinstance(answer(returning(output), reads_only=True), Failed)


@pytest.mark.parametrize(
    "output", [None, 0, "", [], {}, "\\u0000", "x" * 262_142, nested(64), {"ö": [1.5, None, True]}]
)
def test_an_output_that_can_be_stored_is_kept_as_it_is(output: Json) -> None:
    assert answer(returning(output)) == Succeeded(output)


def test_a_message_is_bounded_and_holds_nothing_that_a_database_refuses() -> None:
    said = answer(raising(ValueError("a\0b\x1b[31m\ud800" + "x" * 5_000)))
    assert said.error.message.startswith("ValueError: a b [31m x")
    assert len(said.error.message) <= 1_000
    said.error.message.encode()


def test_an_exception_that_cannot_say_what_it_is_has_no_message() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert answer(raising(MuteError())).error.message == "MuteError: (no message)"


def test_details_that_cannot_be_stored_are_left_out() -> None:
    assert answer(raising(Rejected("no", details={1, 2}))).error == outcome.Error("rejected", "no")


# ---- async ------------------------------------------------------------------


async def test_an_async_action_is_awaited() -> None:
    async def quote(call: Call, amount: int) -> int:
        await asyncio.sleep(0)
        return amount + 1

    assert await local.perform_async(registered(quote), call({"amount": 1})) == Succeeded(2)


async def test_an_async_action_that_takes_too_long_is_unknown() -> None:
    async def hang(call: Call) -> None:
        await asyncio.Event().wait()

    said = await local.perform_async(registered(hang), call(timeout_s=0.001))
    assert isinstance(said, Unknown)
    assert said.error.code == "timed_out"


async def test_a_time_out_of_the_actions_own_is_its_own_exception() -> None:
    async def odd(call: Call) -> None:
        raise TimeoutError

    said = await local.perform_async(registered(odd), call())
    assert isinstance(said, Unknown)
    assert said.error.code == "exception"


async def test_an_async_action_that_raises_anything_leaves_the_loop_alive() -> None:
    for error in (ValueError("odd"), SystemExit(1), asyncio.CancelledError()):

        async def odd(call: Call, error: BaseException = error) -> None:
            raise error

        assert isinstance(await local.perform_async(registered(odd), call()), Unknown)


async def test_a_pump_that_cancels_an_attempt_is_obeyed() -> None:
    begun = asyncio.Event()

    async def hang(call: Call) -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(local.perform_async(registered(hang), call()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ---- atomic, on a real database ---------------------------------------------


def write_a_group(call: Call) -> str:
    Group.objects.create(name="effect")
    return "done"


def effects() -> int:
    return Group.objects.filter(name__in=("effect", "entry")).count()


def write_an_entry(succeeded: Succeeded) -> None:
    assert transaction.get_connection().in_atomic_block
    assert succeeded == Succeeded("done")
    Group.objects.create(name="entry")


def refuse(succeeded: Succeeded) -> None:
    write_an_entry(succeeded)
    raise NotAwaitedError


def test_an_atomic_action_commits_its_effects_with_its_entry() -> None:
    assert local.perform_atomic(registered(write_a_group, atomic=True), call(), write_an_entry) is None
    assert effects() == 2


def test_an_atomic_action_that_is_no_longer_awaited_leaves_no_trace() -> None:
    said = local.perform_atomic(registered(write_a_group, atomic=True), call(), refuse)
    assert isinstance(said, Failed)
    assert not said.is_counted
    assert effects() == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("odd"), Failed),
        (NoEffect("closed"), Failed),
        (Rejected("no"), outcome.Rejected),
        (SystemExit(1), Failed),
    ],
)
def test_an_atomic_action_that_raises_has_changed_nothing(error: BaseException, kind: type) -> None:
    def act(call: Call) -> None:
        write_a_group(call)
        raise error

    assert isinstance(local.perform_atomic(registered(act, atomic=True), call(), write_an_entry), kind)
    assert effects() == 0


def test_an_atomic_action_with_an_unusable_output_has_changed_nothing() -> None:
    def act(call: Call) -> set[int]:
        write_a_group(call)
        return {1}

    assert isinstance(local.perform_atomic(registered(act, atomic=True), call(), write_an_entry), Failed)
    assert effects() == 0


def test_a_hook_that_fails_after_the_commit_does_not_undo_the_success() -> None:
    def act(call: Call) -> str:
        transaction.on_commit(lambda: sys.exit(1))
        return write_a_group(call)

    assert local.perform_atomic(registered(act, atomic=True), call(), write_an_entry) is None
    assert effects() == 2


def test_a_connection_lost_in_commit_is_neither_success_nor_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose() -> None:
        message = "server closed the connection"
        raise OperationalError(message)

    monkeypatch.setattr(connection, "_commit", lose)
    with pytest.raises(CommitUncertainError):
        local.perform_atomic(registered(write_a_group, atomic=True), call(), write_an_entry)


def test_a_transaction_left_open_is_rolled_back_and_not_called_a_success() -> None:
    def act(call: Call) -> str:
        transaction.atomic().__enter__()
        return write_a_group(call)

    plain = local.perform_plain(registered(act), call())
    assert isinstance(plain, Unknown)
    assert plain.error.code == "transaction_left_open"
    assert effects() == 0, "the connection is usable again"

    atomic = local.perform_atomic(registered(act, atomic=True), call(), write_an_entry)
    assert isinstance(atomic, Failed)
    assert effects() == 0
