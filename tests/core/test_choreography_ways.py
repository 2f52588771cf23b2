"""Each way through a choreography is known when it is checked: held against going through all of them one by one."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import settings

from sagas.core import messages as m
from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.limits import EVENT_DEPTH_MAX, EVENTS_PER_RUN_MAX
from sagas.core.outcome import Error, Rejected, Succeeded
from sagas.core.vocabulary import AttemptKey
from tests.core.brute_force import drawn, faults, is_small, later_events
from tests.core.test_choreography_document import FACTS, small
from tests.core.test_law_choreography import Run

pytestmark = pytest.mark.pure

DRAWN = {"shop.do": ActionFacts()}
SOUND = ("left_undone", "no_end", "undoes_nothing")


def does(name: str, on: list[str], succeeded: str = "", rejected: str = "", **more) -> dict:
    emits = {key: kind for key, kind in (("succeeded", succeeded), ("rejected", rejected)) if kind}
    called = {} if more.get("external") else {"action": "shop.pay"}
    return {"name": name, "on": on, **called, **({"emits": emits} if emits else {}), **more}


def layers(count: int, width: int) -> str:
    """Each event has `width` reactions, all of which emit the next one."""
    return small(
        *(
            does(f"r{n}_{k}", [f"e{n}" if n else "go"], f"e{n + 1}" if n + 1 < count else "end", compensation="none")
            for n in range(count)
            for k in range(width)
        ),
        does("stop", ["go"], "end", "gone", compensation="none"),
    )


UNSOUND = [
    # Each time that a reaction is begun it succeeds or is refused on its own.
    (small(does("a", ["go"], "one", compensation="none"), does("b", ["go"], "two", compensation="none"),
           does("pay", ["one", "two"], "end", "gone")),
     ("reactions[2]: When `pay` is rejected (`gone`), the last event is `gone`, and `pay` stays done: "
     "let a reaction with `undoes: pay` follow, or say `compensation: none`.")),
    # Branches beside each other: the refusal of one undoes what the other did.
    (small(does("pay", ["go"], "end"), does("ship", ["go"], "end", "gone")),
     ("reactions[0]: When `ship` is rejected (`gone`), the last event is `gone`, and `pay` stays done: "
     "let a reaction with `undoes: pay` follow, or say `compensation: none`.")),
    # An event from outside may still end it, but it is not for that event to undo what was done before a refusal.
    (small(does("keep", ["go"]), does("pay", ["go"], rejected="no", compensation="none"),
           does("tell", ["no"], compensation="none"),
           completes_on=["closed"], compensated_on=["lost"], publishes={"outside": ["go", "closed", "lost"]}),
     ("reactions[0]: When `pay` is rejected (`no`), the last event is `no`, and `keep` stays done: "
     "let a reaction with `undoes: keep` follow, or say `compensation: none`.")),
    # What another reaction undoes must be seen to be undone, whatever it writes.
    (small(does("pay", ["go"], "paid", compensation="none"), does("pack", ["paid"], "packed", "gone"),
           does("ship", ["packed"], "end", "stuck"), does("refund", ["stuck"], "back", undoes="pay"),
           does("unpack", ["back"], "gone", undoes="pack")),
     ("reactions[0]: When `pack` is rejected (`gone`), the last event is `gone`, and `pay` stays done: "
     "`refund` must follow there as well.")),
    # What undoes follows although nothing was done.
    (small(does("pay", ["go"], "end", "no"), does("refund", ["no"], "gone", undoes="pay")),
     ("reactions[1].undoes: When `pay` is rejected (`no`), the last event is `gone`, and `pay` is undone more often "
     "than it was done: the run stays open, since a success may still be told. Let what undoes it follow only where "
     "it was done.")),
    (small(does("keep", ["go"]), does("ship", ["paid"], "end"), does("free", ["cancelled"], "gone", undoes="keep"),
           publishes={"outside": ["go", "paid", "cancelled"]}),
     ("reactions[1]: Where `paid` and `cancelled` both come, the run is compensated, and `ship` stays done. "
     "The services must see to it that only one of them counts.")),
    (small(does("pay", ["go"], rejected="gone", external=True), does("tell", ["go"], "end")),
     "reactions[0].emits: Nothing tells that `pay` succeeded, so the run waits for ever: it emits `succeeded` too."),
    (small(does("pay", ["go"], "end"), does("ship", ["go"], "end", "gone"),
           does("refund", ["gone"], undoes="pay", external=True)),
     "reactions[2].emits: Nothing tells that `pay` is undone, so the run waits for ever: let it emit `succeeded`."),
    (small(does("pay", ["go"], external=True), does("ship", ["go"], "end", "gone"),
           does("refund", ["gone"], undoes="pay")),
     "reactions[0].emits: Nothing tells that `pay` was done, which `refund` undoes: let it emit `succeeded`."),
    (layers(EVENT_DEPTH_MAX + 2, 1),
     (f"starts_on[0]: Up to {EVENT_DEPTH_MAX + 2} reactions follow from each other here, and at most "
     f"{EVENT_DEPTH_MAX + 1} are carried out: those after them would wait for a person.")),
    (layers(20, 2), f"starts_on[0]: Up to 2097152 events follow from `go`, and a run takes {EVENTS_PER_RUN_MAX}."),
]  # fmt: skip


def without_line(problem) -> str:
    return f"{problem.path}: {problem.message}"


@pytest.mark.parametrize(("text", "message"), UNSOUND, ids=range(len(UNSOUND)))
def test_a_choreography_that_would_leave_something_is_told(text, message):
    checked = check_source(text, FACTS)
    assert message in [without_line(one) for one in (*checked.problems, *checked.warnings)]


def test_as_many_reactions_may_follow_from_each_other_as_are_carried_out():
    assert check_source(layers(EVENT_DEPTH_MAX + 1, 1), FACTS).problems == ()


def test_branches_that_need_no_undo_are_all_followed_however_many_there_are():
    """Sixty reactions that may be refused have 2^60 ways; what these come to is little."""
    rows = [does(f"r{n}", ["go"], "end", "gone", compensation="none") for n in range(60)]
    checked = check_source(small(*rows), FACTS)
    assert (checked.problems, checked.warnings) == ((), ())


def test_the_checks_find_what_going_through_every_way_finds_and_nothing_else():
    seen = Counter()
    for seed in range(3 * settings.default.max_examples):
        document = drawn(random.Random(seed))
        if not is_small(document):
            continue
        checked = check_source(json.dumps(document), DRAWN)
        codes = {one.code for one in (*checked.problems, *checked.warnings)}
        if codes - {*SOUND, "events_cross"}:
            continue
        dice, later = random.Random(seed), later_events(document)
        expected = faults(document, ["go"], dice).union(*(faults(document, ["go", kind], dice) for kind in later))
        if "left_undone" in expected:
            codes.discard("no_end")
            expected.discard("no_end")  # what is left is said first
        assert codes & {*SOUND} == expected, (seed, document, [str(one) for one in checked.problems])
        seen["accepted" if checked.document else "refused"] += 1
        seen["undoing"] += checked.document is not None and any("undoes" in one for one in document["reactions"])
    assert min(seen["accepted"], seen["refused"], seen["undoing"]) > settings.default.max_examples // 2, seen


def carry_out(run: Run, kinds: list[str], dice: random.Random) -> None:
    """Bring events from outside, and let each reaction succeed or, where it says so, be refused, in any order."""
    for kind in kinds:
        run.event(kind)
    while run.state.awaiting:
        run.now += timedelta(seconds=1)
        key, phase = dice.choice(sorted(run.state.awaiting))
        may_refuse = run.definition.choreography.by_name[key.step].rejected != ""
        outcome = Rejected(Error("no", "no")) if may_refuse and dice.random() < 0.4 else Succeeded(None)
        number = run.state.step(key).half(phase).number
        run.do(m.ReportOutcome(AttemptKey(key.step, key.item, phase, number), outcome, run.now))


def test_runs_of_what_is_accepted_without_a_warning_end_by_themselves():
    """The decider is held against the checks: `Run` asserts the law after each decision."""
    ends = Counter()
    for seed in range(3 * settings.default.max_examples):
        document = drawn(random.Random(seed))
        checked = check_source(json.dumps(document), DRAWN)
        if checked.document is None or checked.warnings or later_events(document):
            continue
        definition = compile_document(checked.document, DRAWN)
        for number in range(4):
            run = Run(definition)
            carry_out(run, ["go"], random.Random(number))
            assert run.state.status.is_final, (seed, number, run.state.status, document)
            ends[str(run.state.status)] += 1
    assert {*ends} == {"completed", "compensated"}, ends
    assert min(ends.values()) > 10, ends
