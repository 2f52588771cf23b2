"""Two people change a service at the same moment: one of them does, the other is told."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from django.db import connection

from sagas.models import Service, ServiceChange
from sagas.services import changes, errors
from sagas.services.wanted import Wanted
from tests import registered as r

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*acts) -> list:
    """Return what each act gave or raised, all begun at the same moment."""
    together = Barrier(len(acts))
    found: list = [None] * len(acts)

    def perform(place: int) -> None:
        try:
            together.wait(10)
            found[place] = acts[place]()
        except errors.ServiceError as error:
            found[place] = error
        finally:
            connection.close()

    threads = [Thread(target=perform, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_a_name_is_given_once():
    def register():
        return changes.put_service("payments", Wanted(base_url=r.ADDRESS), by="erin", revision=0)

    found = at_once(*[register] * 4)
    assert sorted(type(one).__name__ for one in found) == ["Done"] + ["ServiceStaleError"] * 3
    assert (Service.objects.count(), ServiceChange.objects.count()) == (1, 1)


def test_a_service_is_held_once():
    r.register()
    found = at_once(*[lambda: changes.hold("payments", by="alice", reason="r")] * 4)
    assert sorted(type(one).__name__ for one in found) == ["Done"] + ["ServiceStateError"] * 3
    assert Service.objects.get().revision == 2


def test_rotations_follow_each_other_and_none_is_lost():
    r.register()
    found = at_once(*[lambda: changes.rotate_secret("payments", by="erin")] * 4)
    assert Service.objects.get().revision == 5
    assert len({done.secret for done in found}) == 4
    stale = at_once(*[lambda: changes.rotate_secret("payments", by="erin", revision=5)] * 4)
    assert sorted(type(one).__name__ for one in stale) == ["Done"] + ["ServiceStaleError"] * 3
