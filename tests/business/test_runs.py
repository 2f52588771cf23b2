"""Each example saga driven by a real pump through its failure matrix: it ends as simulated, and the books agree.

The waits of the policies are cut short; the rest is the file as it is.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from business import effects
from business.models import Account, Booking, Movement, Supply, Trouble
from django.apps import apps
from django.db.models import Sum
from ruamel.yaml import YAML

from sagas.catalog.publish import publish
from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import Case, failure_matrix
from sagas.core.vocabulary import StepKey, StepStatus
from sagas.engine.commands import start_run
from sagas.models import SagaRun
from sagas.participants import registry
from tests.business.cases import EXAMPLES
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("companies")]
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.saga)

PLAYED = {Case.NOTHING, Case.REJECTED, Case.FAILED, Case.UNKNOWN_BEFORE, Case.UNKNOWN_AFTER, Case.COMPENSATION_FAILS}
SHORT = {"initial": "5ms", "max": "10ms", "jitter": 0}
TIMES = 12  # what the simulation finds to be tried for ever fails this often here, and then works


@pytest.fixture
def companies(transactional_db):
    apps.get_app_config("business").load_demo()


def hurried(example) -> str:
    """Return the document with all waits between attempts cut short."""
    document = YAML(typ="safe").load(example.path)
    defaults = document.setdefault("defaults", {})
    for holder in (defaults, *document["steps"], *(step.get("compensation") for step in document["steps"])):
        if isinstance(holder, dict):
            for name in ("retry", "compensation_retry"):
                if name in holder or (holder is defaults):
                    holder[name] = {**holder.get(name, {}), **SHORT}
    return json.dumps(document)


def compiled(source: str):
    return compile_document(check_source(source, registry.facts()).document, registry.facts())


def mode_of(fault: Any) -> str:
    if isinstance(fault, str):
        return fault
    return Trouble.UNKNOWN_AFTER if fault["happened"] else Trouble.UNKNOWN_BEFORE


def playable(definition, rows):
    """Leave out what a participant cannot play: lost workers, orders, and readers, which are never in doubt."""
    for row in rows:
        is_doubtful_reader = row.step and not definition.by_name[row.step].writes and row.case.startswith("unknown")
        if row.case in PLAYED and not row.orders and not is_doubtful_reader:
            yield row


def begin(example, row, ref: str, **changes: Any):
    is_endless = row is not None and row.simulation.status == "still_retrying"
    for half, fault in (row.faults if row else {}).items():
        Trouble.objects.create(ref=ref, half=half, mode=mode_of(fault), times=TIMES if is_endless else 0)
    return start_run(example.saga, example.input_for(ref, **changes)).run


def expected(definition, simulation) -> tuple[str, list[str]]:
    """Return the status a run must come to, and the steps whose effects must stand then."""
    states = {step.name: simulation.state.step(StepKey(step.name)) for step in definition.steps}
    done = [step.name for step in definition.steps if step.writes and states[step.name].status is StepStatus.SUCCEEDED]
    if simulation.status == "completed":
        return "completed", sorted(done)
    if simulation.status == "still_retrying":  # in life it works in the end, and the rest follows
        skipped = {name for name, state in states.items() if state.status is StepStatus.SKIPPED}
        return "completed", sorted(step.name for step in definition.steps if step.writes and step.name not in skipped)
    return simulation.status.value, sorted(one.step for one in simulation.leftovers if one.is_certain)


def are_at_rest() -> bool:
    """Whether no run moves by itself any more (one that waits for a person is due again at its deadline)."""
    return not SagaRun.objects.exclude(status__in={"completed", "compensated", "needs_attention"}).exists()


def assert_the_books_agree() -> None:
    """Nothing was made of nothing: every sum follows from what stands."""
    standing = {"undone_at": None}
    for account in Account.objects.all():
        moved = {
            side: Movement.objects.filter(**standing, **{side: account}).aggregate(sum=Sum("amount"))["sum"] or 0
            for side in ("payer", "payee")
        }
        assert account.balance == account.opening - moved["payer"] + moved["payee"], account
    assert sum(Account.objects.values_list("balance", flat=True)) == sum(
        Account.objects.values_list("opening", flat=True)
    )
    for supply in Supply.objects.all():
        taken = Booking.objects.filter(supply=supply, **standing).aggregate(sum=Sum("quantity"))["sum"] or 0
        assert supply.free == supply.total - taken, supply


@each
def test_it_ends_in_life_as_on_paper_and_the_books_agree(example):
    source = hurried(example)
    definition = compiled(source)
    publish(source, by="tests")
    wanted = {}
    for way, changes in enumerate(({}, *example.also)):
        rows = failure_matrix(definition, example.input_for("case", **changes))
        for number, row in enumerate(playable(definition, rows)):
            run = begin(example, row, f"case-{way}-{number}", **changes)
            wanted[run.id] = (f"{row.step} {row.case}", *expected(definition, row.simulation))
    drive(are_at_rest)
    found = {run: (told, fetch(run).status, effects.standing(str(run))) for run, (told, *_) in wanted.items()}
    assert found == wanted
    assert [fault for run in wanted for fault in faults_of(run)] == []
    assert_the_books_agree()


@pytest.mark.parametrize(
    ("example", "step", "changes"),
    [pytest.param(one, *refusal, id=f"{one.saga}-{refusal[0]}") for one in EXAMPLES for refusal in one.refusals],
)
def test_what_a_participant_refuses_by_itself_leaves_nothing_behind(example, step, changes):
    publish(hurried(example), by="tests")
    run = begin(example, None, "refused", **changes)
    drive(are_at_rest)
    row = fetch(run)
    assert (row.status, row.reason["step"], row.reason["code"]) == ("compensated", step, row.reason["code"])
    assert row.reason["code"] in {"too_little", "sold_out", "no_such_account"}
    assert effects.standing(str(run.id)) == []
    assert faults_of(run) == []
    assert_the_books_agree()


@each
def test_an_answer_that_is_lost_once_repeats_no_effect(example):
    """Each step, and each compensation, of one run after the other: done, nobody told, asked again."""
    source = hurried(example)
    definition = compiled(source)
    publish(source, by="tests")
    refs = {step.name: f"lost-{step.name.replace('_', '-')}" for step in definition.steps}
    forward = {step: begin(example, None, ref).id for step, ref in refs.items()}
    backward = begin(example, None, "lost-undoing").id
    last = definition.steps[-1].name if definition.pivot is None else definition.pivot
    Trouble.objects.create(ref="lost-undoing", half=last, mode=Trouble.REJECTED)
    for step in definition.steps:
        Trouble.objects.create(ref=refs[step.name], half=step.name, mode=Trouble.UNKNOWN_AFTER, times=1)
        half = f"{step.name}.compensation"
        Trouble.objects.create(ref="lost-undoing", half=half, mode=Trouble.UNKNOWN_AFTER, times=1)
    drive(are_at_rest)
    _, standing = expected(definition, failure_matrix(definition, example.input_for("case"))[0].simulation)
    assert {step: effects.standing(str(run)) for step, run in forward.items()} == dict.fromkeys(forward, standing)
    assert {fetch(run).status for run in forward.values()} == {"completed"}
    assert (fetch(backward).status, effects.standing(str(backward))) == ("compensated", [])
    assert [fault for run in (*forward.values(), backward) for fault in faults_of(run)] == []
    assert_the_books_agree()
