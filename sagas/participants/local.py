"""How a Python action is carried out: whatever it does, the answer is an `Outcome`."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from sagas.core.limits import JSON_DEPTH_MAX, PAYLOAD_BYTES_MAX
from sagas.core.outcome import ACTION_NOT_REGISTERED, TIMED_OUT, Error, Failed, Outcome, Succeeded, Unknown
from sagas.core.outcome import Rejected as RejectedOutcome
from sagas.core.problem import check_payload, one_line
from sagas.core.vocabulary import Phase
from sagas.participants.base import NoEffect, NotDone, Rejected
from sagas.participants.errors import CommitUncertainError, NotAwaitedError

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Iterator

    from sagas.core.vocabulary import Json
    from sagas.participants.base import Call
    from sagas.participants.registry import Action

logger = logging.getLogger(__name__)

CODE_CHARACTERS_MAX = 64

CODE_AWAITED_S = 10.0  # until the next try: in a deployment, workers with the action come while those without it go

EXCEPTION = "exception"
BAD_ARGUMENTS = "bad_arguments"
BAD_OUTPUT = "bad_output"
REPLY_TOO_LARGE = "reply_too_large"
NOT_AWAITED = "not_awaited"
TRANSACTION_LEFT_OPEN = "transaction_left_open"


class _OutputError(Exception):
    """What the action returned cannot be stored."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _OpenTransactionError(Exception):
    """The action came back inside a transaction that it had begun."""


def not_registered(name: str) -> Failed:
    """Return the outcome of a call to an action this worker does not have; another one may, so that is waited for."""
    message = f"No installed app registers the action {name!r}."
    return Failed(Error(ACTION_NOT_REGISTERED, message), retry_after_s=CODE_AWAITED_S)


async def perform_async(action: Action, call: Call) -> Outcome:
    """Await an `async def` action, for `call.timeout_s` seconds at most; then the outcome is unknown.

    Raises:
        asyncio.CancelledError: the pump itself cancelled the attempt.
    """
    bound = _bind(action, call)
    if isinstance(bound, Failed):
        return bound

    async def work() -> Outcome:
        try:
            return Succeeded(checked_output(await action.function(*bound.args, **bound.kwargs)))
        except BaseException as error:  # noqa: BLE001 - an action's sys.exit() must not end the pump
            if _comes_from_a_database(error):
                await sync_to_async(_replace_broken_connections)()  # in the thread that such actions share
            return _outcome_of(action, call, error)

    working = asyncio.create_task(work())
    try:
        done, _ = await asyncio.wait({working}, timeout=call.timeout_s)
    finally:
        working.cancel()  # it may refuse to end; nobody waits for it
    return working.result() if done else Unknown(Error(TIMED_OUT, f"No answer within {call.timeout_s:g} s."))


def perform_plain(action: Action, call: Call) -> Outcome:
    """Call a plain action in the thread this runs in. The time-out is the caller's: a thread cannot be stopped."""
    bound = _bind(action, call)
    if isinstance(bound, Failed):
        return bound
    try:
        with _clean_connections():
            return Succeeded(checked_output(action.function(*bound.args, **bound.kwargs)))
    except BaseException as error:  # noqa: BLE001 - an action's sys.exit() must not end the pump's thread
        return _outcome_of(action, call, error)


def perform_atomic(action: Action, call: Call, commit: Callable[[Succeeded], None]) -> Outcome | None:
    """Run an atomic action and write down its success, both in one transaction.

    Args:
        action: a plain function registered with `atomic=True`.
        call: the attempt.
        commit: appends the outcome to the journal, fenced; called inside the
            transaction, as its last act. Raises `NotAwaitedError` to undo all.

    Returns:
        None when effects and entry are committed; else the outcome, and nothing was changed.

    Raises:
        CommitUncertainError: the connection was lost in COMMIT.
    """
    bound = _bind(action, call)
    if isinstance(bound, Failed):
        return bound
    is_written, is_committed = False, False

    def note() -> None:
        nonlocal is_committed
        is_committed = True

    try:
        with _clean_connections(), transaction.atomic(durable=True):
            depth = len(transaction.get_connection().atomic_blocks)
            transaction.on_commit(note)  # runs before any hook of the action, which may raise
            output = checked_output(action.function(*bound.args, **bound.kwargs))
            if len(transaction.get_connection().atomic_blocks) != depth:
                raise _OpenTransactionError
            commit(Succeeded(output))
            is_written = True
    except BaseException as error:  # an action's sys.exit() must not end the pump's thread
        if is_committed:
            shown = None if call.is_redacted else error
            logger.warning("A hook of %s failed after its commit", call.idempotency_key, exc_info=shown)
            return None
        if is_written and isinstance(error, (OperationalError, InterfaceError)):
            message = f"The connection was lost in the commit of {call.idempotency_key}."
            raise CommitUncertainError(message) from error
        return _outcome_of(action, call, error)
    return None


def checked_output(value: object) -> Json:
    """Return `value` as plain JSON that both databases store alike.

    Raises:
        _OutputError: not JSON, too deep, too large, or text with NUL or lone surrogates.
    """
    if value is None:
        return None
    _check_shape(value)
    try:
        output = json.loads(json.dumps(value, ensure_ascii=False))  # makes lists of tuples
    except (TypeError, ValueError) as error:
        raise _OutputError(BAD_OUTPUT, f"The output is not JSON: {error}.") from error
    problems = check_payload(output)
    if problems:
        first = problems[0]
        place = f" at {first.path}" if first.path else ""
        code = REPLY_TOO_LARGE if first.code == "too_large" else BAD_OUTPUT
        raise _OutputError(code, f"The output cannot be kept{place}. {first.message}")
    return output


def _check_shape(value: object) -> None:
    """Refuse what `json.dumps` would take but change, keys that are not text; and endless depth or sharing."""
    level = [value]
    count = 0
    for _ in range(JSON_DEPTH_MAX):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                if not all(isinstance(key, str) for key in item):
                    raise _OutputError(BAD_OUTPUT, "The output is not JSON: a key of an object is not text.")
                below.extend(item.values())
            elif isinstance(item, (list, tuple)):
                below.extend(item)
        if not below:
            return
        count += len(below)
        if count > PAYLOAD_BYTES_MAX:  # each takes a byte at least; without this, a list of itself twice has no end
            raise _OutputError(REPLY_TOO_LARGE, f"Reply too large: more than {PAYLOAD_BYTES_MAX:,} values.")
        level = below
    if any(isinstance(item, (dict, list, tuple)) for item in level):
        raise _OutputError(BAD_OUTPUT, f"The output is nested deeper than {JSON_DEPTH_MAX} levels.")


def _bind(action: Action, call: Call) -> inspect.BoundArguments | Failed:
    """Fit the arguments to the function's parameters before anything of it runs: a misfit has no effect."""
    try:
        if isinstance(call.arguments, dict):
            return action.signature.bind(call, **call.arguments)
        return action.signature.bind(call, *(() if call.arguments is None else (call.arguments,)))
    except TypeError as error:
        message = one_line(f"{action.name} cannot be called so: {error}.")
        return Failed(Error(BAD_ARGUMENTS, message), is_retriable=False)


def _outcome_of(action: Action, call: Call, error: BaseException) -> Outcome:
    """Return what an exception says about the attempt (docs/guarantees.md, the four outcomes)."""
    match error:
        case Rejected():
            return RejectedOutcome(_stated(error))
        case NoEffect():
            return Failed(_stated(error))
        case NotDone() if call.phase is Phase.PROBE:
            return Failed(_stated(error), settles=True)
        case NotAwaitedError():
            return Failed(Error(NOT_AWAITED, "Nobody awaits this attempt any more; rolled back."), is_counted=False)
    _log(action, call, error)
    match error:
        case _OutputError():
            reason = Error(error.code, one_line(str(error)))
        case _OpenTransactionError():
            reason = Error(TRANSACTION_LEFT_OPEN, "The action left a transaction open; rolled back.")
        case _:
            reason = Error(EXCEPTION, one_line(f"{type(error).__name__}: {_text(error)}"))
    return Failed(reason) if action.is_atomic or action.reads_only else Unknown(reason)


def _log(action: Action, call: Call, error: BaseException) -> None:
    """Write a failure down; of a step with redacted values only of which kind it is, since its text may tell one."""
    place = (action.name, call.idempotency_key, call.attempt, type(error).__name__)
    logger.warning("%s failed in %s attempt %d: %s", *place, exc_info=None if call.is_redacted else error)


def _stated(error: Rejected | NoEffect | NotDone) -> Error:
    try:
        details = checked_output(error.details)
    except _OutputError:
        logger.warning("The details of a %s are left out: not JSON, or too large", type(error).__name__)
        details = None
    return Error(one_line(str(error.code))[:CODE_CHARACTERS_MAX], one_line(_text(error)), details)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is
        return "(no message)"


@contextmanager
def _clean_connections() -> Iterator[None]:
    """Begin on usable connections of this thread and leave none in a transaction.

    Connections are kept between calls; one that broke is replaced.

    Raises:
        _OpenTransactionError: the body ended well but had left a transaction open; it is rolled back.
    """
    before = {connection.alias: len(connection.atomic_blocks) for connection in _opened()}
    _replace_broken_connections()
    is_left_open = False
    try:
        yield
    finally:
        for connection in _opened():
            is_left_open |= _end_transactions(connection, before.get(connection.alias, 0))
    if is_left_open:
        raise _OpenTransactionError


def _replace_broken_connections() -> None:
    """Close those of this thread that can be used no more; whoever needs one next gets a new one."""
    for connection in _opened():
        if connection.errors_occurred:  # not "obsolete": the web's limit on a connection's age is not the pump's
            connection.close_if_unusable_or_obsolete()


def _comes_from_a_database(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, DatabaseError | InterfaceError):
        error = error.__cause__ or error.__context__
    return error is not None


def _opened() -> list[Any]:
    return [connection for connection in connections.all(initialized_only=True) if connection.connection is not None]


def _end_transactions(connection: Any, depth: int) -> bool:
    """Roll back what is open above `depth` nested blocks; return whether anything was."""
    is_open = len(connection.atomic_blocks) > depth
    try:
        while len(connection.atomic_blocks) > depth:
            connection.set_rollback(True)
            connection.atomic_blocks[-1].__exit__(None, None, None)
        if not depth and not connection.autocommit:
            is_open = True
            connection.rollback()
            connection.set_autocommit(True)
    except DatabaseError:
        connection.close()
    return is_open
