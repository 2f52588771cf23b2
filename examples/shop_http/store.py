"""The database of one service: what it does, and which calls it has answered, in one transaction.

That is what makes a participant safe to ask twice. Beside the service's own
tables there are two: the answers by idempotency key, and the actions that were
undone, so that one which comes late is refused.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, status INTEGER, body TEXT, headers TEXT);
CREATE TABLE IF NOT EXISTS undone (action_key TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS callback (key TEXT PRIMARY KEY, url TEXT, body TEXT);
"""


@dataclass(frozen=True)
class Call:
    """One attempt of a step, as its headers tell it."""

    key: str  # the same for each attempt: what makes asking twice safe
    action_key: str  # of a compensation or a probe: which action it is about
    phase: str  # action, compensation or probe
    attempt: int
    run: str
    callback_url: str


@dataclass(frozen=True)
class Answer:
    """What a call is answered with."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def refused(detail: str) -> Answer:
    """Return a no, said so that nobody can take it for anything else: nothing happened here."""
    return Answer(422, {"title": "Refused", "detail": detail}, {"Saga-Outcome": "rejected"})


class Store:
    """One SQLite file."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as db:
            for statement in (SCHEMA + schema).split(";"):
                db.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")  # whatever was raised before this line leaves no trace
        finally:
            db.close()

    def once(self, call: Call, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do the work of a call, unless it was done: then only its answer is given again."""
        with self._transaction() as db:
            row = db.execute("SELECT status, body, headers FROM answer WHERE key = ?", (call.key,)).fetchone()
            if row:
                answer = Answer(row[0], json.loads(row[1]), json.loads(row[2]))
            elif call.phase == "action" and _is_undone(db, call.key):
                answer = refused("This was undone before it came.")
            else:
                answer = work(db)
                _keep(db, call.key, answer)
            if call.phase == "compensation":
                db.execute("INSERT OR IGNORE INTO undone (action_key) VALUES (?)", (call.action_key,))
            if answer.status == HTTPStatus.ACCEPTED and call.callback_url:
                output = json.dumps({"outcome": "succeeded", "output": answer.body})
                db.execute("INSERT OR REPLACE INTO callback VALUES (?, ?, ?)", (call.key, call.callback_url, output))
        return answer

    def probe(self, call: Call) -> Answer:
        """Say what became of an action."""
        with self._transaction() as db:
            row = db.execute("SELECT status, body FROM answer WHERE key = ?", (call.action_key,)).fetchone()
        if not row:
            return Answer(200, {"outcome": "not_done"})
        said = json.loads(row[1])
        if row[0] >= HTTPStatus.BAD_REQUEST:
            return Answer(200, {"outcome": "rejected", "detail": said["detail"]})
        return Answer(200, {"outcome": "succeeded", "output": said})

    def callbacks(self) -> list[tuple[str, str, str]]:
        """Return the callbacks that were promised and not heard yet: key, address, body."""
        with self._transaction() as db:
            return list(db.execute("SELECT key, url, body FROM callback ORDER BY rowid LIMIT 20"))

    def forget_callback(self, key: str, url: str) -> None:
        """Note that it was heard."""
        with self._transaction() as db:
            db.execute("DELETE FROM callback WHERE key = ? AND url = ?", (key, url))


def _is_undone(db: sqlite3.Connection, action_key: str) -> bool:
    return db.execute("SELECT 1 FROM undone WHERE action_key = ?", (action_key,)).fetchone() is not None


def _keep(db: sqlite3.Connection, key: str, answer: Answer) -> None:
    row = (key, answer.status, json.dumps(answer.body), json.dumps(answer.headers))
    db.execute("INSERT INTO answer (key, status, body, headers) VALUES (?, ?, ?, ?)", row)
