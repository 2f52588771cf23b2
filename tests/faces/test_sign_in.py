"""The door: password, one-time link, sign-out; where it leads to, and where it never leads."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from sagas import access
from sagas.models import SignInLink
from tests.faces.conftest import make_person, sign_in

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def bob():
    person = make_person("bob")
    person.set_password(PASSWORD)
    person.save()
    return person


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def enter(client: Client, path: str = "/sign-in/", **fields: str):
    return client.post(path, {"username": "bob", "password": PASSWORD} | fields)


def test_the_right_password_opens(bob):
    client = Client()
    answer = enter(client)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_signed_in(client)


def test_a_wrong_password_says_so_and_keeps_the_name(bob):
    client = Client()
    answer = enter(client, password="wrong")
    assert not is_signed_in(client)
    assert 'value="bob"' in answer.text
    assert 'role="alert"' in answer.text


def test_five_wrong_tries_shut_the_door_for_a_while_even_for_the_right_password(bob):
    client = Client()
    for _ in range(5):
        enter(client, password="wrong")
    answer = enter(client)
    assert answer.status_code == 429
    assert not is_signed_in(client)


def test_the_way_back_is_kept(bob):
    client = Client()
    to_door = client.get("/sagas/")
    assert to_door["Location"] == "/sign-in/?next=/sagas/"
    assert 'name="next" value="/sagas/"' in client.get(to_door["Location"]).text
    assert enter(client, next="/sagas/")["Location"] == "/sagas/"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "\x00",
    ],
)
def test_the_door_never_leads_to_another_site(bob, target):
    assert enter(Client(), next=target)["Location"] == "/"


def test_looking_at_a_link_does_not_use_it_up(bob):
    path = f"/sign-in/{access.make_sign_in_link(bob)}/"
    client = Client()
    for _ in range(3):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
    client.head(path)
    assert not is_signed_in(client)
    assert client.post(path)["Location"] == "/"
    assert is_signed_in(client)


def test_a_link_works_once(bob):
    path = f"/sign-in/{access.make_sign_in_link(bob)}/"
    Client().post(path)
    late = Client()
    answer = late.post(path)
    assert answer.status_code == 410
    assert not is_signed_in(late)


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_used_link_offers_nothing_to_press(bob, method):
    path = f"/sign-in/{access.make_sign_in_link(bob)}/"
    assert "Sign in as bob" in Client().get(path).text
    Client().post(path)
    answer = getattr(Client(), method)(path)
    assert answer.status_code == 410
    assert "Sign in as" not in answer.text
    assert Client().get("/sign-in/invented/").status_code == 410


def test_a_link_whose_time_is_over_does_not_work(bob):
    path = f"/sign-in/{access.make_sign_in_link(bob)}/"
    SignInLink.objects.update(expires_at=timezone.now())
    assert Client().post(path).status_code == 410


def test_an_invented_link_does_not_work(bob):
    assert Client().post("/sign-in/invented/").status_code == 410


def test_a_link_of_somebody_switched_off_does_not_work(bob):
    path = f"/sign-in/{access.make_sign_in_link(bob)}/"
    get_user_model().objects.update(is_active=False)
    client = Client()
    assert client.post(path).status_code == 410
    assert not is_signed_in(client)


def test_a_link_needs_the_press_of_our_own_button(bob):
    path = f"/sign-in/{access.make_sign_in_link(bob)}/"
    assert Client(enforce_csrf_checks=True).post(path).status_code == 403
    assert Client().post(path).status_code == 302, "and was not used up by that"


def test_signing_out_takes_a_press_and_ends_the_session():
    client = sign_in("bob")
    assert client.get("/sign-out/").status_code == 405
    assert is_signed_in(client)
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert not is_signed_in(client)


def test_the_door_needs_no_script_and_no_style_of_its_own():
    text = Client().get("/sign-in/").text
    assert "<script" not in text
    assert "style=" not in text
    assert 'autocomplete="current-password"' in text
