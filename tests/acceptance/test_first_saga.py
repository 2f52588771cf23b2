"""The tutorial does what it says: its files are written, its commands run, its calls made."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/start/first-saga.md"
OUTSIDE = ("SAGAWEB_", "DJANGO_", "PYTHON", "DATABASE_URL", "REDIS_URL")
END_S = 60

pytestmark = [pytest.mark.embedded, pytest.mark.slow]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    return dict(re.findall(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tutorial")
    (made / "bakery").mkdir()
    (made / "bakery/__init__.py").touch()
    for name, text in files().items():
        (made / name).write_text(text)
    return made


@pytest.fixture(scope="module")
def environ(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    (export,) = (line for block in blocks("sh") for line in block.splitlines() if line.startswith("export "))
    return kept | dict([export.removeprefix("export ").split("=")]) | {"SAGAWEB_DATA_DIR": str(folder / "var")}


def said(folder: Path, environ: dict[str, str], *arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def url(folder: Path, environ: dict[str, str]) -> Iterator[str]:
    commands = [shlex.split(line)[1:] for b in blocks("sh") for line in b.splitlines() if line.startswith("python ")]
    assert [c[2] for c in commands] == ["migrate", "up", "apitoken"]
    said(folder, environ, *commands[0], "--verbosity", "0")
    with subprocess.Popen(
        [sys.executable, *commands[1], "--port", "0"], cwd=folder, env=environ, stdout=subprocess.PIPE, text=True
    ) as up:
        ready = next((line for line in up.stdout if line.startswith("{")), "{}")
        try:
            yield json.loads(ready)["url"]
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(timeout=END_S)


@pytest.fixture(scope="module")
def calls(folder: Path, environ: dict[str, str], url: str) -> list[dict]:
    """Make the calls of the page in their order; return the answers."""
    (command,) = (shlex.split(line)[1:] for b in blocks("sh") for line in b.splitlines() if "apitoken" in line)
    token = re.search(r"\bsgw_\S+", said(folder, environ, *command))[0]
    answers = []
    for curl in re.findall(r"^curl .*", "\n".join(blocks("sh")).replace("\\\n", " "), re.MULTILINE):
        words = shlex.split(curl)
        method, address = words[2], words[3].replace("$URL", url)
        headers = dict(words[n + 1].split(": ") for n, word in enumerate(words) if word == "-H")
        data = words[-1].encode() if not words[-1].startswith("@") else (folder / words[-1][1:]).read_bytes()
        headers["Authorization"] = headers["Authorization"].replace("$TOKEN", token)
        with urlopen(Request(address, data, headers, method=method), timeout=30) as answer:
            answers.append({"http": answer.status, **json.load(answer), "token": token})
    return answers


def end_of(run: dict) -> dict:
    until = time.monotonic() + END_S
    while time.monotonic() < until:
        with urlopen(Request(run["url"], headers={"Authorization": f"Bearer {run['token']}"}), timeout=30) as answer:
            found = json.load(answer)
        if found["status"] in {"completed", "compensated", "needs_attention", "terminated"}:
            return found
        time.sleep(0.1)
    pytest.fail(f"not over after {END_S} s: {found['status']}")


def test_the_tutorial_ends_as_it_says(calls):
    published, large, solar = calls
    assert published["http"] == 201
    assert end_of(large)["status"] == "completed"
    assert end_of(solar)["status"] == "compensated"
