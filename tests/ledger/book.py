"""The ledger's book: every request and every effect, committed before anything is answered.

It is one SQLite file, which tests read whether the process lives or not.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS request (
  number INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, action_key TEXT NOT NULL, phase TEXT NOT NULL,
  run TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
  headers TEXT NOT NULL, body BLOB NOT NULL, decision TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS effect (
  number INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, action_key TEXT NOT NULL, kind TEXT NOT NULL,
  run TEXT NOT NULL, step TEXT NOT NULL, request INTEGER NOT NULL REFERENCES request);
CREATE INDEX IF NOT EXISTS effect_key ON effect (key);
CREATE INDEX IF NOT EXISTS effect_action_key ON effect (action_key);
CREATE TABLE IF NOT EXISTS callback (
  number INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, attempt INTEGER NOT NULL, is_wrong INTEGER NOT NULL,
  body TEXT NOT NULL, answered INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS script (number INTEGER PRIMARY KEY, rule TEXT NOT NULL);
"""

OURS = ("idempotency-key", "traceparent", "content-type")


@dataclass(frozen=True)
class Asked:
    """A request of the engine, as the ledger understands it."""

    key: str
    action_key: str
    phase: str
    run: str
    step: str
    attempt: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def saga_headers(self) -> dict[str, str]:
        """The headers that are the engine's own."""
        return {k: v for k, v in self.headers.items() if k in OURS or k.startswith(("saga-", "webhook-"))}


@dataclass(frozen=True)
class Seen:
    """A line of the book about a request."""

    number: int
    at: float
    key: str
    action_key: str
    phase: str
    run: str
    step: str
    attempt: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    decision: str  # applied, duplicate, empty, refused, none, probe


@dataclass(frozen=True)
class Effect:
    """Something that happened. `kind`: action, undo, or empty: an undo of what never happened."""

    number: int
    at: float
    key: str
    action_key: str
    kind: str
    run: str
    step: str
    request: int


@dataclass(frozen=True)
class Called:
    """A callback that the ledger made, and what it was answered; 0: nothing."""

    number: int
    at: float
    key: str
    attempt: int
    is_wrong: bool
    body: Any
    answered: int


class Book:
    """The file, as the ledger writes it and tests read it."""

    def __init__(self, path: Path, *, is_naive: bool = False) -> None:
        self.path = path
        self.is_naive = is_naive
        with closing(self._open()) as db:
            db.executescript(SCHEMA)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        return db

    def carry_out(self, asked: Asked, *, has_effect: bool = True) -> str:
        """Decide, act and write it down, all in one transaction; return the decision."""
        with closing(self._open()) as db:
            db.execute("BEGIN IMMEDIATE")
            decision = self._decide(db, asked) if has_effect else "none"
            row = (time.time(), asked.key, asked.action_key, asked.phase, asked.run, asked.step, asked.attempt,
                   asked.method, asked.path, json.dumps(asked.saga_headers), asked.body, decision)  # fmt: skip
            request = db.execute(
                "INSERT INTO request (at, key, action_key, phase, run, step, attempt, method, path, headers, body,"
                " decision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row,
            ).lastrowid  # fmt: skip
            if decision in {"applied", "empty"}:
                is_action = asked.phase == "action"
                kind = "action" if is_action else "undo" if decision == "applied" else "empty"
                of = asked.key if is_action else asked.action_key
                db.execute(
                    "INSERT INTO effect (at, key, action_key, kind, run, step, request) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (time.time(), asked.key, of, kind, asked.run, asked.step, request),
                )
            db.execute("COMMIT")
        return decision

    def _decide(self, db: sqlite3.Connection, asked: Asked) -> str:
        """Follow the rules of the barrier; a naive ledger acts on whatever comes."""
        if asked.phase == "probe":
            return "probe"
        is_action = asked.phase == "action"
        if self.is_naive:
            return "applied"
        if db.execute("SELECT 1 FROM effect WHERE key = ?", (asked.key,)).fetchone():
            return "duplicate"
        other = "kind != 'action'" if is_action else "kind = 'action'"
        key = asked.key if is_action else asked.action_key
        has_other = db.execute(f"SELECT 1 FROM effect WHERE action_key = ? AND {other}", (key,)).fetchone() is not None
        if is_action:
            return "refused" if has_other else "applied"
        return "applied" if has_other else "empty"

    def has_effect(self, key: str) -> bool:
        """Whether the action of that key has happened, and was not undone."""
        kinds = [effect.kind for effect in self.effects() if effect.action_key == key]
        return "action" in kinds and "undo" not in kinds

    def write_callback(self, asked: Asked, body: Any, *, is_wrong: bool, answered: int) -> None:
        with closing(self._open()) as db:
            db.execute(
                "INSERT INTO callback (at, key, attempt, is_wrong, body, answered) VALUES (?, ?, ?, ?, ?, ?)",
                (time.time(), asked.key, asked.attempt, is_wrong, json.dumps(body), answered),
            )

    def rules(self) -> list[dict[str, Any]]:
        return [json.loads(rule) for (rule,) in self._rows("SELECT rule FROM script ORDER BY number")]

    def write_rules(self, rules: list[dict[str, Any]]) -> None:
        """Replace the script, which thus survives the process."""
        with closing(self._open()) as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM script")
            db.executemany("INSERT INTO script (rule) VALUES (?)", [(json.dumps(rule),) for rule in rules])
            db.execute("COMMIT")

    def requests(self) -> list[Seen]:
        return [
            Seen(*row[:10], json.loads(row[10]), *row[11:]) for row in self._rows("SELECT * FROM request ORDER BY 1")
        ]

    def effects(self) -> list[Effect]:
        return [Effect(*row) for row in self._rows("SELECT * FROM effect ORDER BY 1")]

    def callbacks(self) -> list[Called]:
        return [
            Called(*row[:4], bool(row[4]), json.loads(row[5]), row[6])
            for row in self._rows("SELECT * FROM callback ORDER BY 1")
        ]

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self._open()) as db:
            return db.execute(sql).fetchall()
