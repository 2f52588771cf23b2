"""Each command of `docs/reference/api.md` and `docs/howto/waits.md` gives the status that is written after it."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F, Q
from django.test import Client

from sagas import access
from sagas.api.problems import TITLES
from sagas.core.vocabulary import Role, RunStatus, WaitingFor
from sagas.models import SagaRun
from tests.engine.conftest import drive

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/reference/api.md").read_text()
PAGES = {"the reference": PAGE, "waits": (ROOT / "docs/howto/waits.md").read_text()}
UNTIL = re.compile(r"until (curl -s .*?) \| grep -q (\S+); do sleep 1; done")
BASE = "http://127.0.0.1:8000/api/v1"


def blocks(page: str) -> list[list[str]]:
    """Return the lines of every block of commands."""
    return [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]


def perform(command: str, names: dict[str, str]) -> Any:
    """Do what curl would, in this process; `RUN=$(curl … | id_of)` too."""
    piped = re.fullmatch(r"RUN=\$\((curl .*) \| id_of\)", command)
    words = iter(shlex.split(piped[1] if piped else command)[1:])
    method, body, url = "", b"", ""
    headers: dict[str, str] = {}
    for raw in words:
        if raw == "-H":
            name, _, value = put_in(next(words), names).partition(": ")
            headers[name] = value
        elif raw == "-X":
            method = next(words)
        elif raw in {"-d", "--data-binary"}:
            text = put_in(next(words), names)
            body = (ROOT / text[1:]).read_bytes() if text.startswith("@") else text.encode()
        else:
            url = put_in(raw, names)
    kind = headers.pop("Content-Type", "application/x-www-form-urlencoded" if body else "application/json")
    path = url.removeprefix("http://127.0.0.1:8000")
    answer = Client(headers=headers).generic(method or ("POST" if body else "GET"), path, body, content_type=kind)
    if piped:
        names["RUN"] = answer.json()["id"]
    return answer


def put_in(text: str, names: dict[str, str]) -> str:
    """Replace `$NAME`."""
    return re.sub(r"\$(\w+)", lambda hit: names[hit[1]], text)


def are_at_rest() -> bool:
    """Return whether nothing moves by itself before a deadline."""
    moving = Q(status__in=(RunStatus.PENDING, RunStatus.RUNNING, RunStatus.COMPENSATING))
    moving &= ~Q(waiting_for__in=(WaitingFor.SIGNAL, WaitingFor.APPROVAL))
    return not SagaRun.objects.filter(moving | Q(inbox_last__gt=F("inbox_done"))).exists()


@pytest.mark.slow
@pytest.mark.parametrize("is_slow", [False, True], ids=["pasted as blocks", "typed slowly"])
@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_page_gives_what_it_says(transactional_db, name, is_slow):
    """Whether the workers have not yet begun when the next command comes, or have long done what they could."""
    call_command("demo", stdout=io.StringIO())
    token = access.make_token("laptop", Role.AUTHOR, None)
    names = {"AUTH": f"Authorization: Bearer {token}", "JSON": "Content-Type: application/json", "B": BASE}
    asked = 0
    for block in blocks(PAGES[name]):
        has_to_be_quick = any("time_out" in line for line in block)
        for line in block:
            names["RANDOM"] = f"{asked}"
            if found := UNTIL.fullmatch(line):
                drive(are_at_rest)
                assert shlex.split(found[2])[0] in perform(found[1].replace("curl -s", "curl", 1), names).text
            elif found := re.fullmatch(r"((?:RUN=\$\()?curl .*?) +# (\d{3})", line):
                answer = perform(found[1], names)
                assert answer.status_code == int(found[2]), (line, answer.content)
                asked += 1
                if is_slow and not has_to_be_quick:
                    drive(are_at_rest)
    commands = PAGES[name].count("curl ")
    assert asked == commands - PAGES[name].count("until curl ")


def test_every_kind_of_problem_is_in_the_reference():
    assert [kind for kind in TITLES if kind != "internal" and f"`{kind}`" not in PAGE] == []
