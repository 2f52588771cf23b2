"""The one door to django-q2's queue: what may be put in, and what may come out.

The queue is a doorbell. A message names one of our own callables and carries ids;
it is never the only place where something is known, so losing one costs a moment
and a second delivery costs a look at the database.
"""

from __future__ import annotations

import logging
import pickle
import time
from io import BytesIO
from typing import Any

from django.apps import apps
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone
from django_q import core_signing
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import async_task

log = logging.getLogger(__name__)

PUMP = "sagas.workers.pump_task.pump_shift"
CALLABLES = frozenset({PUMP})
MESSAGE_FIELDS = frozenset({"id", "name", "func", "args", "kwargs", "started", "ack_failure", "cluster"})
ARGUMENT_CHARACTERS_MAX = 100
DATABASE_PAUSE_S = 1.0  # between tries while the database does not answer
_ORDINARY = {("datetime", "datetime"), ("datetime", "timezone"), ("datetime", "timedelta")}


class MessageRefusedError(Exception):
    """A row of the queue is not a message of ours; the text says why."""


def ring_pump(group: str, slot: int) -> None:
    """Ask one worker of `group` to be the pump of `slot` for a shift."""
    async_task(PUMP, group, slot, cluster=group)


def count_waiting(group: str) -> int:
    """Return how many messages of `group` no worker has taken yet."""
    return OrmQ.objects.filter(key=group, lock__lte=timezone.now()).count()


def forget(group: str) -> int:
    """Delete the messages of a worker group that is gone; return how many there were."""
    return OrmQ.objects.filter(key=group).delete()[0]


def hide_admins() -> None:
    """Take django-q2's pages out of the admin.

    They let a person queue any callable and show unsigned pickles, which run when
    they are read. Importing the module first makes its registering happen now, so
    that the admin's own discovery, which comes later, finds nothing left to do.
    """
    if not apps.is_installed("django.contrib.admin"):
        return
    import django_q.admin  # noqa: F401
    from django.contrib import admin

    for model in [model for model in admin.site._registry if model._meta.app_label == "django_q"]:  # noqa: SLF001
        admin.site.unregister(model)


class _OrdinaryValues(pickle.Unpickler):
    """Reads a pickle of plain values and moments; a name of anything else is refused, not imported."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) not in _ORDINARY:
            raise MessageRefusedError(f"it names {module_name}.{global_name}")
        return super().find_class(module_name, global_name)


class _Reader:
    """What `core_signing.loads` calls once the signature has been found good."""

    def loads(self, data: bytes) -> Any:
        return _OrdinaryValues(BytesIO(data)).load()


def check_message(payload: str) -> None:
    """Check one row of the queue before any of it can run.

    Raises:
        MessageRefusedError: unsigned, unreadable, a callable that is not on the
            list, options that run code (hooks, chains), or arguments that are not
            whole numbers and short texts.
    """
    try:
        message = core_signing.loads(payload, key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=_Reader)
    except MessageRefusedError:
        raise
    except Exception as error:  # a forged row may break the reader anywhere
        raise MessageRefusedError(f"{type(error).__name__}: {error}"[:200]) from error
    if not isinstance(message, dict) or not {"id", "name", "func", "args"} <= message.keys():
        raise MessageRefusedError("it is not a task")
    if unknown := message.keys() - MESSAGE_FIELDS:
        raise MessageRefusedError(f"options {sorted(map(str, unknown))} are not used here")
    if not isinstance(message["func"], str) or message["func"] not in CALLABLES:
        raise MessageRefusedError(f"{str(message['func'])[:100]!r} may not be called")
    if message.get("kwargs"):
        raise MessageRefusedError("it has named arguments")
    if not isinstance(message["args"], tuple) or not all(map(_is_id, message["args"])):
        raise MessageRefusedError("its arguments are not ids")


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= ARGUMENT_CHARACTERS_MAX
    return isinstance(value, int) and not isinstance(value, bool)


class Doorbell(ORM):
    """The database queue, with a look at each message before a worker sees it."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:  # noqa: ARG004 - django-q2's signature
        """Return the rows of the queue.

        django-q2 asks for the connection's state here, which opens one; a broker is
        made before the fork, when none may be open.
        """
        return OrmQ.objects.using(Conf.ORM)

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Return the next message, or None after a short wait when there is none.

        A database that does not answer is waited for: ending the pusher, as
        django-q2 does, would restart workers that are as innocent as it is.
        """
        try:
            rows = super().dequeue()
            return None if rows is None else [row for row in rows if self._is_ours(*row)]
        except (DatabaseError, InterfaceError) as error:
            log.warning("The queue cannot be read: %s", error)
            connections[Conf.ORM].close()
            time.sleep(DATABASE_PAUSE_S)
            return None

    def acknowledge(self, task_id: int) -> None:
        """Delete a message that was worked on; when that fails it is delivered again, which does no harm."""
        try:
            self.delete(task_id)
        except (DatabaseError, InterfaceError) as error:
            log.warning("Message %s stays in the queue: %s", task_id, error)
            connections[Conf.ORM].close()

    def _is_ours(self, task_id: int, payload: str) -> bool:
        try:
            check_message(payload)
        except MessageRefusedError as refusal:
            log.error("Message %s in the queue was dropped: %s.", task_id, refusal)  # noqa: TRY400 - no stack to show
            self.delete(task_id)
            return False
        return True
