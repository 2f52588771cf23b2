"""`manage.py sagas`: definitions from and to files, and on paper."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from sagas.catalog.apply import apply_file, check_file
from sagas.catalog.errors import DocumentInvalidError
from sagas.core.document_schema import document_schema
from sagas.management import export, listing, simulate

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Iterable

    from sagas.core.document import Problem


class Command(BaseCommand):
    """Publish, check, simulate, list and export saga definitions."""

    help = "Publish, check, simulate, list and export saga definitions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare one sub-command for each thing to do."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, text in (("apply", "publish documents"), ("validate", "check documents and store nothing")):
            command = verbs.add_parser(verb, help=text)
            command.add_argument("files", nargs="+", type=Path, metavar="FILE")
            command.add_argument("--strict", action="store_true", help="count warnings as problems")
        listing.add_arguments(verbs.add_parser("list", help="list sagas with their versions and runs"))
        export.add_arguments(verbs.add_parser("export", help="print or write published documents"))
        verbs.add_parser("schema", help="print the JSON Schema of documents, for editors")
        simulate.add_arguments(verbs.add_parser("simulate", help="say what becomes of a run; nothing is executed"))

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what `verb` says."""
        match options["verb"]:
            case "apply":
                by = f"{getpass.getuser()} (command line)"
                self._each_file(options["files"], lambda path: self._apply(path, by, strict=options["strict"]))
            case "validate":
                self._each_file(options["files"], lambda path: self._validate(path, strict=options["strict"]))
            case "list":
                for line in listing.lines(as_json=options["json"]):
                    self.stdout.write(line)
            case "export":
                for text in export.run(options):
                    self.stdout.write(text, ending="" if text.endswith("\n") else "\n")
            case "schema":
                self.stdout.write(json.dumps(document_schema(), indent=2, ensure_ascii=False))
            case "simulate":
                self._each_file([options["file"]], lambda path: self._simulate(path, options))

    def _each_file(self, files: list[Path], do: Callable[[Path], None]) -> None:
        failed = 0
        for path in files:
            try:
                do(path)
            except DocumentInvalidError as error:
                failed += 1
                self._say(path, "error", error.problems)
        if failed:
            noun = "document has" if failed == 1 else "documents have"
            message = f"{failed} of {len(files)} {noun} problems."
            raise CommandError(message)

    def _apply(self, path: Path, by: str, *, strict: bool) -> None:
        if strict:
            self._validate(path, strict=True)
        published = apply_file(path, by=by)
        self._say(path, "warning", published.warnings)
        what = "published" if published.is_new else "unchanged"
        self.stdout.write(f"{path}: {what}: {published.version.saga.name} version {published.version.number}")

    def _validate(self, path: Path, *, strict: bool) -> None:
        checked = check_file(path)
        problems = checked.problems + (checked.warnings if strict else ())
        if problems:
            raise DocumentInvalidError(problems)
        self._say(path, "warning", checked.warnings)
        self.stdout.write(f"{path}: no problems")

    def _simulate(self, path: Path, options: dict[str, Any]) -> None:
        warnings, lines = simulate.run(options)
        self._say(path, "warning", warnings)
        for line in lines:
            self.stdout.write(line)

    def _say(self, path: Path, kind: str, problems: Iterable[Problem]) -> None:
        for problem in problems:
            place = f"{path}:{problem.line}:{problem.column}" if problem.line is not None else str(path)
            where = f"{problem.path}: " if problem.path else ""
            self.stderr.write(f"{place}: {kind}: {where}{problem.message} [{problem.code}]")
