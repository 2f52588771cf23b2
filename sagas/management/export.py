"""`manage.py sagas export`: published documents, printed or as files, such that applying them changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sagas.catalog.export import Written, export_version, write_file
from sagas.core.problem import hint
from sagas.models import Saga, SagaVersion

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator, Mapping

NAMES_MAX = 10_000  # that are looked through for the nearest one
USAGE = 2  # the exit code of a command that was not called rightly


def add_arguments(command: ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("names", nargs="*", metavar="NAME", help="of a saga")
    command.add_argument("--all", action="store_true", help="every saga that is not archived; needs --to")
    command.add_argument("--to", type=Path, metavar="FOLDER", help="write files into this folder (default: print)")
    command.add_argument("--number", type=int, help="version (default: the latest)")
    command.add_argument("--canonical", action="store_true", help="as canonical YAML, not as its author wrote it")
    command.add_argument("--force", action="store_true", help="write over files that say something else")


def run(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be printed; lines end with their own line break where they are documents.

    Raises:
        CommandError: a saga or version is not there, a file could not be written, or (exit code 2) the options
            do not fit each other.
    """
    _check_options(options)
    published = Saga.objects.filter(archived_at=None, latest__isnull=False)
    names = options["names"] or list(published.values_list("name", flat=True))
    versions = [_version(name, options["number"]) for name in dict.fromkeys(names)]
    exported = [export_version(version, is_canonical=options["canonical"]) for version in versions]
    if options["to"] is None:
        yield exported[0].text
        return
    left_alone = 0
    for one in exported:
        try:
            path, written = write_file(one, options["to"], replaces=options["force"])
        except OSError as error:
            raise CommandError(f"{options['to'] / one.file_name} cannot be written: {error.strerror}.") from None
        left_alone += written is Written.DIFFERS
        yield f"{path}: {_WORDS[written]}\n"
    if not exported:
        yield "No saga is published yet.\n"
    if left_alone:
        noun = "file says" if left_alone == 1 else "files say"
        raise CommandError(f"{left_alone} {noun} something else; --force writes over what is there.")


_WORDS = {
    Written.WRITTEN: "written",
    Written.UNCHANGED: "unchanged",
    Written.DIFFERS: "left alone: it says something else",
}


def _check_options(options: Mapping[str, Any]) -> None:
    if options["all"] == bool(options["names"]):
        raise CommandError("Say which saga, or --all.", returncode=USAGE)
    if (options["all"] or len(options["names"]) > 1) and options["to"] is None:
        raise CommandError("Several documents go into files: say --to FOLDER.", returncode=USAGE)
    if options["number"] is not None and len(options["names"]) != 1:
        raise CommandError("--number is of one saga: name it.", returncode=USAGE)
    if options["force"] and options["to"] is None:
        raise CommandError("--force is about files: say --to FOLDER.", returncode=USAGE)


def _version(name: str, number: int | None) -> SagaVersion:
    versions = SagaVersion.objects.select_related("saga").filter(saga__name=name).order_by("-number")
    version = (versions.filter(number=number) if number is not None else versions).first()
    if version is not None:
        return version
    latest = versions.values_list("number", flat=True).first()
    if latest is not None:
        raise CommandError(f"There is no saga {name} version {number}; the latest is {latest}.")
    raise CommandError(f"There is no saga {name}.{hint(name, Saga.objects.values_list('name', flat=True)[:NAMES_MAX])}")
