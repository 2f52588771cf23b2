"""docs/examples.md lists every example, and what it says to type works."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from business.models import Trouble
from django.core.management import CommandError, call_command

from sagas.models import Saga
from tests.business.cases import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/examples.md").read_text()


def test_the_page_lists_every_example():
    listed = re.findall(r"^\| \[([a-z-]+)\]\(../examples/business/definitions/([a-z-]+)\.yaml\)", PAGE, re.MULTILINE)
    assert sorted(name for name, _ in listed) == [one.saga for one in EXAMPLES]
    assert all(name == file for name, file in listed)


def test_its_commands_do_what_they_say(db, monkeypatch):
    monkeypatch.chdir(ROOT)
    (block,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()[1:]:
        words = line.removeprefix(".venv/bin/python manage.py ").split()
        files = [str(path) for word in words if "*" in word for path in sorted(ROOT.glob(word))]
        call_command(*[word for word in words if "*" not in word], *files, stdout=StringIO())
    assert Saga.objects.count() == len(EXAMPLES)
    assert str(Trouble.objects.get()) == "book_hotel of TRIP-1: rejected"
    call_command("trouble", "TRIP-1", "book_hotel", "failed", "--times", "2", stdout=StringIO())
    assert (Trouble.objects.get().mode, Trouble.objects.get().times) == ("failed", 2)
    call_command("trouble", "TRIP-1", "book_hotel", "none", stdout=StringIO())
    assert not Trouble.objects.exists()


@pytest.mark.parametrize("words", [("exploded",), ("failed", "--times", "-1"), ("failed", "--times", "x")])
def test_a_trouble_that_cannot_be_is_refused(db, words):
    with pytest.raises(CommandError):
        call_command("trouble", "TRIP-1", "book_hotel", *words)
