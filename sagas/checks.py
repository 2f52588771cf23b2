"""Settings that would lose work or open a door are refused at start, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django.apps import AppConfig

TIMEOUT_S_MIN = 500  # a pump's shift and its draining (workers/pump_task.py, engine/pump.py), and some air
RETRY_MARGIN_S = 60
BROKER = "sagas.queue.Doorbell"
OTHER_BROKERS = ("redis", "django_redis", "iron_mq", "sqs", "mongo")
EXACTLY: dict[str, tuple[Any, str]] = {
    "broker_class": (BROKER, "messages are checked before a worker sees them only by our broker"),
    "bulk": (1, "messages fetched in bulk wait in memory and are delivered twice"),
    "queue_limit": (1, "messages fetched ahead wait in memory and are delivered twice"),
    "max_attempts": (1, "the supervisor rings again; redelivery is a second one"),
    "ack_failures": (True, "a failed task would be delivered for ever"),
    "save_limit": (-1, "results are stored as unsigned pickles, which run when they are read"),
    "scheduler": (False, "a row in the schedule table can name any callable"),
}
FORBIDDEN = {
    "sync": "a pump would run inside a request",
    "cached": "results would be pickled into the cache",
    "ALT_CLUSTERS": "the queues of worker groups are made by the supervisor",
    **dict.fromkeys(OTHER_BROKERS, "only the database queue keeps a message until it was worked on"),
}
SQLITE_PRAGMAS = {
    "journal_mode=wal": "readers and the writer would lock each other out",
    "synchronous=full": "a commit that was answered could be lost with the power",
}


@register(Tags.security)
def check_queue(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Refuse settings of django-q2 under which work is lost, repeated, or anybody's code runs."""
    del app_configs
    return list(_queue_problems(getattr(settings, "Q_CLUSTER", {})))


def _queue_problems(cluster: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if "orm" not in cluster:
        yield _error("001", "Q_CLUSTER['orm'] must name a database", FORBIDDEN["redis"])
    for name, (value, reason) in EXACTLY.items():
        if name not in cluster or type(cluster[name]) is not type(value) or cluster[name] != value:
            found = repr(cluster[name]) if name in cluster else "nothing"
            yield _error("002", f"Q_CLUSTER[{name!r}] must be {value!r}, found {found}", reason)
    for name, reason in FORBIDDEN.items():
        if cluster.get(name):
            yield _error("003", f"Q_CLUSTER[{name!r}] must not be set", reason)
    yield from _time_problems(cluster)


def _time_problems(cluster: Mapping[str, Any]) -> Iterator[CheckMessage]:
    timeout, retry = cluster.get("timeout"), cluster.get("retry")
    if type(timeout) is not int or type(retry) is not int:
        yield _error(
            "004",
            "Q_CLUSTER['timeout'] and ['retry'] must be whole seconds",
            "django-q2 fails on fractions, at run time",
        )
        return
    if timeout < TIMEOUT_S_MIN:
        yield _error(
            "005",
            f"Q_CLUSTER['timeout'] must be at least {TIMEOUT_S_MIN}, found {timeout}",
            "a healthy shift would be killed",
        )
    if retry < timeout + RETRY_MARGIN_S:
        yield _error(
            "006",
            f"Q_CLUSTER['retry'] must be at least timeout + {RETRY_MARGIN_S}, found {retry}",
            "a task that still runs would be delivered again",
        )


@register(Tags.security)
def check_hosts(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Refuse a wildcard host."""
    del app_configs
    if "*" in settings.ALLOWED_HOSTS and not settings.DEBUG:
        return [
            _error(
                "010",
                "ALLOWED_HOSTS must not contain '*'",
                "it switches the origin check of WebSockets off: any page could watch",
            )
        ]
    return []


@register(Tags.compatibility)
def check_databases(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Refuse database settings under which writes fail or vanish."""
    del app_configs
    return [problem for name, config in settings.DATABASES.items() for problem in _database_problems(name, config)]


def _database_problems(name: str, config: Mapping[str, Any]) -> Iterator[CheckMessage]:
    where = f"DATABASES[{name!r}]"
    if config.get("ATOMIC_REQUESTS"):
        yield _error("020", f"{where}['ATOMIC_REQUESTS'] must be off", "each page view would take SQLite's write lock")
    if config.get("CONN_MAX_AGE", 0) != 0:
        yield _error(
            "021",
            f"{where}['CONN_MAX_AGE'] must be 0",
            "under ASGI each request has its own thread, whose connection would stay open",
        )
    if config.get("ENGINE") != "django.db.backends.sqlite3":
        return
    options = config.get("OPTIONS", {})
    if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
        yield _error(
            "022",
            f"{where}['OPTIONS']['transaction_mode'] must be 'IMMEDIATE'",
            "two writers that read first fail with 'locked'",
        )
    pragmas = str(options.get("init_command", "")).lower().replace(" ", "")
    for pragma, reason in SQLITE_PRAGMAS.items():
        if pragma not in pragmas:
            yield _error("023", f"{where}['OPTIONS']['init_command'] must set PRAGMA {pragma}", reason)


@register(Tags.admin)
def check_admins(app_configs: Sequence[AppConfig] | None, **_options: Any) -> list[CheckMessage]:
    """Refuse django-q2's own admin pages."""
    del app_configs
    if not apps.is_installed("django.contrib.admin"):
        return []
    from django.contrib import admin

    return [
        _error("030", f"the admin must not show {model._meta.label}", "its pages run pickles and queue any callable")
        for model in admin.site._registry  # noqa: SLF001
        if model._meta.app_label == "django_q"
    ]


def _error(number: str, what: str, why: str) -> CheckMessage:
    return Error(f"{what}: {why}.", id=f"sagas.E{number}")
