"""The barrier in a project that has Django and nothing else; the how-to does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/howto/barrier.md"
OUTSIDE = ("SAGAWEB_", "DJANGO_", "PYTHON", "DATABASE_URL", "REDIS_URL")

ONLY_DJANGO = """
import sys

class OnlyDjango:
    known = {*sys.stdlib_module_names, "django", "asgiref", "sqlparse", "sagas", "wallet", "wallet_settings", "try_it"}

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in self.known and not top.startswith("_sysconfigdata"):  # named for the platform
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OnlyDjango())
"""

# SQLite as Django sets it up: a transaction that has read may not be able to write any more.
RACE = """
import threading
import django
django.setup()
from django.db import connections
from django.db.models import F
from sagas.participants import barrier
from wallet.models import Account

Account.objects.create(owner="bob", cents=1000)
said = []

def deliver(key, together):
    def take():
        Account.objects.filter(owner="bob").update(cents=F("cents") - 1)
        return Account.objects.get(owner="bob").cents
    together.wait()
    try:
        said.append(barrier.run(barrier.Delivery(idempotency_key=key), take))
    finally:
        connections.close_all()

for number in range(20):
    together = threading.Barrier(4)
    threads = [threading.Thread(target=deliver, args=(str(number), together)) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
assert said == [999 - number for number in range(20) for _ in range(4)], said
print("ok")
"""

OTHER_DATABASE = """
import django
from django.conf import settings
settings.DATABASES["ledger"] = settings.DATABASES["default"] | {"NAME": "ledger.sqlite3"}
django.setup()
from django.core.management import call_command
from django.db.models import F
from sagas import Rejected
from sagas.barrier.models import Mark
from sagas.participants import barrier
from wallet.models import Account

call_command("migrate", database="ledger", verbosity=0)
accounts = Account.objects.using("ledger")
accounts.create(owner="carl", cents=10)

def take():
    accounts.update(cents=F("cents") - 1)

def break_down():
    take()
    raise RuntimeError

action = barrier.Delivery(idempotency_key="a")
undo = barrier.Delivery(idempotency_key="c", phase="compensation", action_key="a")
try:
    barrier.run(action, break_down, using="ledger")
except RuntimeError:
    assert accounts.get().cents == 10
for _ in range(2):
    barrier.run(action, take, using="ledger")
assert accounts.get().cents == 9
barrier.run(undo, lambda: accounts.update(cents=F("cents") + 1), using="ledger")
assert accounts.get().cents == 10
try:
    barrier.run(action, take, using="ledger")
except Rejected:
    print("ok")
assert Mark.objects.using("ledger").count() == 1
assert not Mark.objects.filter(key="a").exists()
"""

pytestmark = [pytest.mark.embedded, pytest.mark.slow]


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text()


@pytest.fixture
def folder(page, tmp_path) -> Path:
    """Write the files of the page."""
    (tmp_path / "wallet").mkdir()
    (tmp_path / "wallet/__init__.py").touch()
    for name, text in re.findall(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def said(page, folder):
    """Run code of the project's and return what it prints; it can import Django and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OUTSIDE)}
    environ = kept | {"PYTHONPATH": str(ROOT)}
    (export,) = re.findall(r"^export (\w+)=(\w+)$", page, re.MULTILINE)
    environ |= dict([export])

    def run(code: str) -> str:
        answer = subprocess.run(
            [sys.executable, "-W", "error", "-c", ONLY_DJANGO + code],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    return run


@pytest.fixture
def migrated(page, said):
    """Make the project's tables, as the page says."""
    commands = re.findall(r"^python -m django (.+)$", page, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["makemigrations", "migrate"]
    for command in commands:
        said(f"from django.core.management import execute_from_command_line as do\ndo(['', *{command.split()}])")
    return said


def test_the_page_does_what_it_says(migrated):
    assert migrated("import runpy; runpy.run_path('try_it.py')") == "ok\n"


def test_the_last_block_of_the_page_purges(page, migrated):
    block = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[-1]
    count = "from sagas.barrier.models import Mark\nprint(Mark.objects.count())\n"
    age = "Mark.objects.update(changed_at='2001-01-01T00:00Z')\n"
    migrated("import runpy; runpy.run_path('try_it.py')")
    start = f"import django\ndjango.setup()\n{count}"
    assert migrated(start + block + count) == "2\n2\n"
    assert migrated(start + age + block + count) == "2\n0\n"


def test_deliveries_take_turns_in_a_database_as_django_sets_it_up(migrated):
    assert migrated(RACE) == "ok\n"


def test_another_database_has_marks_of_its_own(migrated):
    assert migrated(OTHER_DATABASE) == "ok\n"


def test_nothing_else_of_sagaweb_is_loaded(said):
    ours = said(
        "import django; django.setup(); from sagas.participants import barrier\n"
        "print(*sorted(name for name in sys.modules if name.split('.')[0] == 'sagas'))"
    )
    assert set(ours.split()) == {
        "sagas",
        "sagas.barrier",
        "sagas.barrier.apps",
        "sagas.barrier.models",
        "sagas.core",
        "sagas.core.limits",
        "sagas.core.vocabulary",
        "sagas.participants",
        "sagas.participants.barrier",
        "sagas.participants.base",
    }


def test_the_first_block_of_the_page_is_two_actions_of_the_engine(page, migrated):
    """`action` itself needs the rest of Sagaweb; here it is enough that the functions do what they say."""
    block = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    block = block.replace("import Rejected, action", "import Rejected; action = lambda name: lambda act: act")
    code = f"""
import django
django.setup()
{block}
Account.objects.create(owner="dora", cents=10)
done = barrier.Delivery(idempotency_key="a")
undone = barrier.Delivery(idempotency_key="c", phase="compensation", action_key="a", outcome="succeeded")
assert [charge(done, "dora", 4) for _ in range(2)] == [{{"charged": 4}}] * 2
assert Account.objects.get(owner="dora").cents == 6
assert [give_back(undone, "dora", 4) for _ in range(2)] == [{{"given_back": 4}}] * 2
assert Account.objects.get(owner="dora").cents == 10
try:
    charge(barrier.Delivery(idempotency_key="b"), "dora", 40)
except Rejected as no:
    print(no.code)
"""
    assert migrated(code) == "too_little\n"
