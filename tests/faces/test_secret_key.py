"""A new secret key: read from the environment, and what was signed with the former one."""

from __future__ import annotations

import pytest

from sagaweb import env
from tests.faces.conftest import sign_in


@pytest.mark.parametrize(("text", "expected"), [("", ()), ("a", ("a",)), (" older  oldest\n", ("older", "oldest"))])
def test_former_keys_are_read_newest_first(tmp_path, text, expected):
    found = env.read({"SAGAWEB_SECRET_KEY": "new", "SAGAWEB_SECRET_KEY_FALLBACKS": text}, tmp_path)
    assert (found.secret_key, found.secret_key_fallbacks) == ("new", expected)


def test_a_session_outlives_its_key_while_that_is_a_former_one(db, settings):
    bob = sign_in("bob")
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = [former]
    assert bob.get("/services/").status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert bob.get("/services/").status_code == 200  # signed anew by the visit before


def test_a_session_whose_key_is_lost_is_nobodys(db, settings):
    bob = sign_in("bob")
    settings.SECRET_KEY = "another"
    assert bob.get("/services/").status_code == 302
