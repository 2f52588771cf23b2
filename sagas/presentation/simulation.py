"""Simulations and failure matrices as plain text: for a terminal, and as a file of tests."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sagas.core.failure_cases import Case
from sagas.core.simulation import SimulatedStatus, Why
from sagas.core.vocabulary import NO_ITEM, Phase, StepKey
from sagas.presentation import reaction_story, wait_story
from sagas.presentation.format import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sagas.core.definition import Definition
    from sagas.core.failure_matrix import Row
    from sagas.core.simulation import Leftover, Simulation
    from sagas.core.vocabulary import Json

_ENDS = {
    SimulatedStatus.NEEDS_ATTENTION: "needs a person",
    SimulatedStatus.PARTIALLY_COMPENSATED: "compensated in part",
    SimulatedStatus.WAITING: "still waiting, for ever",
    SimulatedStatus.STILL_RETRYING: "still retrying, for ever",
    SimulatedStatus.CUT_SHORT: "cut short by a limit",
}
CASES = {
    Case.NOTHING: "nothing goes wrong",
    Case.REJECTED: "rejected",
    Case.FAILED: "fails at every attempt",
    Case.UNKNOWN_BEFORE: "no answer, did not happen",
    Case.UNKNOWN_AFTER: "no answer, but happened",
    Case.PROBE_SILENT: "no answer, but happened; probe cannot say",
    Case.WORKER_LOST: "worker dies once",
    Case.WORKER_LOST_ALWAYS: "worker dies every time",
    Case.NEVER_COMES: "nobody answers",
    Case.COMPENSATION_FAILS: "its compensation fails",
    Case.SAYS_NOTHING: "its service says nothing",
    Case.COMES: "comes after all else",
}
_WHYS = {
    Why.NO_COMPENSATION: "nothing undoes it",
    Why.COMPENSATION_FAILED: "its compensation failed",
    Why.GIVEN_UP: "given up",
    Why.NOT_UNDONE_YET: "not undone yet",
    Why.PAST_PIVOT: "past the point of no return",
    Why.TERMINATED: "terminated",
    Why.UNDECIDED: "not decided yet",
}
_HALVES = {"compensation": "undo {}", "probe": "probe of {}"}  # by phase
_SAID = {"worker_lost": "worker lost", "not_done": "says it never happened"}  # by code
_NOTHING = "-"
_MISSING = 5  # the column of what is missing
_WIDTH_MAX = 72  # of a cell that lists steps
_LINE_MAX = 110  # of the file of tests
_NAMES_MAX = 20  # of a line of a story: a list may have thousands of items
_LINES_MAX = 100  # lines of a story; the whole is in `--json`


def story(simulation: Simulation) -> Iterator[str]:
    """Yield a simulation as lines of text: the end, why, each attempt, what was undone, what stays."""
    span = _clock(simulation.took_s)
    yield f"{simulation.definition.saga}: {_end(simulation.status)} after {span} on the simulated clock"
    if why := _reason(simulation.reason):
        yield why
    yield ""
    lines = [line for entry in simulation.trace if (line := _entry(entry, simulation.definition))]
    yield from lines[:_LINES_MAX]
    if len(lines) > _LINES_MAX:
        yield f"  … and {len(lines) - _LINES_MAX} more"
    yield ""
    if simulation.missing:
        yield f"Missing:                {_few(reaction_story.missing(simulation))}"
    elif simulation.status is SimulatedStatus.WAITING:
        yield f"Nobody comes for:       {', '.join(wait_story.still_waiting(simulation))}"
    if simulation.attention:
        yield f"A person is needed for: {_few(simulation.attention)}"
    if simulation.undone:
        yield f"Undone, in this order:  {_few(reaction_story.undone(simulation))}"
    if simulation.leftovers:
        yield f"Stays behind:           {_few(list(map(leftover_with_why, simulation.leftovers)))}"
    elif simulation.status is not SimulatedStatus.COMPLETED:
        yield "Stays behind:           nothing"
    for note in simulation.notes:
        mark = f".{note.phase}" if note.phase in {Phase.COMPENSATION, Phase.PROBE} else ""
        where = f"{note.step}{mark}: " if note.step else ""
        yield f"Note: {where}{note.message}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return ", ".join(names[:_NAMES_MAX]) + more


def _end(status: SimulatedStatus) -> str:
    return _ENDS.get(status, status.value)


def _reason(reason: Json) -> str:
    match reason:
        case {"cause": "step_failed", "outcome": outcome, **rest}:
            step = _name(reason)
            return f"because {step} {'was rejected' if outcome == 'rejected' else 'failed'}: {rest.get('message', '')}"
        case {"cause": "in_doubt"}:
            return f"because nobody knows whether {_name(reason)} happened"
        case {"cause": "event", "code": kind}:
            return f"because of the event {kind}"
        case {"cause": cause, **rest}:
            return f"because of: {cause} {rest.get('message', '')}".rstrip()
    return ""


def _name(entry: dict[str, Json]) -> str:
    return str(StepKey(entry.get("step", ""), entry.get("item", NO_ITEM)))


def _entry(entry: dict[str, Json], definition: Definition) -> str:
    """Return the line of one entry; empty for those that say no more than the ones beside them."""
    name = _name(entry)
    half = _HALVES.get(entry.get("phase", ""), "{}").format(name)
    match entry["kind"]:
        case "wait_started":
            text = f"{name}: {wait_story.started(entry)}"
        case "wait_ended":
            text = f"{name}: {wait_story.ended(definition.by_name[entry['step']])}"
        case "step_skipped" if entry.get("cause"):
            text = f"{name}: left out ({entry['cause'].replace('_', ' ')})"
        case "order_taken" if entry["verb"] in {"signal", "approve"}:
            return ""
        case "attempt_ended":
            said = _SAID.get(entry.get("code", ""), entry["outcome"])
            text = f"{half}: attempt {entry['number']} {said}"
        case "retry_scheduled":
            wait_s = entry["next_at_s"] - entry["at_s"]
            if wait_s == 0:
                return ""
            text = f"{half}: again in {duration(wait_s)}"
        case "items_listed":
            text = f"{name}: {len(entry['items'])} items" if "items" in entry else f"{name}: a list of items"
        case "items_joined":
            text = f"{name}: {entry['done']} of {entry['total']} items done"
        case "step_in_doubt":
            text = f"{name}: in doubt"
        case "step_failed":
            text = f"{name}: failed for good: {entry.get('message', '')}"
        case "compensation_failed":
            text = f"undo {name}: failed for good: {entry.get('message', '')}"
        case "turn_requested":
            text = f"the run turns round ({entry['cause'].replace('_', ' ')})"
        case "order_taken" | "order_refused" as kind:
            text = f"order {entry['verb']} {'taken' if kind == 'order_taken' else 'refused: ' + entry['why']}"
        case "turn_dropped" | "deadline_passed" | "step_settled" | "step_skipped" | "compensation_given_up" as kind:
            text = f"{kind.replace('_', ' ')} {name}".rstrip()
        case _:
            text = reaction_story.told(entry)
            if not text:
                return ""
    return f"  {_clock(entry['at_s']):>9}  {text}"


def _clock(at_s: float) -> str:
    return duration(at_s) if at_s else "0 s"


def _leftover(one: Leftover) -> str:
    return one.step if one.is_certain else f"{one.step}?"


def leftover_with_why(one: Leftover) -> str:
    """Name what stays behind, and why."""
    return f"{one.step} ({'' if one.is_certain else 'perhaps; '}{_WHYS[one.why]})"


# ---- the matrix --------------------------------------------------------------


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a failure matrix as lines of text with aligned columns."""
    head = ("step", "what goes wrong", "ends", "undone, in this order", "stays behind", "missing", "at worst")
    cells = [head, *(_cells(row) for row in rows)]
    if not any(line[_MISSING] != _NOTHING for line in cells[1:]):
        cells = [(*line[:_MISSING], *line[_MISSING + 1 :]) for line in cells]  # only events are missed
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for place, line in enumerate(cells):
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        if place == 0:
            yield "  ".join("-" * width for width in widths)
    if any("?" in line[4] for line in cells[1:]):
        yield ""
        yield "?  nobody knows whether it happened"


def _cells(row: Row) -> tuple[str, ...]:
    worst = "no end" if row.worst_s is None else duration(row.worst_s)
    if row.worst_status is not row.simulation.status:
        worst += f", {_end(row.worst_status)}"
    return (
        row.step,
        CASES[row.case],
        _end(row.simulation.status),
        _listed(reaction_story.undone(row.simulation)),
        _listed([_leftover(one) for one in row.simulation.leftovers]),
        _listed(reaction_story.missing(row.simulation)),
        worst,
    )


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names) or _NOTHING
    return text if len(text) <= _WIDTH_MAX else f"{', '.join(names[:2])} and {len(names) - 2} more"


# ---- the file of tests -------------------------------------------------------


def pytest_file(rows: Sequence[Row], path: str) -> str:
    """Return a file of tests that holds the matrix: each row simulated again from the document at `path`."""
    definition = rows[0].simulation.definition
    atomic = sorted({half.action.name for step in definition.steps for half in step.halves if half.is_atomic})
    reads_only = sorted({step.action.action.name for step in definition.steps if step.action and not step.writes})
    name = re.sub(r"\W", "_", definition.saga)
    lines = [
        f'"""What becomes of `{definition.saga}` when something goes wrong. Nothing is executed.',
        "",
        f"Written by `manage.py sagas simulate {_shown(path)} --matrix --pytest`;",
        "change it as you like.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "import pytest",
        "",
        "from sagas.testing import simulate",
        "",
        f"SAGA = {_python(path, _LINE_MAX)}  # as seen from where pytest is started",
        f"INPUT = {_python(rows[0].simulation.state.input, _LINE_MAX - 8)}",
        "# Actions that commit with their outcome, so that it is never unknown; and those that change nothing.",
        f"ATOMIC = {_python(atomic, _LINE_MAX - 9)}",
        f"READS_ONLY = {_python(reads_only, _LINE_MAX - 13)}",
        "",
        "# name: what goes wrong, what a person orders, how the run ends, what is undone, what stays behind",
        "# (`step?`: nobody knows whether it happened)",
        "CASES = {",
        *(line for row in rows for line in _case(row)),
        "}",
        "",
        "",
        '@pytest.mark.parametrize("case", CASES)',
        f"def test_{name}_ends_as_it_should(case):",
        "    faults, orders, status, undone, leftovers = CASES[case]",
        "    run = simulate(SAGA, INPUT, faults, orders=orders, atomic=ATOMIC, reads_only=READS_ONLY)",
        '    found = [one.step if one.is_certain else f"{one.step}?" for one in run.leftovers]',
        "    assert (run.status, run.undone, found) == (status, undone, leftovers)",
        "",
    ]
    return "\n".join(lines)


def _shown(path: str) -> str:
    return re.sub(r'[\\"\n]', "_", path)


def _case(row: Row) -> Iterator[str]:
    name = f"{row.step}: {CASES[row.case]}" if row.step else CASES[row.case]
    values = [
        dict(row.faults),
        [dict(order) for order in row.orders],
        row.simulation.status.value,
        row.simulation.undone,
        [_leftover(one) for one in row.simulation.leftovers],
    ]
    line = f"    {json.dumps(name)}: ({', '.join(_python(value, _LINE_MAX) for value in values)}),"
    if len(line) <= _LINE_MAX:
        yield line
        return
    yield f"    {json.dumps(name)}: ("
    for value in values:
        yield f"        {_python(value, _LINE_MAX - 9, 8)},"
    yield "    ),"


def _python(value: Json, width: int, indent: int = 0) -> str:
    """Write JSON as Python: on one line where it fits into `width`, else one part a line."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict() | list():
            left, right = "{}" if isinstance(value, dict) else "[]"
            named = value.items() if isinstance(value, dict) else (("", part) for part in value)
            names = [
                f"{json.dumps(name, ensure_ascii=False)}: " if isinstance(value, dict) else "" for name, _ in named
            ]
            parts = list(value.values()) if isinstance(value, dict) else value
            flat = ", ".join(name + _python(part, 10**9) for name, part in zip(names, parts, strict=True))
            if len(flat) + 2 <= width:
                return left + flat + right
            pad = "\n" + " " * (indent + 4)
            inner = "".join(
                f"{pad}{name}{_python(part, width - 5 - len(name), indent + 4)},"
                for name, part in zip(names, parts, strict=True)
            )
            return f"{left}{inner}\n{' ' * indent}{right}"
    return repr(value)
