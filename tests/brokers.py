"""Brokers of a test's own, real servers on free ports that may be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on the PATH insists on the system's own node
UP_S_MAX = 60


class OwnBroker:
    """One server, with a folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        raise NotImplementedError

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return what starts it, and what it needs in its environment."""
        raise NotImplementedError

    def start(self) -> None:
        command, environ = self.command()
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                command, env=os.environ | environ, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + UP_S_MAX
        while not self.answers():
            if time.monotonic() > until or self._process.poll() is not None:
                raise AssertionError((self.folder / "output").read_text()[-3000:])
            time.sleep(0.1)

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self) -> None:
        """SIGKILL to all of it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self, *, away_s: float = 0.0) -> None:
        """Kill it, and start it again after a while."""
        self.kill()
        time.sleep(away_s)
        self.start()


class OwnRabbit(OwnBroker):
    """RabbitMQ. What was handed over to it durably is there after a kill."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._inner_port = _free_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def command(self) -> tuple[list[str], dict[str, str]]:
        folder = str(self.folder)
        environ = {
            "HOME": folder,
            "RABBITMQ_NODENAME": f"sagaweb{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._inner_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            **{
                f"RABBITMQ_{name}": f"{folder}/{name.lower()}"
                for name in ("MNESIA_BASE", "LOG_BASE", "PID_FILE", "ENABLED_PLUGINS_FILE", "CONFIG_FILE")
            },
        }
        return [str(RABBITMQ)], environ


class OwnRedis(OwnBroker):
    """Redis without a disk: a kill empties it."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> tuple[list[str], dict[str, str]]:
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return ["redis-server", *flags, "--dir", str(self.folder)], {}


@contextmanager
def own_broker(kind: str, folder: Path) -> Iterator[OwnBroker]:
    """Start `rabbitmq` or `redis`; the test is skipped where it is not installed."""
    if not (RABBITMQ.exists() if kind == "rabbitmq" else shutil.which("redis-server")):
        pytest.skip(f"{kind} is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    broker = OwnRabbit(folder) if kind == "rabbitmq" else OwnRedis(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]
