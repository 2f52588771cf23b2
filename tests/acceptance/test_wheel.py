"""The wheel in an environment of its own: nothing of the checkout, nothing of the development tools.

The dependencies are not downloaded again: the environment gets links to exactly those
distributions that the wheel's own metadata asks for, so a forgotten dependency shows
and the test needs neither a network nor half a minute.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from http.cookiejar import CookieJar
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ("SAGAWEB_", "DJANGO_", "PYTHON", "PYTEST", "DATABASE_URL", "REDIS_URL", "COVERAGE")

pytestmark = [pytest.mark.embedded, pytest.mark.slow]


def run(*command: object, cwd: Path) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    answer = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"{command}\n{answer.stdout}\n{answer.stderr}"
    return answer.stdout


def required(requirement: Requirement, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the names of all distributions that `requirement` brings, itself first."""
    for extra in ("", *requirement.extras):
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        yield name
        for line in distribution(name).requires or []:
            further = Requirement(line)
            if further.marker is None or further.marker.evaluate({"extra": extra}):
                yield from required(further, seen)


def lend(requirements: list[str], site: Path) -> None:
    """Link the installed distributions that `requirements` bring into `site`."""
    seen: set[tuple[str, str]] = set()
    wanted = (Requirement(line) for line in requirements)
    names = {n for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""}) for n in required(r, seen)}
    for name in names:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(installed.locate_file(top))))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an environment in `env` that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=folder,
    )
    code = """if True:
        import importlib.metadata, json, sysconfig
        print(json.dumps([sysconfig.get_path("purelib"), importlib.metadata.requires("sagaweb")]))
    """
    site, requirements = json.loads(run(python, "-c", code, cwd=folder))
    lend([line for line in requirements if "extra ==" not in line], Path(site))
    return folder


def open_page(browser: OpenerDirector, url: str) -> str:
    with browser.open(url, timeout=30) as answer:
        assert answer.status == 200
        return answer.read().decode()


def test_the_wheel_alone_migrates_and_shows_its_pages(home):
    """A wheel carries its templates, static files and the demo; `sagaweb up --demo` shows a styled page."""
    command = home / "env/bin/sagaweb"
    run(command, "migrate", "--verbosity", "0", cwd=home)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    with subprocess.Popen(
        [command, "up", "--demo", "--port", "0"], cwd=home, env=environ, stdout=subprocess.PIPE, text=True
    ) as up:
        try:
            said = []
            for line in up.stdout:
                said.append(line)
                if line.startswith("{") and json.loads(line)["event"] == "ready":
                    break
            assert said, "ended without a word"
            url = json.loads(said[-1])["url"]
            browser = build_opener(HTTPCookieProcessor(CookieJar()))
            page = open_page(browser, url)
            styles = re.findall(r'<link[^>]+href="([^"]+\.css)"', page)
            assert styles, page[:500]
            assert all(open_page(browser, urljoin(url, style)) for style in styles)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(timeout=30)
    code = "import sagas, sagaweb; print(sagas.__file__, sagaweb.__file__)"
    assert str(ROOT) not in run(home / "env/bin/python", "-c", code, cwd=home)
