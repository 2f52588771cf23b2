"""What can go wrong, on a page: of a published version for everybody, of a text that is edited for its author."""

from __future__ import annotations

import json

import pytest

from sagas.catalog.publish import publish
from sagas.core.simulation import SimulatedStatus
from sagas.dashboard import simulation
from sagas.models import Saga, SagaRun
from sagas.presentation.failures import _look
from tests.choreography.documents import WATCHED
from tests.faces.conftest import SOURCE, sign_in

pytestmark = pytest.mark.django_db
PAGE = "/sagas/order/versions/1/simulate/"
HOSTILE = "<script>alert(1)</script>"


def cases(page) -> list[tuple]:
    """Return what the page shows: what goes wrong with what, and how it ends."""
    return [(line.step, line.case, line.look.value) for line in page.context["lines"]]


def test_a_viewer_sees_every_failure_of_an_orchestration():
    publish(SOURCE, by="dora")
    page = sign_in("bob").get(PAGE)
    assert page.status_code == 200
    assert cases(page)[0] == ("", "nothing goes wrong", "completed")
    assert ("ship", "rejected", "compensated") in cases(page)
    assert "What can go wrong" in page.text
    assert "Missing" not in page.text, "only events are missed"
    assert not SagaRun.objects.exists()


def test_a_viewer_sees_who_undoes_and_who_is_missed_in_a_choreography():
    publish(WATCHED, by="dora")
    client = sign_in("bob")
    page = client.get(PAGE)
    assert ("ship", "its service says nothing", "needs_attention") in cases(page)
    for said in ("reserve_stock by restore_stock", "stock.restored from inventory (restore_stock)", "30 m 00 s"):
        assert said in page.text
    assert f'href="{PAGE}"' in client.get("/sagas/order/").text
    assert f'href="{PAGE}"' in client.get("/sagas/order/versions/1/").text
    assert client.get(PAGE, {"input": '{"order_id": "9"}'}).context["definition"].saga == "order"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("{", "This is not JSON."),
        ("[" * 100_000, "This is not JSON."),
        ("{}", "correlate"),
        ('"\\u0000"', "U+0000"),
        (json.dumps({"order_id": HOSTILE * 20}), "correlate"),
    ],
)
def test_data_that_begins_no_run_is_refused_beside_what_was_typed(typed, said):
    publish(WATCHED, by="dora")
    page = sign_in("bob").get(PAGE, {"input": typed})
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text
    assert any(said in one for one in page.context["refusals"])
    assert HOSTILE not in page.text


def test_a_text_is_tried_before_it_is_published():
    client = sign_in("dora")
    page = client.post("/sagas/actions/simulate/", {"source": WATCHED.replace("\n", "\r\n"), "base": 0})
    assert ("take_payment", "rejected", "compensated") in cases(page)
    again = {"source": page.context["source"], "input": '{"order_id": "9"}'}
    assert len(cases(client.post("/sagas/actions/simulate/", again))) == len(cases(page))
    assert not Saga.objects.exists()
    assert 'formaction="/sagas/actions/simulate/"' in client.get("/sagas/actions/new/").text


def test_what_is_wrong_with_a_text_is_said_in_the_editor():
    publish(SOURCE, by="dora")
    client = sign_in("dora")
    for place in ("/sagas/actions/simulate/", "/sagas/order/actions/simulate/"):
        page = client.post(place, {"source": "saga: order\nsteps: []\n", "base": 1})
        assert page.status_code == 422
        assert page.context["editor"].problems


def test_who_may_not_look_or_write_is_refused():
    publish(SOURCE, by="dora")
    assert sign_in("charlie").get(PAGE).status_code == 403
    viewer, operator = sign_in("bob"), sign_in("alice")
    for place in ("/sagas/actions/simulate/", "/sagas/order/actions/simulate/"):
        assert viewer.post(place, {"source": SOURCE}).status_code == 403
        assert operator.post(place, {"source": SOURCE}).status_code == 403
    assert viewer.get("/sagas/order/versions/2/simulate/").status_code == 404
    assert viewer.get("/sagas/other/versions/1/simulate/").status_code == 404
    assert viewer.post(PAGE).status_code == 405


def test_a_saga_that_takes_too_long_is_shown_in_part(monkeypatch):
    publish(WATCHED, by="dora")
    monkeypatch.setattr(simulation, "SIMULATION_S_MAX", -1.0)
    page = sign_in("bob").get(PAGE)
    assert (page.status_code, cases(page)) == (200, [])
    assert "tries them all" in page.text


def test_every_end_of_a_simulation_has_a_look():
    assert {_look(status).value for status in SimulatedStatus} >= {"waiting", "still_retrying", "cut_short", "paused"}
