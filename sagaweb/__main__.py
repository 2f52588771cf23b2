"""The `sagaweb` console script: every management command, wherever it is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sagaweb.env import SettingError

USAGE = 2  # the exit status of a command that was not called rightly


def main() -> None:
    """Run the management command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaweb.settings")
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)  # as `python -m` does: settings and actions beside the command are found
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no command yet that could say it
        sys.exit(USAGE)


if __name__ == "__main__":
    main()
