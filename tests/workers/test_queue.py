"""The door to django-q2: what may come out of the queue."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib import admin
from django.utils import timezone
from django_q import core_signing
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import PickleSerializer, SignedPackage

from sagas import queue

OURS = {"id": "1", "name": "x", "func": queue.PUMP, "args": ("group", 0), "kwargs": {}}


class Bomb:
    """What a pickle can do: name anything, and have it called when it is read."""

    def __reduce__(self):
        return os.mkdir, (os.environ["SAGAWEB_DATA_DIR"] + "/bomb",)


def put(payload: str) -> OrmQ:
    return OrmQ.objects.create(key="group", payload=payload, lock=timezone.now() - timedelta(seconds=1))


def test_a_message_of_ours_comes_out(db):
    queue.ring_pump("group", 3)
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=1))

    (row,) = queue.Doorbell(list_key="group").dequeue()

    message = SignedPackage.loads(row[1])
    assert (message["func"], message["args"]) == (queue.PUMP, ("group", 3))


def test_a_message_reaches_only_the_workers_of_its_group(db):
    queue.ring_pump("group", 0)
    assert queue.count_waiting("group") == 1
    assert queue.count_waiting("another") == 0
    assert queue.Doorbell(list_key="another").dequeue() is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"func": "os.system"}, "may not be called"),
        ({"func": os.mkdir}, "names posix.mkdir"),
        ({"func": None}, "may not be called"),
        ({"args": (Bomb(),)}, "names posix.mkdir"),
        ({"args": ({"a": 1},)}, "not ids"),
        ({"args": (True,)}, "not ids"),
        ({"args": ("x" * 101,)}, "not ids"),
        ({"args": 1}, "not ids"),
        ({"kwargs": {"length_s": 1}}, "named arguments"),
        ({"hook": "os.system"}, "not used here"),
        ({"chain": [("os.system", ("true",))]}, "not used here"),
        ({"sync": True}, "not used here"),
    ],
)
def test_a_signed_message_that_is_not_ours_is_dropped_unread(db, caplog, change, reason):
    put(SignedPackage.dumps(OURS | change))

    assert queue.Doorbell(list_key="group").dequeue() == []

    assert not OrmQ.objects.exists()
    assert reason in caplog.text


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "nonsense",
        core_signing.dumps(OURS, key="another key", salt=Conf.PREFIX, serializer=PickleSerializer),
        core_signing.dumps(OURS, key=settings.SECRET_KEY, salt="another salt", serializer=PickleSerializer),
        SignedPackage.dumps(["a", "list"]),
        SignedPackage.dumps({"func": queue.PUMP}),
    ],
)
def test_a_row_that_is_no_message_is_dropped(db, payload):
    put(payload)
    assert queue.Doorbell(list_key="group").dequeue() == []
    assert not OrmQ.objects.exists()


def test_the_rows_of_a_dead_group_are_forgotten_and_no_others(db):
    queue.ring_pump("dead", 0)
    queue.ring_pump("alive", 0)
    assert queue.forget("dead") == 1
    assert [row.key for row in OrmQ.objects.all()] == ["alive"]


def test_the_admin_shows_nothing_of_django_q():
    assert [model for model in admin.site._registry if model._meta.app_label == "django_q"] == []
