"""Broken engines, and the test that notices each: `python -m tests.engine_mutants [words of one]`.

Each breaks one phrase of `sagas/engine/` in a copy of this tree and runs the
tests named for it there, which must fail. Minutes, so `make prove` runs it and
`make test` does not. The mutants of the law itself are in `tests/core/`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.everywhere import find_postgresql

ROOT = Path(__file__).resolve().parent.parent
GIVE_UP_S = 300
ENGINE, FACES = "tests/engine", "tests/faces"


@dataclass(frozen=True)
class Mutant:
    """What is broken: in `file` under `sagas/engine`, `says` stands in the place of `said`; `tests` must notice."""

    what: str
    file: str
    said: str
    says: str
    tests: tuple[str, ...]
    needs_postgresql: bool = False  # SQLite has one write lock, which protects too


MUTANTS = (
    Mutant(
        "writes under an old token",
        "journal.py",
        "AND {_RUN}.token = d.token ",
        "",
        (f"{ENGINE}/test_journal.py::test_a_late_holder_writes_nothing_at_all",),
    ),
    Mutant(
        "writes a transition twice",
        "journal.py",
        "AND {_RUN}.sequence = d.was",
        "",
        (f"{ENGINE}/test_journal.py::test_the_same_transition_is_not_written_twice_under_one_token",),
    ),
    Mutant(
        "lets a run go although an order waits",
        "journal.py",
        "WHEN {_RUN}.inbox_last > d.inbox_seen THEN {now}",
        "WHEN FALSE THEN {now}",
        (f"{ENGINE}/test_journal.py", f"{ENGINE}/test_orders.py"),
    ),
    Mutant(
        "opens a completed run without a lease",
        "journal.py",
        "COALESCE({_RUN}.lease_until, {_RUN}.due_at)",
        "{_RUN}.lease_until",
        (f"{ENGINE}/test_sub_sagas.py",),
    ),
    Mutant(
        "fails a whole group for one run's data",
        "journal.py",
        "        if len(batch) == 1:\n",
        "        if True:\n",
        (f"{ENGINE}/test_journal.py::test_data_that_the_database_refuses_fails_its_own_run_alone",),
    ),
    Mutant(
        "gives every claim the same token",
        "lease.py",
        "SET token = token + 1, lease_until = CASE WHEN finished_at",
        "SET token = 1, lease_until = CASE WHEN finished_at",
        (f"{ENGINE}/test_journal.py",),
    ),
    Mutant(
        "claims what is not due",
        "lease.py",
        "due_at <= %s ORDER BY due_at LIMIT %s\n    )",
        "due_at <= %s OR 1 ORDER BY due_at LIMIT %s\n    )",
        (f"{ENGINE}/test_journal.py::test_a_claim_is_won_once",),
    ),
    Mutant(
        "renews what was let go",
        "lease.py",
        "AND {_RUN}.lease_until IS NOT NULL\n",
        "\n",
        (f"{ENGINE}/test_journal.py::test_a_renewal_does_not_bring_back_a_run_that_was_let_go",),
    ),
    Mutant(
        "does not say who lost a run",
        "lease.py",
        "if token != pairs[run_id]}",
        "if False}",
        (f"{ENGINE}/test_journal.py::test_a_renewal_names_the_runs_that_somebody_else_has_claimed",),
    ),
    Mutant(
        "forgets the kept signals", "stored.py", '"signals": [{', '"signals": [] and [{', (f"{ENGINE}/test_waits.py",)
    ),
    Mutant(
        "forgets which orders were taken",
        "stored.py",
        '"inbox_done": after.inbox_done',
        '"inbox_done": before.inbox_done',
        (f"{ENGINE}/test_orders.py",),
    ),
    Mutant(
        "forgets the turn",
        "stored.py",
        '"is_turning": after.is_turning',
        '"is_turning": False',
        (
            f"{ENGINE}/test_pump.py::test_a_cancel_turns_a_running_run_round_after_its_attempt_has_ended",
            "tests/live",
            f"{ENGINE}/test_sub_sagas.py",
        ),
    ),
    Mutant(
        "forgets the rows of waits",
        "stored.py",
        "                | m.WaitStarted()\n",
        "",
        (f"{ENGINE}/test_waits.py",),
    ),
    Mutant(
        "forgets that an attempt is in other hands",
        "stored.py",
        "                | m.AttemptAccepted()\n",
        "",
        (f"{ENGINE}/test_sub_sagas.py",),
    ),
    Mutant(
        "takes a lost plain attempt for one that failed",
        "drive.py",
        "            outcome = Unknown(Error(WORKER_LOST, message), is_counted=False)\n",
        "            outcome = Failed(Error(WORKER_LOST, message), is_counted=False)\n",
        (
            f"{ENGINE}/test_journal.py",
            f"{ENGINE}/test_pump_survives.py",
            "tests/simulation/test_crash_at_every_point.py",
        ),
    ),
    Mutant(
        "tries all suspects at once",
        "drive.py",
        "SUSPECT_AFTER = 2",
        "SUSPECT_AFTER = 99",
        (f"{ENGINE}/test_pump_survives.py::test_runs_whose_worker_died_twice_are_tried_one_at_a_time",),
    ),
    Mutant(
        "commits an atomic action whose run was taken",
        "drive.py",
        "        if not journal.write([item]):\n            raise NotAwaitedError\n",
        "        journal.write([item])\n",
        (f"{ENGINE}/test_journal.py::test_an_atomic_action_whose_run_was_taken_meanwhile_leaves_no_effect",),
        needs_postgresql=True,
    ),
    Mutant(
        "sends what waits for a thread after a stop",
        "drive.py",
        "        for attempt in queued:\n            attempt.cancel()\n",
        "",
        (f"{ENGINE}/test_pump_survives.py::test_a_stop_does_not_wait_for_actions_that_were_not_sent_yet",),
    ),
    Mutant(
        "puts two transitions of one run into a statement",
        "group.py",
        "and item.run_id not in seen",
        "",
        (f"{ENGINE}/test_group.py::test_two_transitions_of_one_run_never_share_a_statement",),
    ),
    Mutant(
        "ends its group commit with an error",
        "group.py",
        "except Exception:  # whatever it is: without",
        "except ZeroDivisionError:  # without",
        (f"{ENGINE}/test_group.py",),
    ),
    Mutant(
        "stops when one run's rows cannot be read",
        "stored.py",
        "except Exception:  # rows written by other",
        "except ZeroDivisionError:  # rows written by other",
        (f"{ENGINE}/test_pump_survives.py::test_a_run_whose_rows_cannot_be_read_does_not_stop_the_others",),
    ),
    Mutant(
        "accepts a stale revision",
        "orders.py",
        "revision is not None and revision != run.revision",
        "False",
        (f"{FACES}/test_api_runs.py::test_a_stale_revision_is_refused",),
    ),
    Mutant(
        "does not look at orders that wait",
        "orders.py",
        "for order in waiting])",
        "for order in waiting[:0]])",
        (f"{FACES}/test_api_runs.py::test_a_second_cancel_is_refused_by_what_already_waits",),
    ),
    Mutant(
        "steals a run from its holder for an order",
        "inbox.py",
        "    if not has_live_lease:\n",
        "    if True:\n",
        (f"{ENGINE}/test_journal.py::test_an_order_does_not_steal_a_run_from_a_live_holder",),
    ),
    Mutant(
        "starts a second run under a used key",
        "commands.py",
        "start_key or facts.key or None",
        "None",
        (f"{FACES}/test_api_runs.py::test_a_business_key_starts_one_run",),
    ),
    Mutant(
        "lets runs come to a closed door all at once",
        "room.py",
        "min(last + gap, ",
        "min(last, ",
        (
            f"{ENGINE}/test_breaker.py::test_who_finds_no_place_comes_again_one_after_the_other_and_nobody_later_than_said",
        ),
    ),
    Mutant(
        "gives all its hands to one service",
        "room.py",
        "min(CALLS_MAX, max(1, max_concurrency // max(1, pumps)))",
        "max(1, max_concurrency // max(1, pumps))",
        (
            f"{ENGINE}/test_bulkheads.py::test_a_service_that_takes_every_call_and_answers_none_leaves_hands_free_for_others",
        ),
    ),
    Mutant(
        "gives the run of another input",
        "commands.py",
        "    if run.input_hash not in hashes:\n",
        "    if False:\n",
        (f"{FACES}/test_api_runs.py::test_a_business_key_with_other_input_is_refused",),
    ),
    Mutant(
        "takes another body under the same request key",
        "idempotency.py",
        "seen.request_hash not in hashes",
        "False",
        (f"{FACES}/test_api_runs.py::test_an_idempotency_key_with_another_body_is_refused",),
    ),
    Mutant(
        "starts a child for a driver that slept",
        "children.py",
        "filter(id=parent_id, token=token)",
        "filter(id=parent_id)",
        (f"{ENGINE}/test_sub_sagas.py::test_a_driver_that_slept_past_its_lease_starts_and_undoes_nothing",),
    ),
    Mutant(
        "starts a child each time",
        "children.py",
        "key=key, within=within",
        "key=key + str(token), within=within",
        (f"{ENGINE}/test_sub_sagas.py",),
    ),
    Mutant(
        "runs within each other without end",
        "children.py",
        "if depth >= DEPTH_MAX:",
        "if depth >= DEPTH_MAX + 1:",
        (f"{ENGINE}/test_sub_sagas.py::test_a_saga_that_runs_itself_ends",),
    ),
    Mutant(
        "does not cancel children",
        "relatives.py",
        "return Verb.CANCEL if m.TurnRequested in kinds or is_late else None",
        "return None",
        (f"{ENGINE}/test_sub_sagas.py::test_cancelling_the_parent_cancels_the_child",),
    ),
    Mutant(
        "does not terminate children",
        "relatives.py",
        "        return Verb.TERMINATE\n",
        "        return None\n",
        (f"{ENGINE}/test_sub_sagas.py::test_terminating_the_parent_terminates_the_child",),
    ),
    Mutant(
        "runs again under the same start key",
        "reruns.py",
        "max(numbers, default=1) + 1",
        "2",
        (f"{FACES}/test_reruns.py",),
    ),
    Mutant(
        "runs again what has not ended",
        "reruns.py",
        "    if run.status not in {",
        "    if not {1} and run.status not in {",
        (f"{FACES}/test_reruns.py",),
    ),
    Mutant(
        "takes the slot of a live pump",
        "slot.py",
        "PumpSlot.objects.filter(is_free, id=row.id",
        "PumpSlot.objects.filter(id=row.id",
        ("tests/workers", ENGINE),
    ),
)


def copy_tree(folder: Path) -> None:
    """Copy what is tracked, or would be, into `folder`."""
    answer = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, answer.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def is_noticed(folder: Path, mutant: Mutant) -> bool:
    """Break the copy, run the tests, mend it again; true when they failed."""
    path = folder / "sagas/engine" / mutant.file
    text = path.read_text()
    if text.count(mutant.said) != 1:
        raise SystemExit(f"{mutant.file} does not say {mutant.said!r} once: adapt the mutant “{mutant.what}”")
    environ = dict(os.environ)
    if mutant.needs_postgresql:
        environ["DATABASE_URL"] = find_postgresql() or ""
    path.write_text(text.replace(mutant.said, mutant.says))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests],
            cwd=folder, capture_output=True, timeout=GIVE_UP_S, check=False,
            env=environ | {"PYTHONPATH": str(folder)},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return True  # it never came to rest
    finally:
        path.write_text(text)
    if done.returncode not in {0, 1}:
        raise SystemExit(done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:])
    return done.returncode == 1


def main(words: str) -> int:
    """Return 0 when every mutant was noticed."""
    chosen = [one for one in MUTANTS if words in one.what]
    if find_postgresql() is None:
        print("!! left out for want of PostgreSQL: " + ", ".join(one.what for one in chosen if one.needs_postgresql))
        chosen = [one for one in chosen if not one.needs_postgresql]
    missed = []
    with tempfile.TemporaryDirectory(prefix="sagaweb-mutants-") as folder:
        copy_tree(Path(folder))
        for one in chosen:
            noticed = is_noticed(Path(folder), one)
            print(f"{'noticed' if noticed else 'NOT NOTICED'}: an engine that {one.what} ({one.file})", flush=True)
            missed += [] if noticed else [one.what]
    print(f"{len(chosen) - len(missed)} passed, {len(missed)} failed")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
