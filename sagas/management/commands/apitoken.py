"""`manage.py apitoken NAME --role …`: make a token for the API, print it once."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from sagas import access
from sagas.core.vocabulary import Role

if TYPE_CHECKING:
    from argparse import ArgumentParser

NAME_LENGTH_MAX = 100
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LIFE = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)


class Command(BaseCommand):
    """Make a token."""

    help = "Makes a bearer token for the REST API and prints it; it cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what the command takes."""
        parser.add_argument("name", help="tells tokens apart, in the admin and in journals")
        parser.add_argument("--role", required=True, choices=[role.value for role in Role])
        parser.add_argument(
            "--expires", metavar="30d", help="minutes, hours or days: 90m, 12h, 30d; never when not said"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token, and nothing else, on standard output."""
        del args
        name: str = options["name"].strip()
        if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable():
            message = f"A name has 1 to {NAME_LENGTH_MAX} printable characters."
            raise CommandError(message)
        life = _read_life(options["expires"])
        try:
            raw = access.make_token(name, Role(options["role"]), None if life is None else timezone.now() + life)
        except access.TokenNameTakenError as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            message = (
                f"The database cannot be used ({error}). Is it the one that the dashboard was started with? "
                "SAGAWEB_DATA_DIR or DATABASE_URL says which; `migrate` or `up` makes its tables."
            )
            raise CommandError(message) from None
        self.stdout.write(raw)


def _read_life(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = _LIFE.fullmatch(text)
    if found is None:
        message = f"--expires takes a number and m, h or d, such as 30d; found {text!r}."
        raise CommandError(message)
    return int(found[1]) * _UNITS[found[2]]
