"""`manage.py sagas simulate`: what becomes of a saga when something goes wrong, without doing anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sagas.catalog.apply import check_place
from sagas.catalog.errors import DocumentInvalidError
from sagas.core.document import compile_document
from sagas.core.example import example_input
from sagas.core.failure_matrix import failure_matrix
from sagas.core.problem import check_payload
from sagas.core.schema import check_input
from sagas.core.script import Ending, SimulationInvalidError
from sagas.core.simulate import simulate
from sagas.core.vocabulary import Verb
from sagas.participants import registry
from sagas.presentation.simulation import pytest_file, story, table

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable, Iterator, Mapping

    from sagas.core.definition import Definition
    from sagas.core.problem import Problem
    from sagas.core.vocabulary import Json

USAGE = 2  # the exit code of a command that was not called rightly


def add_arguments(command: ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("file", metavar="FILE", help="or module:attribute, of a saga in Python")
    command.add_argument(
        "--input", metavar="FILE|JSON", help="the run's input (default: a small one made from the schema)"
    )
    command.add_argument(
        "--fault", action="append", default=[], metavar="STEP=HOW", dest="faults",
        help="how a step's attempts end: STEP or STEP.compensation = "
        f"{', '.join(ending.value for ending in Ending)}; at one attempt only: failed@2; or JSON. May be repeated",
    )  # fmt: skip
    command.add_argument(
        "--event", action="append", default=[], metavar="TYPE[@WHEN]", dest="events",
        help="to a choreography: an event from outside, when nothing more happens by itself; @ so many seconds after "
        "the start, or @early, before it; or JSON: {type, data?, id?, source?, at_s?, during?, early?}; "
        "may be repeated",
    )  # fmt: skip
    command.add_argument("--matrix", action="store_true", help="every step with everything that can go wrong")
    command.add_argument("--pytest", action="store_true", help="with --matrix: print it as a file of tests")
    command.add_argument("--json", action="store_true", help="print all of it as JSON")


def run(options: Mapping[str, Any]) -> tuple[tuple[Problem, ...], Iterator[str]]:
    """Return the document's warnings and what is to be printed, line by line.

    Raises:
        DocumentInvalidError: the document has problems.
        CommandError: with exit code 2; the options do not fit each other, or input or faults cannot be used.
    """
    _check_options(options)
    checked = check_place(options["file"])
    if checked.document is None:
        raise DocumentInvalidError(checked.problems)
    definition = compile_document(checked.document, registry.facts())
    value, is_made = _input(definition, options["input"])
    try:
        if options["matrix"]:
            return checked.warnings, _matrix(definition, value, options)
        orders = [_event(one) for one in options["events"]]
        simulation = simulate(definition, value, _faults(options["faults"]), orders=orders)
    except SimulationInvalidError as error:
        raise _usage(error.problems) from None
    if options["json"]:
        return checked.warnings, iter([json.dumps(simulation.as_json(), indent=2, ensure_ascii=False)])
    source = "the schema" if definition.choreography is None else "what is read of events"
    told = [*([f"Input (made from {source}): {_compact(value)}"] if is_made else []), *story(simulation)]
    return checked.warnings, iter(told)


def _matrix(definition: Definition, value: Json, options: Mapping[str, Any]) -> Iterator[str]:
    rows = failure_matrix(definition, value)
    if options["pytest"]:
        return iter([pytest_file(rows, Path(options["file"]).as_posix())])
    if options["json"]:
        return iter([json.dumps([row.as_json() for row in rows], indent=2, ensure_ascii=False)])
    return table(rows)


def _check_options(options: Mapping[str, Any]) -> None:
    if options["pytest"] and not options["matrix"]:
        raise CommandError("--pytest writes the matrix down: add --matrix.", returncode=USAGE)
    if options["pytest"] and options["json"]:
        raise CommandError("Take either --pytest or --json.", returncode=USAGE)
    if options["matrix"] and (options["faults"] or options["events"]):
        raise CommandError("--matrix tries every fault by itself: leave --fault and --event out.", returncode=USAGE)


def _input(definition: Definition, said: str | None) -> tuple[Json, bool]:
    if said is None:
        value = example_input(definition)
        if problems := check_input(definition, value):
            message = "No input that fits could be made from the schema; give one with --input."
            raise CommandError("\n".join([message, *(f"input: {one.message}" for one in problems)]), returncode=USAGE)
        return value, True
    text = said
    if not said.lstrip().startswith(("{", "[", '"')) and Path(said).is_file():
        try:
            text = Path(said).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"--input: {said} cannot be read: {error}", returncode=USAGE) from None
    return _json(text, "--input takes JSON or the path of a file with JSON"), False


def _faults(said: Iterable[str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for one in said:
        name, equals, how = one.partition("=")
        name = name.strip()
        if not equals or not name or not how.strip():
            raise CommandError(f"--fault takes STEP=HOW, such as pay=unknown; found {one!r}.", returncode=USAGE)
        if name in found:
            raise CommandError(f"--fault {name} is given twice; give a list: {name}='[…]'.", returncode=USAGE)
        found[name] = _fault(how.strip())
    return found


def _fault(how: str) -> Json:
    if how.startswith(("{", "[")):
        return _json(how, "--fault takes a word or JSON")
    word, at, number = how.partition("@")
    if not at:
        return word
    if not (number.isascii() and number.isdigit() and len(number) <= len("1000")):
        raise CommandError(f"--fault: after @ stands the number of an attempt; found {number!r}.", returncode=USAGE)
    return {"outcome": word, "attempt": int(number)}


def _event(said: str) -> dict[str, Json]:
    if said.lstrip().startswith("{"):
        return {"verb": Verb.EVENT.value, **_json(said, "--event takes a type or JSON")}
    kind, at, when = said.partition("@")
    event: dict[str, Json] = {"verb": Verb.EVENT.value, "type": kind}
    if not at:
        return event
    if when == "early":
        return {**event, "early": True}
    try:
        return {**event, "at_s": float(when)}
    except ValueError:
        message = f"--event: after @ stands `early` or a number of seconds; found {when[:80]!r}."
        raise CommandError(message, returncode=USAGE) from None


def _json(text: str, expected: str) -> Json:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{expected}; found {text[:80]!r}: {error}", returncode=USAGE) from None
    if problems := check_payload(value):
        raise _usage(problems)
    return value


def _usage(problems: Iterable[Problem]) -> CommandError:
    lines = [f"{problem.path}: {problem.message}" if problem.path else problem.message for problem in problems]
    return CommandError("\n".join(lines), returncode=USAGE)


def _compact(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004 - two lines of a terminal
