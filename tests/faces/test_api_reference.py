"""Each command of `docs/reference/api.md` gives the status that is written after it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from django.apps import apps
from django.test import Client

from sagas import access
from sagas.api.problems import TITLES
from sagas.catalog.publish import publish
from sagas.core.vocabulary import Role
from sagas.models import SagaRun

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs/reference/api.md").read_text()
BASE = "http://127.0.0.1:8000/api/v1"


def commands() -> list[tuple[str, int]]:
    """Return every curl command and its status."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [
        (hit[1], int(hit[2]))
        for block in blocks
        for hit in re.finditer(r"^(curl .*?) +# (\d{3})$", block, re.MULTILINE)
    ]


def perform(command: str, names: dict[str, str]) -> Any:
    """Do what curl would, in this process."""
    words = iter(shlex.split(command)[1:])
    method, body, url = "", b"", ""
    headers: dict[str, str] = {}
    for raw in words:
        if raw == "-H":
            name, _, value = put_in(next(words), names).partition(": ")
            headers[name] = value
        elif raw == "-X":
            method = next(words)
        elif raw in {"-d", "--data-binary"}:
            text = next(words)
            body = (ROOT / text[1:]).read_bytes() if text.startswith("@") else text.encode()
        else:
            url = put_in(raw, names)
    kind = headers.pop("Content-Type", "application/x-www-form-urlencoded" if body else "application/json")
    path = url.removeprefix("http://127.0.0.1:8000")
    return Client(headers=headers).generic(method or ("POST" if body else "GET"), path, body, content_type=kind)


def put_in(text: str, names: dict[str, str]) -> str:
    """Replace `$NAME`."""
    return re.sub(r"\$(\w+)", lambda hit: names[hit[1]], text)


def test_every_command_of_the_reference_gives_what_it_says(db):
    for source in apps.get_app_config("shop").demo_definitions():
        publish(source, by="demo")
    token = access.make_token("laptop", Role.AUTHOR, None)
    names = {"AUTH": f"Authorization: Bearer {token}", "JSON": "Content-Type: application/json", "B": BASE}
    found = commands()
    assert len(found) == PAGE.count("\ncurl ")
    for command, status in found:
        names["RUN"] = str(SagaRun.objects.values_list("id", flat=True).first())
        answer = perform(command, names)
        assert answer.status_code == status, (command, answer.content)


def test_every_kind_of_problem_is_in_the_reference():
    assert [kind for kind in TITLES if kind != "internal" and f"`{kind}`" not in PAGE] == []
