"""A ledger for tests: started, stopped, killed, scripted and read."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

from tests.ledger.book import Book, Called, Effect, Seen
from tests.ledger.script import Rule
from tests.running import ROOT


class LedgerProcess:
    """One ledger. Killed and started again it has the same address, book and script."""

    def __init__(self, folder: Path, *, is_naive: bool = False, secret: str = "", name: str = "ledger") -> None:
        self.path = folder / f"{name}.sqlite3"
        self.book = Book(self.path)
        self.is_naive = is_naive
        self.secret = secret
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it answers."""
        words = [sys.executable, "-m", "tests.ledger.server", "--book", str(self.path), "--port", str(self.port)]
        words += ["--naive"] if self.is_naive else []
        words += ["--secret", self.secret] if self.secret else []
        self._process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the ledger did not start"
        self.port = json.loads(line)["port"]
        return self

    def script(self, *rules: Rule) -> None:
        """Replace the rules; none: everything goes well."""
        body = json.dumps([rule.said() for rule in rules]).encode()
        with urlopen(Request(f"{self.url}/_script", body, method="PUT"), timeout=10) as answer:
            assert answer.status == 200

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        if number is not signal.SIGKILL:
            self._process.send_signal(signal.SIGCONT)
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def requests(self, **wanted: Any) -> list[Seen]:
        """Return the requests that have these values: `requests(step="pay", phase="action")`."""
        return [one for one in self.book.requests() if all(getattr(one, k) == v for k, v in wanted.items())]

    def effects(self, **wanted: Any) -> list[Effect]:
        return [one for one in self.book.effects() if all(getattr(one, k) == v for k, v in wanted.items())]

    def callbacks(self) -> list[Called]:
        return self.book.callbacks()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
