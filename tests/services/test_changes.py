"""The registry of services: what may be put there, secrets, holding, deleting, and who did it."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from sagas.core.sealed import MASK
from sagas.models import Service, ServiceChange, ServiceMinute
from sagas.participants import known_services
from sagas.sealing import opened
from sagas.services import changes, errors
from sagas.services.secret import new_secret
from sagas.services.wanted import Wanted
from tests import registered as r

pytestmark = pytest.mark.django_db
HOUR_S = 3600.0


def known(name: str = "payments", *, after: timedelta = timedelta(0)):
    """Return the service as participants get it."""
    return known_services.load(timezone.now() + after)[name]


def pointers(refusal) -> list[str]:
    return [problem.pointer for problem in refusal.value.problems]


def verbs(name: str = "payments") -> list[str]:
    return list(ServiceChange.objects.filter(service_name=name).order_by("id").values_list("verb", flat=True))


# ---- putting -------------------------------------------------------------------


def test_a_service_is_registered_with_a_secret_that_was_made_for_it():
    done = r.register()
    assert (done.is_new, done.service.revision) == (True, 1)
    assert done.secret.startswith("whsec_")
    assert len(base64.b64decode(done.secret.removeprefix("whsec_"))) == 32
    assert known().secrets == (done.secret,)
    assert done.secret not in repr(done)


def test_the_same_again_changes_nothing_and_tells_no_secret():
    r.register()
    again = r.register(secret=MASK)
    assert (again.is_new, again.has_changed, again.secret, again.service.revision) == (False, False, "", 1)
    assert verbs() == ["created"]


def test_every_secret_is_stored_sealed():
    made = [r.register().secret, changes.rotate_secret("payments", by="erin").secret, new_secret()]
    r.register(secret=made[-1])
    r.register("mail", kind="command", base_url=r.BROKER)
    made.append("hunter2canary")

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, former_secret, password FROM sagas_service")
        stored = str(cursor.fetchall())
    assert [secret for secret in made if secret in stored] == []
    assert stored.count("$sealed") == 3


def test_another_secret_in_a_put_leaves_the_former_one_valid_for_a_day():
    first, second = r.register().secret, new_secret()
    assert r.register(secret=second).has_changed
    assert known().secrets == (second, first)
    assert known(after=timedelta(hours=23)).secrets == (second, first)
    assert known(after=timedelta(hours=25)).secrets == (second,)
    assert not r.register(secret=second).has_changed


@pytest.mark.parametrize(
    "secret", ["", "x", "whsec_", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode(), "whsec_é", MASK]
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret):
    with pytest.raises(errors.ServiceInvalidError) as refusal:
        r.register(secret=secret)
    assert pointers(refusal) == ["/secret"]
    assert not Service.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "", "payments", "ftp://payments.example.com", "https://", "https://a b", "https://host:99999/", "https://[::1",
        "https://user:pw@host/", "https://host/?a=1", "https://host/#x", "http://localhost:8000", "http://127.0.0.1/",
        "http://[::1]/", "http://10.0.0.8/", "http://169.254.169.254/latest/", "http://192.168.1.1/", "amqp://broker",
        "https://host/\nx", "https://hé.example.com/", "https://example.com/" + "x" * 500, "https://example.com:0/",
    ],
)  # fmt: skip
def test_what_is_no_address_of_an_http_service_is_refused(address):
    with pytest.raises(errors.ServiceInvalidError) as refusal:
        r.register(base_url=address)
    assert pointers(refusal) == ["/base_url"]


def test_a_private_address_is_allowed_where_that_is_said():
    r.register(base_url="http://127.0.0.1:9000/shop", allow_private=True)
    assert known().base_url == "http://127.0.0.1:9000/shop"
    assert known().allow_private


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(errors.ServiceInvalidError) as refusal:
        r.register(base_url="x", timeout_s=0.0, max_concurrency=0, secret="x")
    assert pointers(refusal) == ["/base_url", "/timeout", "/max_concurrency", "/secret"]
    with pytest.raises(errors.ServiceInvalidError) as refusal:
        r.register(kind="smtp")
    assert pointers(refusal) == ["/kind"]


@pytest.mark.parametrize("name", ["", "Payments", "pay_ments", "-pay", "a" * 65, "pay\n"])
def test_a_name_is_one_that_sagas_have(name):
    with pytest.raises(errors.ServiceInvalidError) as refusal:
        r.register(name)
    assert pointers(refusal) == ["/name"]


def test_a_registry_that_is_full_takes_no_more(monkeypatch):
    monkeypatch.setattr(changes, "SERVICES_MAX", 1)
    r.register()
    with pytest.raises(errors.ServiceInvalidError, match="full"):
        r.register("stock")
    assert r.register(max_concurrency=5).has_changed


def test_what_changed_is_written_down_field_by_field():
    r.register()
    r.register(max_concurrency=5, by="ana", secret=MASK)
    change = ServiceChange.objects.filter(verb="changed").get()
    assert (change.by, change.fields) == ("ana", {"max_concurrency": [100, 5]})


def test_a_stale_change_is_refused():
    r.register()
    with pytest.raises(errors.ServiceStaleError) as stale:
        changes.put_service("payments", Wanted(base_url=r.ADDRESS), by="erin", revision=7)
    assert stale.value.revision == 1
    with pytest.raises(errors.ServiceStaleError):
        changes.put_service("stock", Wanted(base_url=r.ADDRESS), by="erin", revision=1)


# ---- brokers -------------------------------------------------------------------


def test_a_brokers_password_is_kept_apart_and_sealed():
    done = r.register("mail", kind="command", base_url=r.BROKER)
    assert done.secret == ""
    assert done.service.base_url == "amqp://guest@broker.example.com:5672/vhost"
    assert known("mail").password == "hunter2canary"
    assert "hunter2canary" not in str(list(ServiceChange.objects.values()))


def test_a_password_may_hold_what_addresses_escape():
    r.register("mail", kind="command", base_url="redis://:p%40ss%3Aw@redis.example.com:6379/0")
    assert known("mail").password == "p@ss:w"
    assert known("mail").base_url == "redis://redis.example.com:6379/0"


def test_the_mask_keeps_the_password_for_the_same_door_only():
    r.register("mail", kind="command", base_url=r.BROKER)
    kept = r.BROKER.replace("hunter2canary", MASK)
    assert not r.register("mail", kind="command", base_url=kept).has_changed
    assert r.register("mail", kind="command", base_url=kept.replace("/vhost", "/other")).has_changed
    assert known("mail").password == "hunter2canary"
    for other in (kept.replace("broker.", "thief."), kept.replace("guest", "ana"), kept.replace("5672", "5673")):
        with pytest.raises(errors.ServiceInvalidError, match="again"):
            r.register("mail", kind="command", base_url=other)
    assert known("mail").password == "hunter2canary"


def test_the_mask_of_a_password_that_is_not_there_is_refused():
    with pytest.raises(errors.ServiceInvalidError, match="there is none"):
        r.register("mail", kind="command", base_url=f"amqp://guest:{MASK}@broker.example.com/")


def test_an_address_without_its_password_removes_it():
    r.register("mail", kind="command", base_url=r.BROKER)
    r.register("mail", kind="command", base_url="amqp://guest@broker.example.com:5672/vhost")
    assert known("mail").password == ""
    assert ServiceChange.objects.filter(verb="changed").get().fields["password"] == "removed"


@pytest.mark.parametrize(
    "address",
    [
        "https://broker", "kafka://broker", "redis://h/0?password=x", "amqp://u:p@",
        "amqp://broker.example.com/;amqp://u:canary@127.0.0.1/", "amqp://broker.example.com;amqp://127.0.0.1",
        "amqp://broker.example.com/?hostname=127.0.0.1", "redis://h/0?heartbeat=x", "redis://h/0?transport",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_broker_is_refused(address):
    with pytest.raises(errors.ServiceInvalidError) as refusal:
        r.register(kind="command", base_url=address)
    assert pointers(refusal) == ["/base_url"]


# ---- secrets -------------------------------------------------------------------


def test_two_secrets_are_valid_until_the_former_one_ends():
    first = r.register().secret
    second = changes.rotate_secret("payments", by="erin", former_valid_s=2 * HOUR_S).secret
    assert second != first
    assert known().secrets == (second, first)
    assert known(after=timedelta(hours=3)).secrets == (second,)


def test_a_third_secret_ends_the_first_one():
    first = r.register().secret
    second = changes.rotate_secret("payments", by="erin").secret
    third = changes.rotate_secret("payments", by="erin").secret
    assert known().secrets == (third, second)
    assert first not in known().secrets


def test_a_rotation_can_end_the_former_secret_at_once():
    r.register()
    second = changes.rotate_secret("payments", by="erin", former_valid_s=0).secret
    assert known().secrets == (second,)


def test_a_given_secret_is_not_told_back():
    r.register()
    given = new_secret()
    done = changes.rotate_secret("payments", by="erin", secret=given)
    assert (done.secret, known().secrets[0]) == ("", given)
    assert not changes.rotate_secret("payments", by="erin", secret=given).has_changed


@pytest.mark.parametrize("seconds", [-1, 31 * 86_400, float("nan")])
def test_a_former_secret_is_valid_for_a_month_at_most(seconds):
    r.register()
    with pytest.raises(errors.ServiceInvalidError) as refusal:
        changes.rotate_secret("payments", by="erin", former_valid_s=seconds)
    assert pointers(refusal) == ["/former_valid"]


def test_the_former_secret_can_be_ended():
    r.register()
    second = changes.rotate_secret("payments", by="erin").secret
    changes.drop_former_secret("payments", by="erin", reason="leaked")
    assert known().secrets == (second,)
    assert Service.objects.get().former_secret is None
    with pytest.raises(errors.ServiceStateError):
        changes.drop_former_secret("payments", by="erin")
    assert verbs() == ["created", "secret_rotated", "former_secret_dropped"]


def test_secrets_are_opened_with_a_former_key_and_lost_without_it(settings):
    secret = r.register().secret
    r.register("mail", kind="command", base_url=r.BROKER)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    assert (known().secrets, known("mail").password) == ((), "")  # never the mask, which would be sent as a password
    settings.SECRET_KEY_FALLBACKS = [former]
    assert (known().secrets, known("mail").password) == ((secret,), "hunter2canary")


# ---- holding -------------------------------------------------------------------


def test_a_service_is_held_and_released_with_who_and_why():
    r.register()
    held = changes.hold("payments", by="alice", reason=" it charges twice ").service
    assert (held.is_held, held.held_by, held.held_reason) == (True, "alice", "it charges twice")
    assert known().is_held
    with pytest.raises(errors.ServiceStateError, match="held already, by alice"):
        changes.hold("payments", by="bob", reason="me too")
    free = changes.release("payments", by="bob").service
    assert (free.is_held, free.held_by, free.held_reason, free.held_at) == (False, "", "", None)
    with pytest.raises(errors.ServiceStateError):
        changes.release("payments", by="bob")
    assert verbs() == ["created", "held", "released"]


def test_holding_needs_a_reason():
    r.register()
    for reason in ("", "  ", "x" * 1001):
        with pytest.raises(errors.ServiceInvalidError) as refusal:
            changes.hold("payments", by="alice", reason=reason)
        assert pointers(refusal) == ["/reason"]
    assert not Service.objects.get().is_held


def test_a_change_of_the_address_keeps_a_service_held():
    r.register()
    changes.hold("payments", by="alice", reason="r")
    assert r.register(max_concurrency=3, secret=MASK).service.is_held


# ---- deleting ------------------------------------------------------------------


def test_a_service_nobody_needs_is_deleted_and_what_was_done_to_it_stays():
    service = r.register().service
    r.make_state(service, timezone.now())
    r.make_minutes(service, timezone.now(), (3, 0))
    changes.delete("payments", by="erin", reason="gone")
    assert not Service.objects.exists()
    assert not ServiceMinute.objects.exists()
    assert verbs() == ["created", "deleted"]


@pytest.mark.parametrize("half", ["action", "compensation", "probe"])
def test_a_service_that_a_saga_names_stays(half):
    r.register()
    r.make_saga("order", r.document_naming("order", "payments", half=half))
    with pytest.raises(errors.ServiceInUseError) as refusal:
        changes.delete("payments", by="erin")
    assert refusal.value.sagas == ("order",)
    assert Service.objects.exists()


def test_a_longer_name_and_data_that_look_alike_keep_nothing():
    r.register("pay")
    document = r.document_naming("order", "pay-more")
    document["steps"][0]["with"] = {"http": {"service": "pay"}}
    r.make_saga("order", document)
    changes.delete("pay", by="erin")


def test_a_run_of_an_older_version_that_has_not_ended_keeps_the_service():
    r.register()
    old = r.make_saga("order", r.document_naming("order", "payments"))
    r.make_saga("order", r.document_naming("order", "stock"))
    run = r.make_run(old)
    with pytest.raises(errors.ServiceInUseError) as refusal:
        changes.delete("payments", by="erin")
    assert (refusal.value.sagas, refusal.value.runs) == ((), (str(run.id),))


def test_a_run_that_has_ended_keeps_it_only_while_one_around_it_may_undo_it():
    r.register()
    old = r.make_saga("order", r.document_naming("order", "payments"))
    r.make_saga("order", r.document_naming("order", "stock"))
    outer = r.make_saga("outer", r.document_naming("outer", "stock"))
    top = r.make_run(outer)
    middle = r.make_run(outer, "completed", parent=top, depth=1)
    inner = r.make_run(old, "completed", parent=middle, depth=2)
    with pytest.raises(errors.ServiceInUseError) as refusal:
        changes.delete("payments", by="erin")
    assert refusal.value.runs == (str(inner.id),)
    top.status, top.finished_at = "completed", timezone.now()
    top.save()
    changes.delete("payments", by="erin")


def test_what_is_not_there_cannot_be_changed():
    r.register()
    for change in (
        lambda: changes.hold("paymnts", by="a", reason="r"),
        lambda: changes.release("paymnts", by="a"),
        lambda: changes.delete("paymnts", by="a"),
        lambda: changes.rotate_secret("paymnts", by="a"),
    ):
        with pytest.raises(errors.ServiceUnknownError, match="Did you mean 'payments'"):
            change()


def test_no_error_repeats_a_secret():
    for wanted in (
        {"base_url": "https://user:hunter2canary@host/"},
        {"kind": "command", "base_url": "amqp://u:hunter2canary@h:99999/"},
        {"kind": "command", "base_url": "ftp://u:hunter2canary@h/"},
        {"kind": "command", "base_url": "redis://h/?password=hunter2canary"},
        {"secret": "hunter2canary"},
    ):
        with pytest.raises(errors.ServiceInvalidError) as refusal:
            r.register(**wanted)
        assert "hunter2canary" not in str(refusal.value)
        assert "hunter2canary" not in repr(Wanted(**{"base_url": "x", **wanted}))


def test_the_secret_opens_to_what_was_given():
    given = new_secret()
    assert opened(r.register(secret=given).service.secret) == given
