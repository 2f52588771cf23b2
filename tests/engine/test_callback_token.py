"""Tokens of callbacks: what they name, and that nobody else can make one."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest
from django.urls import reverse

from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase
from sagas.engine import callback_token

RUN = UUID(int=7)
ATTEMPT = AttemptKey("reserve", 3, Phase.COMPENSATION, 2)


def test_a_token_names_its_attempt_and_its_address_is_ours(settings):
    settings.SAGAWEB_BASE_URL = "https://sagas.example.org/"
    made = callback_token.make_token(RUN, ATTEMPT, 4)
    assert callback_token.read_token(made) == (RUN, ATTEMPT, 4)
    assert callback_token.callback_url(RUN, ATTEMPT, 4) == "https://sagas.example.org" + reverse(
        "sagas:api-callback", args=[made]
    )
    longest = AttemptKey("s" * 64, 9_999, Phase.ACTION, 2**31)
    made = callback_token.make_token(RUN, longest, 2**31)
    assert len(made) <= 190
    assert callback_token.read_token(made) == (RUN, longest, 2**31)
    settings.SAGAWEB_BASE_URL = ""
    assert callback_token.callback_url(RUN, ATTEMPT, 4) == ""


def test_every_change_of_a_token_makes_it_nobodys():
    made = callback_token.make_token(RUN, ATTEMPT, 4)
    raw = base64.urlsafe_b64decode(made + "=" * (-len(made) % 4))
    for place in range(len(raw)):
        for bit in (1, 128):
            other = bytearray(raw)
            other[place] ^= bit
            text = base64.urlsafe_b64encode(bytes(other)).rstrip(b"=").decode()
            assert callback_token.read_token(text) is None, place


@pytest.mark.parametrize(
    "token",
    [
        "", "x", "A" * 43, "A" * 44, "A" * 200, "A" * 100_000, "ü" * 50, "a b", "%00", "\0", "..", "a/b", "=" * 8,
        "--", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_token_is_nobodys(token):
    assert callback_token.read_token(token) is None


def test_a_token_written_in_another_way_is_nobodys():
    made = callback_token.make_token(RUN, ATTEMPT, 4)
    assert len(made) % 4, "its last character has bits to spare"
    last = made[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [made[:-1] + one for one in alphabet if one != last]
    assert [one for one in (*others, made + "=", made + "\n", f" {made}") if callback_token.read_token(one)] == []


def test_each_part_of_an_attempt_is_in_its_token():
    made = {
        callback_token.make_token(run, attempt, edition)
        for run in (RUN, UUID(int=8))
        for attempt in (
            ATTEMPT, ATTEMPT._replace(step="other"), ATTEMPT._replace(item=NO_ITEM),
            ATTEMPT._replace(phase=Phase.ACTION), ATTEMPT._replace(number=1),
        )
        for edition in (4, 5)
    }  # fmt: skip
    assert len(made) == 2 * 5 * 2


def test_a_token_of_an_earlier_key_holds_until_that_is_forgotten(settings):
    settings.SECRET_KEY = "the first one, long enough to be one"
    made = callback_token.make_token(RUN, ATTEMPT, 4)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the second one, long enough to be one"
    assert callback_token.read_token(made) == (RUN, ATTEMPT, 4)
    settings.SECRET_KEY_FALLBACKS = []
    assert callback_token.read_token(made) is None


def test_every_key_is_tried_whatever_the_first_one_says(settings, monkeypatch):
    settings.SECRET_KEY_FALLBACKS = ["another one", "and another"]
    compared = []
    compare = callback_token.hmac.compare_digest
    monkeypatch.setattr(
        callback_token.hmac, "compare_digest", lambda one, other: compared.append(1) or compare(one, other)
    )
    callback_token.read_token(callback_token.make_token(RUN, ATTEMPT, 4))
    callback_token.read_token("nonsense")
    assert len(compared) == 6
