"""`manage.py sagas simulate`: what becomes of a saga, on paper."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from sagas.models import Saga, SagaRun
from sagas.testing import DocumentWrongError, simulate

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = ROOT / "examples/shop"
SOURCE = """\
saga: buy
input:
  type: object
  required: [order]
  properties: {order: {type: string, maxLength: 20}}
steps:
  - {name: pay, action: a.pay, with: {order: "${input.order}"}, compensation: {action: a.refund}}
  - {name: ship, action: a.ship, compensation: none, retry: {attempts: 2}}
"""


def run(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("sagas", "simulate", *map(str, arguments), stdout=out, stderr=err, no_color=True)
    except CommandError as error:
        err.write(f"{error}\n")
        code = error.returncode
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "buy.yaml"
    path.write_text(SOURCE)
    return path


def test_a_saga_is_told_with_an_input_made_from_its_schema(file):
    code, out, _ = run(file, "--fault", "ship=unknown")
    assert code == 0
    assert out.splitlines() == [
        'Input (made from the schema): {"order": "example"}',
        "buy: compensated after 1 m 01 s on the simulated clock",
        "because nobody knows whether ship happened",
        "",
        "        0 s  pay: attempt 1 succeeded",
        "       30 s  ship: attempt 1 unknown",
        "       30 s  ship: again in 1.0 s",
        "   1 m 01 s  ship: attempt 2 unknown",
        "   1 m 01 s  ship: in doubt",
        "   1 m 01 s  the run turns round (in doubt)",
        "   1 m 01 s  undo pay: attempt 1 succeeded",
        "",
        "Undone, in this order:  pay",
        "Stays behind:           ship (perhaps; nothing undoes it)",
    ]


def test_input_and_faults_come_as_json_or_words(file, tmp_path):
    given = tmp_path / "input.json"
    given.write_text('{"order": "7"}')
    faults = ["--fault", "ship=failed@1", "--fault", 'pay={"outcome": "succeeded", "output": {"id": 1}}']
    for value in (given, '{"order": "7"}'):
        code, out, _ = run(file, "--input", value, "--json", *faults)
        found = json.loads(out)
        assert (code, found["status"], found["input"], found["waited_s"]) == (0, "completed", {"order": "7"}, 1.0)


def test_a_wrong_document_is_told_as_validate_tells_it(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(SOURCE.replace("retry:", "rety:").replace("action: a.pay", "action: 5"))
    code, out, err = run(bad)
    assert (code, out) == (1, "")
    assert (
        f"{bad}:8:54: error: steps[1].rety: `rety` is not a key of a step. Did you mean `retry`? [unknown_key]\n" in err
    )
    assert err.count(": error: ") == 2
    assert run(tmp_path / "missing.yaml")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "shp=failed"], "faults.shp: The saga has no step `shp`. Did you mean `ship`?"),
        (["--fault", "ship=exploded"], "faults.ship: An attempt cannot end as"),
        (["--fault", "ship"], "--fault takes STEP=HOW"),
        (["--fault", "ship=failed@x"], "after @ stands the number of an attempt"),
        (["--fault", "ship={"], "--fault takes a word or JSON"),
        (["--fault", "ship=failed", "--fault", "ship=unknown"], "--fault ship is given twice"),
        (["--input", "{"], "--input takes JSON or the path of a file with JSON"),
        (["--input", "[" * 5000], "--input takes JSON"),
        (["--input", "nowhere.json"], "--input takes JSON or the path of a file with JSON"),
        (["--input", '{"order": 7}'], "input.order: "),
        (["--input", "{}"], "input.order: `order` is missing."),
        (["--input", '{"order": NaN}'], "finite"),
        (["--pytest"], "add --matrix"),
        (["--matrix", "--pytest", "--json"], "either --pytest or --json"),
        (["--matrix", "--fault", "ship=failed"], "leave --fault and --event out"),
        (["--matrix", "--event", "paid"], "leave --fault and --event out"),
        (["--event", "paid"], "The saga is no choreography: its runs take no events."),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_words(file, arguments, said):
    code, out, err = run(file, *arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_a_choreography_is_told_with_its_events(db):
    place = ROOT / "examples/choreography/order-watched.yaml"
    code, out, _ = run(place, "--fault", "ship=rejected")
    assert (code, "Undone, in this order:  reserve_stock by restore_stock, take_payment by refund_payment" in out) == (
        0,
        True,
    )
    code, out, _ = run(place, "--fault", "ship=never", "--event", "order.shipped@60", "--json")
    told = json.loads(out)
    assert (told["status"], told["took_s"], told["missing"]) == ("completed", 60, [])
    for early in ("order.shipped@early", '{"type": "order.shipped", "early": true}'):
        assert "order.shipped came before its run" in run(place, "--event", early)[1]
    code, out, _ = run(place, "--matrix")
    assert "stock.restored from inventory (restore_stock)" in out


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("order.shiped", 'The choreography names no event "order.shiped". Did you mean `order.shipped`?'),
        ("order.shipped@late", "after @ stands `early` or a number of seconds; found 'late'"),
        ("order.shipped@nan", "`at_s` is a number of seconds after the start."),
        ("{", "--event takes a type or JSON"),
        ("", "The choreography names no event"),
    ],
)
def test_an_event_that_cannot_come_is_refused_in_words(db, event, said):
    code, out, err = run(ROOT / "examples/choreography/order-watched.yaml", "--event", event)
    assert (code, out) == (2, "")
    assert said in err


def test_a_schema_that_no_small_input_fits_asks_for_one(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(SOURCE.replace("maxLength: 20", 'pattern: "^[0-9]+$"'))
    code, _, err = run(path)
    assert (code, "give one with --input" in err) == (2, True)
    assert run(path, "--input", '{"order": "7"}')[0] == 0


def test_the_matrix_is_a_table_or_json(file):
    code, out, _ = run(file, "--matrix")
    lines = out.splitlines()
    assert (code, lines[0].split("  ")[0], len(lines)) == (0, "step", 2 + 1 + 7 + 6 + 2)
    assert any(line.startswith("ship  no answer, but happened") and "pay" in line for line in lines)
    rows = json.loads(run(file, "--matrix", "--json")[1])
    assert {row["case"] for row in rows} >= {"nothing", "unknown_after_effect", "compensation_fails"}


@pytest.mark.django_db
def test_nothing_is_stored(file, django_assert_num_queries):
    with django_assert_num_queries(0):
        run(file, "--matrix")
    assert not Saga.objects.exists()
    assert not SagaRun.objects.exists()


@pytest.mark.parametrize(
    "name",
    [
        "shop/create-order",
        "shop/prepaid-order",
        "shop/large-order",
        "business/definitions/open-account",
        "business/definitions/place-order",
    ],
)
def test_the_matrix_as_a_file_of_tests_passes_without_django(tmp_path, monkeypatch, name):
    monkeypatch.chdir(ROOT)
    code, source, _ = run(f"examples/{name}.yaml", "--matrix", "--pytest")
    assert code == 0
    assert max(map(len, source.splitlines())) <= 120
    written = tmp_path / "test_matrix.py"
    written.write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider"]
    command += ["-c", str(tmp_path / "none.ini"), "--rootdir", str(tmp_path), str(written)]
    (tmp_path / "none.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    written.write_text(source.replace('"compensated"', '"completed"'))
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 1


def test_the_commands_of_the_how_to_can_be_pasted(tmp_path):
    """From a checkout, one block after the other, and nothing has to be explained away."""
    for name in ("manage.py", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SAGAWEB_", "DJANGO_"))}
    pasted = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/howto/simulate.md").read_text(), re.DOTALL | re.MULTILINE)
    answer = subprocess.run(
        ["/bin/sh", "-e", "-c", "".join(pasted)],
        cwd=tmp_path,
        env=kept | {"SAGAWEB_DATA_DIR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert re.search(r"^create_shipment +no answer, but happened", answer.stdout, re.MULTILINE)
    assert not re.search(r"^process_payment +no answer", answer.stdout, re.MULTILINE)
    assert "def test_" in (tmp_path / "test_create_order.py").read_text()


def test_a_test_reads_the_actions_of_django_when_it_is_up():
    run = simulate(SHOP / "create-order.yaml", faults={"process_payment": "unknown"})
    assert [note.code for note in run.notes] == ["atomic"]
    assert run.undone == []


def test_a_document_that_is_wrong_or_not_there_is_said():
    with pytest.raises(DocumentWrongError, match="cannot be read"):
        simulate("nowhere.yaml")
    with pytest.raises(DocumentWrongError, match="timeuot"):
        simulate("saga: a\ntimeuot: 5s\nsteps: []\n")


WAITS = """\
saga: lend
steps:
  - {name: book, action: a.book, compensation: {action: a.free}}
  - {name: rest, sleep: 20s}
  - {name: deposit, wait_for: {signal: paid, timeout: 2d}}
  - {name: agree, approval: {prompt: "Lend it?"}}
  - {name: hand, action: a.hand, compensation: none}
"""


@pytest.fixture
def waiting(tmp_path):
    path = tmp_path / "lend.yaml"
    path.write_text(WAITS)
    return path


def test_waits_are_told_and_who_never_comes(waiting):
    _, out, _ = run(waiting, "--fault", "agree=never")
    assert out.splitlines()[1:] == [
        "lend: still waiting, for ever after 20 s on the simulated clock",
        "",
        "        0 s  book: attempt 1 succeeded",
        "        0 s  rest: sleeps 20 s",
        "       20 s  rest: slept long enough",
        "       20 s  deposit: waits for the signal paid (2 d at most)",
        "       20 s  deposit: the signal came",
        "       20 s  agree: asks operator: Lend it?",
        "",
        "Nobody comes for:       agree (an answer of operator)",
        "Stays behind:           book (not decided yet)",
    ]
    _, out, _ = run(waiting)
    assert "agree: approved" in out
    _, out, _ = run(waiting, "--fault", "agree=rejected")
    assert "because agree was rejected: simulation said no" in out


def test_a_matrix_and_its_tests_hold_waits(waiting, tmp_path):
    _, out, _ = run(waiting, "--matrix")
    rows = [line for line in out.splitlines() if "nobody answers" in line]
    assert [line.split()[0] for line in rows] == ["deposit", "agree"]
    assert "compensated" in rows[0]
    assert "still waiting, for ever" in rows[1]
    assert rows[1].endswith("no end")
    _, out, _ = run(waiting, "--matrix", "--pytest")
    assert '"agree: nobody answers": ({"agree": "never"}, [], "waiting", [], ["book"]),' in out
    compile(out, "test_lend.py", "exec")


def test_a_trace_has_the_end_of_a_wait_in_seconds(waiting):
    _, out, _ = run(waiting, "--json")
    started = [entry for entry in json.loads(out)["trace"] if entry["kind"] == "wait_started"]
    assert [(entry["step"], entry.get("until_s")) for entry in started] == [
        ("rest", 20.0), ("deposit", 172_820.0), ("agree", None),
    ]  # fmt: skip
    assert [entry["until"] for entry in started if "until" in entry] in ([], [None])
