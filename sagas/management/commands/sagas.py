"""`manage.py sagas`: definitions from and to files, and on paper."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from sagas.catalog.apply import apply_place, check_place
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
            command.add_argument("files", nargs="+", metavar="FILE", help="or module:attribute, of a saga in Python")
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
                self._each_file(options["files"], lambda source: self._apply(source, by, strict=options["strict"]))
            case "validate":
                self._each_file(options["files"], lambda source: self._validate(source, strict=options["strict"]))
            case "list":
                for line in listing.lines(as_json=options["json"]):
                    self.stdout.write(line)
            case "export":
                for text in export.run(options):
                    self.stdout.write(text, ending="" if text.endswith("\n") else "\n")
            case "schema":
                self.stdout.write(json.dumps(document_schema(), indent=2, ensure_ascii=False))
            case "simulate":
                self._each_file([options["file"]], lambda source: self._simulate(source, options))

    def _each_file(self, files: list[str], do: Callable[[str], None]) -> None:
        failed = 0
        for source in files:
            try:
                do(source)
            except DocumentInvalidError as error:
                failed += 1
                self._say(source, "error", error.problems)
        if failed:
            noun, verb = "document" if len(files) == 1 else "documents", "has" if failed == 1 else "have"
            message = f"{failed} of {len(files)} {noun} {verb} problems."
            raise CommandError(message)

    def _apply(self, source: str, by: str, *, strict: bool) -> None:
        if strict:
            self._validate(source, strict=True)
        published = apply_place(source, by=by)
        self._say(source, "warning", published.warnings)
        what = "published" if published.is_new else "unchanged"
        self.stdout.write(f"{source}: {what}: {published.version.saga.name} version {published.version.number}")

    def _validate(self, source: str, *, strict: bool) -> None:
        checked = check_place(source)
        problems = checked.problems + (checked.warnings if strict else ())
        if problems:
            raise DocumentInvalidError(problems)
        self._say(source, "warning", checked.warnings)
        self.stdout.write(f"{source}: no problems")

    def _simulate(self, source: str, options: dict[str, Any]) -> None:
        warnings, lines = simulate.run(options)
        self._say(source, "warning", warnings)
        for line in lines:
            self.stdout.write(line)

    def _say(self, source: str, kind: str, problems: Iterable[Problem]) -> None:
        for problem in problems:
            place = f"{source}:{problem.line}:{problem.column}" if problem.line is not None else source
            where = f"{problem.path}: " if problem.path else ""
            self.stderr.write(f"{place}: {kind}: {where}{problem.message} [{problem.code}]")
