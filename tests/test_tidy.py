"""What the linters cannot say about this repository; each rule has its reason beside it."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("sagas", "sagaweb", "examples", "benchmarks", "tests")
LINES_PER_MODULE_MAX = 400
LINES_PER_FUNCTION_MAX = 60
LINES_OF_JAVASCRIPT_MAX = 300

# Reviewed exceptions: "path" or "path:function" -> why it may be longer.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
# Who may name pickle, and why.
UNPICKLERS = {"sagas/queue.py": "looks at a message before django-q2 does, with an unpickler that knows no class"}

BANNED_MODULES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "service", "misc"}
BANNED_WORDS = re.compile(r"\bwork-?flows?\b|\bsaga[ _-]instances?\b|\bdead[ _-]tasks?\b", re.IGNORECASE)
ONE_WRITER = "sagas/engine"
READERS = ("live", "presentation", "queries", "dashboard", "api", "admin", "management", "workers", "catalog")
RUN_ROWS = {"SagaRun", "StepRun", "JournalEntry", "Order", "InboxEntry", "runs", "steps", "journal", "orders"}
WRITES = {
    "acreate", "adelete", "aget_or_create", "asave", "aupdate", "aupdate_or_create", "bulk_create", "bulk_update",
    "create", "delete", "get_or_create", "save", "update", "update_or_create",
}  # fmt: skip
PLACES = re.compile(r"/(?:home|Users|work|root|mnt|scratch)/\w|[A-Z]:\\\\Users")
TEXT = {".py", ".md", ".html", ".css", ".js", ".toml", ".yaml", ".yml", ".json", ".txt", ".cfg", ".sh", ""}


@cache
def files() -> tuple[Path, ...]:
    """Return what is or would be in the repository: tracked or new, and not ignored."""
    answer = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode:
        skip = {".venv", "var", "build", "dist", "__pycache__", ".git"}
        found = [p for p in ROOT.rglob("*") if p.is_file() and not skip & set(p.relative_to(ROOT).parts)]
    else:
        found = [ROOT / name for name in answer.stdout.split("\0") if name]
    return tuple(sorted(path for path in found if path.is_file()))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules(*roots: str) -> list[Path]:
    return [p for p in files() if p.suffix == ".py" and named(p).startswith(roots) and "/migrations/" not in named(p)]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def templates() -> list[Path]:
    return [p for p in files() if p.suffix == ".html" and named(p).startswith("templates/")]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_module_is_longer_than_a_reader_holds_in_mind():
    long = {named(p): n for p in modules(*OURS) if (n := len(p.read_text().splitlines())) > LINES_PER_MODULE_MAX}
    assert {name: n for name, n in long.items() if name not in LONG_MODULES} == {}


def test_no_function_is_longer_than_a_screen():
    long = {
        f"{named(p)}:{f.name}": f.end_lineno - f.lineno + 1
        for p in modules(*OURS)
        for f in functions(p)
        if f.end_lineno - f.lineno + 1 > LINES_PER_FUNCTION_MAX
    }
    assert {name: n for name, n in long.items() if name not in LONG_FUNCTIONS} == {}


def test_reviewed_exceptions_are_still_needed():
    long = {named(p) for p in modules(*OURS) if len(p.read_text().splitlines()) > LINES_PER_MODULE_MAX}
    assert set(LONG_MODULES) <= long
    longest = {
        f"{named(p)}:{f.name}"
        for p in modules(*OURS)
        for f in functions(p)
        if f.end_lineno - f.lineno + 1 > LINES_PER_FUNCTION_MAX
    }
    assert set(LONG_FUNCTIONS) <= longest


def test_modules_are_named_after_nouns_of_the_domain():
    assert [named(p) for p in files() if p.suffix == ".py" and p.stem in BANNED_MODULES] == []


def test_each_thing_has_one_name():
    """The glossary's banned words; a saga is not a "workflow" here (docs/reference/glossary.md lists them)."""
    allowed = {"docs/reference/glossary.md", "tests/test_tidy.py"}
    found = [
        f"{named(p)}:{number}: {line.strip()[:100]}"
        for p in files()
        if p.suffix in {".py", ".md", ".html", ".js", ".css", ".yaml"} and named(p) not in allowed
        for number, line in enumerate(p.read_text().splitlines(), 1)
        if BANNED_WORDS.search(line)
    ]
    assert found == []


def test_compensation_is_not_called_rollback_where_people_read():
    """In prose a rollback is what a database does to a transaction; a saga compensates."""
    allowed = {"docs/reference/glossary.md"}
    found = [
        f"{named(p)}:{number}: {line.strip()[:100]}"
        for p in files()
        if p.suffix == ".html" and named(p) not in allowed
        for number, line in enumerate(p.read_text().splitlines(), 1)
        if re.search(r"roll(?:ed|s|ing)?[ -]?back", line, re.IGNORECASE)
    ]
    assert found == []


def writes_of_run_rows(path: Path) -> list[str]:
    """Return calls such as `SagaRun.objects.filter(…).update(…)` or `run.steps.create(…)`, and `run.save()`."""
    found = []
    for call in ast.walk(tree(path)):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in WRITES):
            continue
        words: set[str] = set()
        node: ast.AST = call.func.value
        while True:
            if isinstance(node, ast.Attribute):
                words.add(node.attr)
                node = node.value
            elif isinstance(node, ast.Call):
                node = node.func
            elif isinstance(node, ast.Subscript | ast.Await):
                node = node.value
            else:
                break
        if isinstance(node, ast.Name):
            words.add(node.id)
            if node.id in {"run", "step", "entry", "order", "step_run", "saga_run"}:
                words |= {"SagaRun"} if call.func.attr in {"save", "asave", "delete", "adelete"} else set()
        if ("objects" in words and words & RUN_ROWS) or ("objects" not in words and words & RUN_ROWS - {"orders"}):
            found.append(f"{named(path)}:{call.lineno}: {ast.unparse(call)[:90]}")
    return found


def test_only_the_engine_writes_runs_steps_journal_and_orders():
    assert [line for floor in READERS for p in modules(f"sagas/{floor}/") for line in writes_of_run_rows(p)] == []


def test_the_guard_on_writers_sees_a_writer(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    bad = tmp_path / "bad.py"
    bad.write_text(
        "SagaRun.objects.filter(id=1).update(status='x')\nrun.save()\nrun.steps.create(name='a')\n"
        "JournalEntry.objects.bulk_create([])\nshown.update(a=1)\nApiToken.objects.create(name='x')\n"
    )
    assert [line.split(":")[1] for line in writes_of_run_rows(bad)] == ["1", "2", "3", "4"]


def test_the_engine_and_what_is_below_it_know_no_page():
    """import-linter cannot forbid parts of an external package."""
    below = ("core", "models", "barrier", "catalog", "participants", "queries", "engine", "workers")
    found = [
        f"{named(p)}:{node.lineno}"
        for p in modules(*(f"sagas/{floor}/" for floor in below), "sagas/queue.py", "sagas/access.py")
        for node in ast.walk(tree(p))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        if name.startswith(("django.http", "django.template", "django.shortcuts", "django.views"))
    ]
    assert found == []


def test_the_core_needs_no_django_to_be_imported():
    core = sorted(named(p)[:-3].replace("/", ".") for p in modules("sagas/core/") if p.stem != "__init__")
    code = (
        f"import sys, {', '.join(core)}; print([m for m in sys.modules if m.split('.')[0] in {{'django', 'channels'}}])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


def test_nothing_is_evaluated_or_unpickled():
    found = [
        f"{named(p)}:{node.lineno}"
        for p in modules("sagas", "sagaweb", "examples", "benchmarks")
        if named(p) not in UNPICKLERS
        for node in ast.walk(tree(p))
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"eval", "exec", "compile"}
        )
        or (isinstance(node, ast.Import) and {a.name for a in node.names} & {"pickle", "marshal", "shelve", "dill"})
        or (isinstance(node, ast.ImportFrom) and node.module in {"pickle", "marshal", "shelve", "dill"})
    ]
    assert found == []


def test_nothing_marks_text_as_safe_html():
    word = re.compile(r"\bmark_safe\b|\bSafeString\(|\|\s*safe\b|\bautoescape off\b|\|\s*safeseq\b")
    places = [*modules("sagas", "sagaweb", "examples"), *templates()]
    assert [named(p) for p in places if word.search(p.read_text())] == []


def test_each_fragment_says_what_it_needs():
    fragments = [p for p in templates() if p.name.startswith("_")]
    assert [named(p) for p in fragments if not re.match(r"\{# Context: .+ #\}\n", p.read_text())] == []


def test_each_include_passes_only_what_the_fragment_needs():
    tag = re.compile(r"\{%\s*include\s+[^%]*%\}", re.DOTALL)
    found = [
        f"{named(p)}: {t}" for p in templates() for t in tag.findall(p.read_text()) if not re.search(r"\bonly\s*%\}", t)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("inline script", r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")[^>]*>"),
        ("inline style element", r"<style\b"),
        ("style attribute", r"<[^>]*\sstyle\s*="),
        ("event attribute", r"<[^>]*\son[a-z]+\s*="),
        ("hx-on", r"\bhx-on\b"),
        ("javascript: address", r"javascript:"),
        ("js: values", r"[\"']js:"),
        ("third-party host", r"(?:src|href)=\"(?:https?:)?//"),
    ],
)
def test_templates_live_under_the_strict_content_security_policy(what, pattern):
    found = [
        f"{what}: {named(p)}: {hit.group()[:80]}"
        for p in templates()
        for hit in re.finditer(pattern, re.sub(r"\{#.*?#\}", "", p.read_text()), re.IGNORECASE | re.DOTALL)
    ]
    assert found == []


def test_our_own_javascript_stays_small():
    own = [p for p in files() if p.suffix in {".js", ".mjs", ".ts"}]
    assert all(named(p).startswith(("static/js/", "tests/", "examples/", "benchmarks/")) for p in own)
    assert (
        sum(len(p.read_text().splitlines()) for p in own if named(p).startswith("static/")) <= LINES_OF_JAVASCRIPT_MAX
    )


def test_no_lock_file_names_a_registry():
    locks = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
    assert [named(p) for p in files() if p.name in locks] == []


def test_nothing_names_one_machine():
    found = [
        f"{named(p)}:{number}: {line.strip()[:100]}"
        for p in files()
        if p.suffix in TEXT and p.name != "test_tidy.py"
        for number, line in enumerate(p.read_text(errors="replace").splitlines(), 1)
        if PLACES.search(line)
    ]
    assert found == []


def test_links_between_pages_of_the_docs_lead_somewhere():
    broken = [
        f"{named(page)}: {target}"
        for page in files()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_setting_is_described():
    from sagaweb.env import KNOWN

    page = (ROOT / "docs/reference/settings.md").read_text()
    assert [name for name in (*KNOWN, "DATABASE_URL", "REDIS_URL") if f"`{name}`" not in page] == []


def test_every_limit_is_described():
    """`make fmt` writes the page anew."""
    page = ROOT / "docs/reference/limits.md"
    assert page.read_text() == runpy.run_path(str(ROOT / "docs/limits.py"))["render"]()


def test_every_broken_engine_of_the_long_proofs_can_still_be_made():
    from tests.engine_mutants import MUTANTS

    texts = {one.what: (ROOT / "sagas/engine" / one.file).read_text().count(one.said) for one in MUTANTS}
    assert {what: count for what, count in texts.items() if count != 1} == {}
