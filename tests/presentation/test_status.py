from __future__ import annotations

import pytest
from lucide.templatetags.lucide import lucide

from sagas.core.vocabulary import CompensationStatus, OutcomeKind, RunStatus, StepStatus
from sagas.presentation import status
from sagas.templatetags.show import ICONS

TABLES = (
    (RunStatus, status.RUN_LOOKS),
    (StepStatus, status.STEP_LOOKS),
    (CompensationStatus, status.COMPENSATION_LOOKS),
    (OutcomeKind, status.OUTCOME_LOOKS),
)


@pytest.mark.parametrize(("vocabulary", "looks"), TABLES)
def test_every_status_has_a_look(vocabulary, looks):
    assert set(looks) == {member.value for member in vocabulary}


@pytest.mark.parametrize("looks", [table[1] for table in TABLES[:3]])
def test_no_two_statuses_share_both_silhouette_and_colour(looks):
    seen = [(look.icon, look.tone) for look in looks.values() if look.value not in {"none", "pending"}]
    assert len(seen) == len(set(seen))


def test_a_compensated_run_is_never_red():
    assert status.run_look("compensated").tone is status.Tone.COMPENSATION
    assert status.run_look("compensated").is_final


def test_a_status_nobody_knows_is_grey_and_shows_its_raw_name():
    look = status.step_look("levitating_now")
    assert (look.label, look.tone, look.icon) == ("levitating now", status.Tone.NEUTRAL, status.UNKNOWN_ICON)


def test_a_paused_run_looks_paused_until_it_ends():
    assert status.run_look("running", is_paused=True) is status.PAUSED
    assert status.run_look("completed", is_paused=True).value == "completed"
    assert status.run_look("needs_attention", is_paused=True).value == "needs_attention"


def test_every_icon_of_a_status_is_in_the_sprite():
    assert set(status.ICONS) <= set(ICONS)
    assert all(lucide(name) for name in ICONS)
