"""The keys that redacted values are sealed with: changed, lost, and found again."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet

from sagas import NoEffect
from sagas.catalog import load
from sagas.catalog.publish import publish
from sagas.core.sealed import MASK, Hidden
from sagas.core.vocabulary import Verb
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, give_order
from sagas.models import JournalEntry, SagaVersion, StepRun
from sagas.sealing import opened, seal
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch
from tests.redacted import BEHAVIOUR, CALLS, CARD, INPUT, PIN, SOURCE, TOKEN, assert_no_table_tells, refuse_telling


@pytest.fixture(autouse=True)
def _fresh():
    CALLS.clear()
    BEHAVIOUR.clear()


@pytest.fixture
def started(transactional_db):
    publish(SOURCE.replace("KIND", "call"), by="tests")
    return start_run("charge", INPUT).run


# ---- keys ----------------------------------------------------------------------


def test_a_former_key_still_opens(started, settings):
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    drive()
    assert fetch(started).status == "completed"
    assert CALLS[0] == ("pay:action", {"card": {"number": CARD, "pin": PIN}, "order": "A-1"})
    assert faults_of(started) == []


def test_a_lost_key_is_said_and_nothing_is_sent(started, settings):
    """The input cannot be read, so the step fails for good; nothing was done, so nothing is to be undone."""
    settings.SECRET_KEY = "another"
    drive()
    assert fetch(started).status == "compensated"
    error = StepRun.objects.get(run=started, step="pay").error
    assert error["message"].startswith("a redacted value cannot be read here")
    assert CALLS == []


def test_a_key_lost_under_way_asks_a_person_who_can_put_it_back(started, settings):
    known = settings.SECRET_KEY

    def lose(_call, _arguments):
        raise NoEffect("later")

    BEHAVIOUR["ship:action"] = lose
    BEHAVIOUR["pay:compensation"] = lose
    drive()
    run = fetch(started)
    assert run.status == "needs_attention"
    settings.SECRET_KEY = "another"
    BEHAVIOUR.clear()
    CALLS.clear()
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    assert fetch(run).status == "needs_attention"
    error = StepRun.objects.get(run=run, step="pay").error
    assert (error["code"], error["message"]) == (
        "redacted_lost",
        "Not sent: a redacted value cannot be read here: it was sealed with a secret key that is not known any more.",
    )
    assert CALLS == []
    settings.SECRET_KEY = known
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    assert fetch(run).status == "compensated"
    assert [arguments for _, arguments in CALLS] == [{"number": CARD}]
    assert faults_of(run) == []


def test_without_its_version_a_run_is_written_as_it_is_sealed(started, settings):
    """A worker that cannot read the definition knows of no redaction, so it opens nothing."""
    BEHAVIOUR["ship:action"] = lambda *_: (_ for _ in ()).throw(NoEffect("later"))
    BEHAVIOUR["pay:compensation"] = refuse_telling
    drive()
    SagaVersion.objects.update(document={"saga": "charge"})
    load._hashes.clear()
    load._compiled.clear()
    give_order(started.id, Verb.TERMINATE, by="alice", ask=Ask(reason="enough"))
    assert fetch(started).status == "terminated"
    assert_no_table_tells()
    assert StepRun.objects.get(run=started, step="pay").output == {"token": MASK, "id": 7}
    assert opened(StepRun.objects.get(run=started, step="pay").output) == {"token": TOKEN, "id": 7}


# ---- sealing -------------------------------------------------------------------


def test_sealing_twice_gives_two_texts_and_both_open():
    one, other = seal({"a": [1, None, "é"]}), seal({"a": [1, None, "é"]})
    assert one.token != other.token
    assert (str(one), repr(one), json.dumps([one], ensure_ascii=False)) == (MASK, f"'{MASK}'", f'["{MASK}"]')
    assert opened([one, {"b": other}]) == [{"a": [1, None, "é"]}, {"b": {"a": [1, None, "é"]}}]
    assert opened(seal({"in": seal(CARD)})) == {"in": CARD}


def test_what_cannot_be_opened_stays_hidden_and_is_written_as_it_was(started):
    stranger = Hidden(Fernet(Fernet.generate_key()).encrypt(b"1").decode())
    assert opened({"a": stranger})["a"] is stranger
    entry = JournalEntry.objects.get(run=started, sequence=1)
    entry.data["input"]["card"]["pin"] = stranger
    JournalEntry.objects.filter(run=started, sequence=1).update(data=entry.data)
    again = JournalEntry.objects.get(run=started, sequence=1).data["input"]["card"]["pin"]
    assert (again, again.token) == (MASK, stranger.token)
    assert opened(JournalEntry.objects.get(run=started, sequence=1).data)["input"]["card"]["number"] == CARD
