"""The environment, read once and checked: a misspelt setting is refused, not ignored."""

from __future__ import annotations

import difflib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = {
    "SAGAWEB_DATA_DIR": "folder of the embedded database and the generated secret (default: var)",
    "SAGAWEB_SECRET_KEY": "signing key; generated into the data folder for local use, demanded elsewhere",
    "SAGAWEB_SECRET_KEY_FALLBACKS": "former signing keys, separated by spaces; what was sealed with one can be opened",
    "SAGAWEB_ALLOWED_HOSTS": "host names the web answers to, separated by commas",
    "SAGAWEB_BASE_URL": "address that people and participants use, such as https://sagas.example.org",
    "SAGAWEB_DEBUG": "1 for tracebacks in the browser; never in production",
    "SAGAWEB_DEMO": "1 adds the demo shop; `up --demo` sets it",
    "SAGAWEB_LOCAL": "1 says that only this machine can reach the web; `up` on a loopback host sets it",
    "SAGAWEB_EVENTS_URL": "RabbitMQ whose exchange carries events, such as amqps://user:password@host/vhost?exchange=events",
    "SAGAWEB_PUMPS": "pumps of one worker command (default: 1 on SQLite, 2 on PostgreSQL)",
    "SAGAWEB_LEASE_S": "seconds for which a pump may drive a run without renewing (default: 5)",
}


Number = TypeVar("Number", int, float)


class SettingError(Exception):
    """A setting is misspelt or has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Env:
    """What the environment says, with defaults filled in."""

    data_dir: Path
    database_url: str
    redis_url: str | None
    secret_key: str
    secret_key_is_generated: bool
    secret_key_fallbacks: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    base_url: str
    debug: bool
    demo: bool
    local: bool
    events_url: str
    pumps: int | None
    lease_s: float


def read(environ: Mapping[str, str], base_dir: Path) -> Env:
    """Read and check the environment.

    Raises:
        SettingError: an unknown `SAGAWEB_*` name, or a value of the wrong form.
    """
    for name in environ:
        if name.startswith("SAGAWEB_") and name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            message = f"{name} is not a setting of Sagaweb.{hint} Known: {', '.join(sorted(KNOWN))}."
            raise SettingError(message)
    data_dir = Path(environ.get("SAGAWEB_DATA_DIR") or base_dir / "var").resolve()
    key, generated = _secret_key(environ, data_dir)
    base_url = environ.get("SAGAWEB_BASE_URL", "").rstrip("/")
    if base_url and not base_url.startswith(("http://", "https://")):
        message = f"SAGAWEB_BASE_URL must start with http:// or https://, found {base_url!r}."
        raise SettingError(message)
    events_url = environ.get("SAGAWEB_EVENTS_URL", "")
    if events_url and not events_url.startswith(("amqp://", "amqps://")):
        message = "SAGAWEB_EVENTS_URL must start with amqp:// or amqps://."
        raise SettingError(message)
    return Env(
        data_dir=data_dir,
        database_url=environ.get("DATABASE_URL") or f"sqlite:///{data_dir / 'sagaweb.sqlite3'}",
        redis_url=environ.get("REDIS_URL") or None,
        secret_key=key,
        secret_key_is_generated=generated,
        secret_key_fallbacks=tuple(environ.get("SAGAWEB_SECRET_KEY_FALLBACKS", "").split()),
        allowed_hosts=tuple(
            host.strip() for host in environ.get("SAGAWEB_ALLOWED_HOSTS", "").split(",") if host.strip()
        ),
        base_url=base_url,
        debug=_flag(environ, "SAGAWEB_DEBUG"),
        demo=_flag(environ, "SAGAWEB_DEMO"),
        local=_flag(environ, "SAGAWEB_LOCAL"),
        events_url=events_url,
        pumps=_number(environ, "SAGAWEB_PUMPS", int, 1, 64),
        lease_s=_number(environ, "SAGAWEB_LEASE_S", float, 1, 300) or 5.0,
    )


def _flag(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name, "").strip().lower()
    if value in {"", "0", "false", "no", "off"}:
        return False
    if value in {"1", "true", "yes", "on"}:
        return True
    message = f"{name} must be 1 or 0, found {value!r}."
    raise SettingError(message)


def _number(environ: Mapping[str, str], name: str, kind: type[Number], low: Number, high: Number) -> Number | None:
    value = environ.get(name)
    if not value:
        return None
    try:
        number = kind(value)
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        message = f"{name} must be a number from {low} to {high}, found {value!r}."
        raise SettingError(message)
    return number


def _secret_key(environ: Mapping[str, str], data_dir: Path) -> tuple[str, bool]:
    key = environ.get("SAGAWEB_SECRET_KEY")
    if key:
        return key, False
    path = data_dir / "secret_key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        draft = data_dir / f"secret_key.{secrets.token_hex(8)}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        try:
            path.hardlink_to(draft)  # the first of two starters wins; the other reads the winner's
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(), True
