"""The `sagaweb` console script: every management command, wherever it is installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the management command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaweb.settings")
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)  # as `python -m` does: settings and actions beside the command are found
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
