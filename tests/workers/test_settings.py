"""What the environment says wrongly is told in one line, before anything is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SAGAWEB_DEOM", "1", "SAGAWEB_DEOM is not a setting of Sagaweb. Did you mean SAGAWEB_DEMO?"),
        ("SAGAWEB_PUMPS", "many", "SAGAWEB_PUMPS must be a number from 1 to 64, found 'many'."),
        ("DATABASE_URL", "postgrse://me:secret@there/here", "DATABASE_URL cannot be used: "),
    ],
)
@pytest.mark.parametrize("start", [["manage.py"], ["-m", "sagaweb"]])
def test_a_wrong_setting_is_one_line_and_status_2(tmp_path, start, name, value, said):
    kept = {one: text for one, text in os.environ.items() if not one.startswith(("SAGAWEB_", "DJANGO_"))}
    answer = subprocess.run(
        [sys.executable, *start, "check"],
        cwd=ROOT,
        env=kept | {"SAGAWEB_DATA_DIR": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1), answer.stderr
    assert answer.stderr.startswith(said)
    assert "secret" not in answer.stderr
