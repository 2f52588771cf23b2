"""What a step waits for now, from its row, and what it waited for before, from the journal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime

from sagas.core.arrivals import DECLINED
from sagas.core.vocabulary import NO_ITEM, StepKey, StepStatus, Verb, WaitingFor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sagas.core.vocabulary import Json
    from sagas.models import StepRun
    from sagas.queries.plan import StepPlan
    from sagas.queries.run_detail import Entry


@dataclass(frozen=True, slots=True)
class Wait:
    """What a step waits for, or waited for: a word of `WaitingFor`, until when (None: for ever), and about what.

    `by` is who sent the signal or answered, empty while nobody has; of a callback, who is to call back.
    """

    kind: str
    since: datetime | None
    until: datetime | None = None
    signal: str = ""
    group: str = ""
    prompt: str = ""
    by: str = ""


def wait_of(row: StepRun) -> Wait | None:
    """Return what a step waits for now. The row needs `waiting_half`: its action as the engine keeps it."""
    if not row.waits_for:
        return None
    half: dict[str, Any] = getattr(row, "waiting_half", None) or {}
    if row.waits_for == WaitingFor.CALLBACK.value:
        by = str(half.get("accepted_by") or "")
        return replace(_wait(row.waits_for, half.get("started_at"), row.next_attempt_at, None), by=by)
    return _wait(row.waits_for, half.get("started_at"), row.next_attempt_at, half.get("input"))


class WaitsTold:
    """What a journal tells of the waits of a run: those that are over, and why steps were left out."""

    def __init__(self, journal: Iterable[Entry]) -> None:
        self.over: dict[tuple[str, int], Wait] = {}  # the last one of each step, by name and item number
        self.left_out: dict[tuple[str, int], str] = {}
        answering: dict[str, str] = {}
        for entry in journal:
            data = entry.data
            key = (str(data.get("step", "")), data.get("item", NO_ITEM))
            match entry.kind:
                case "wait_started":
                    until = parse_datetime(str(data.get("until") or ""))
                    self.over[key] = _wait(str(data.get("waits_for", "")), entry.at, until, data.get("about"))
                case "order_taken" if data.get("verb") == Verb.APPROVE.value:
                    answering[str(data.get("step"))] = str(data.get("by") or "")
                case "wait_ended" if key in self.over:
                    self.over[key] = replace(self.over[key], by=str(data.get("by") or ""))
                case "step_failed" if key in self.over and data.get("code") == DECLINED:
                    self.over[key] = replace(self.over[key], by=answering.get(str(StepKey(*key)), ""))
                case "step_skipped":
                    is_condition = bool(data.get("is_condition"))
                    self.left_out[key] = str(data.get("cause") or ("condition" if is_condition else "person"))

    def why_skipped(self, row: StepRun, plan: StepPlan) -> str:
        """Return why a step was left out; empty when it was not, or nobody can say: the entry is too old."""
        if row.status != StepStatus.SKIPPED.value:
            return ""
        return self.left_out.get((row.step, row.item), "condition" if plan.condition and not plan.wait else "")


def _wait(kind: str, since: datetime | str | None, until: datetime | None, about: Json) -> Wait:
    told = about if isinstance(about, dict) else {}
    began = parse_datetime(since) if isinstance(since, str) else since
    return Wait(kind, began, until, *(str(told.get(name) or "") for name in ("signal", "group", "prompt")))
