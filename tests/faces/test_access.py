"""Roles, tokens, sign-in links; and that a stranger gets nowhere, whatever the address."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from sagas import access
from sagas.core.vocabulary import Role
from sagas.models import ApiToken, SignInLink
from tests.faces.conftest import make_person, sign_in

# Open to everybody on purpose: the door itself, light or dark, what watches the machine, and callbacks,
# whose address is the right (test_callbacks.py).
PUBLIC = {"api-callback", "sign-in", "sign-in-link", "sign-out", "theme", "livez", "readyz", "login", "logout"}
SAMPLES = {"uuid": UUID(int=7), "slug": "order", "int": 1, "str": "x", "path": "x/"}


def addresses(resolver=None, prefix: str = "/") -> list[tuple[str, str]]:
    """Return (name, address) of every pattern of the project, with sample values put in."""
    found = []
    for one in (resolver or get_resolver()).url_patterns:
        route = str(one.pattern).removeprefix("^").removesuffix("$")
        route = re.sub(r"\(\?P<\w+>[^)]*\)", "x", route)
        route = re.sub(r"<(?:(\w+):)?\w+>", lambda hit: str(SAMPLES[hit[1] or "str"]), route)
        if hasattr(one, "url_patterns"):
            found += addresses(one, prefix + route)
        else:
            found.append((one.name or "", prefix + route))
    return found


GUARDED = sorted({(name, address) for name, address in addresses() if name not in PUBLIC})


def is_refused(answer) -> bool:
    """The caller was sent to sign in, refused, or told that the method is not known here."""
    if answer.status_code == 302:
        return any(place in answer.headers["Location"] for place in ("/sign-in", "/admin/login"))
    return answer.status_code in {401, 403, 405}


def test_the_list_of_addresses_is_not_empty():
    assert {"api-runs", "api-run", "api-cancel", "api-docs", "sagas_sagarun_changelist"} <= {
        name for name, _ in GUARDED
    }


@pytest.mark.parametrize("address", [address for _, address in GUARDED])
def test_charlie_the_stranger_gets_nowhere(db, address):
    charlie = sign_in("charlie")
    for answer in (charlie.get(address), charlie.post(address, {}, content_type="application/json")):
        assert is_refused(answer), (answer.status_code, answer.content[:200])


@pytest.mark.parametrize("address", [address for _, address in GUARDED])
def test_nobody_gets_nowhere(db, address):
    for answer in (Client().get(address), Client().post(address, {}, content_type="application/json")):
        assert is_refused(answer), (answer.status_code, answer.content[:200])


# ---- roles ------------------------------------------------------------------


def test_the_four_groups_are_there_after_migrate(db):
    assert set(Group.objects.values_list("name", flat=True)) == {role.value for role in Role}


@pytest.mark.parametrize("role", Role)
def test_each_role_includes_those_before_it(db, role):
    person = make_person("charlie")
    access.grant_role(person, role)
    assert access.role_of(person) is role
    assert [access.has_role(person, other) for other in Role] == [
        list(Role).index(other) <= list(Role).index(role) for other in Role
    ]


def test_the_strongest_of_several_roles_counts(db):
    person = make_person("bob")
    person.groups.add(Group.objects.get(name="author"))
    assert access.role_of(person) is Role.AUTHOR


def test_a_superuser_is_an_admin(db):
    person = make_person("charlie")
    person.is_superuser = True
    assert access.role_of(person) is Role.ADMIN


def test_a_switched_off_person_and_nobody_have_no_role(db):
    person = make_person("erin")
    person.is_active = False
    assert access.role_of(person) is None
    assert access.role_of(AnonymousUser()) is None


def test_a_group_of_another_name_is_no_role(db):
    person = make_person("charlie")
    person.groups.add(Group.objects.create(name="superadmin"))
    assert access.role_of(person) is None


def test_taking_a_role_away_takes_the_admin_away_too(db):
    person = make_person("alice")
    assert person.is_staff
    access.grant_role(person, None)
    person.refresh_from_db()
    assert (access.role_of(person), person.is_staff) == (None, False)


# ---- tokens -----------------------------------------------------------------


def test_a_token_is_found_by_itself_and_stored_nowhere(db):
    raw = access.make_token("laptop", Role.OPERATOR, None)
    token = access.find_token(raw)
    assert token is not None
    assert (token.name, token.role) == ("laptop", "operator")
    assert re.fullmatch(r"sgw_[A-Za-z0-9_-]{43}", raw)  # 256 bits
    assert raw not in str(list(ApiToken.objects.values()))
    assert access.find_token(raw + "x") is access.find_token("") is access.find_token("\ud800") is None


def test_no_two_tokens_have_one_name(db):
    access.make_token("laptop", Role.OPERATOR, None)
    with pytest.raises(access.TokenNameTakenError):
        access.make_token("laptop", Role.VIEWER, None)


def test_an_expired_or_revoked_token_is_not_found(db):
    old = access.make_token("old", Role.VIEWER, timezone.now())
    revoked = access.make_token("revoked", Role.VIEWER, timezone.now() + timedelta(days=1))
    token = access.find_token(revoked)
    assert token is not None
    assert (access.revoke_token(token), access.revoke_token(token)) == (True, False)
    assert access.find_token(old) is access.find_token(revoked) is None


def test_the_command_prints_the_token_and_nothing_else(db, capsys):
    call_command("apitoken", "laptop", role="author", expires="30d")
    printed = capsys.readouterr().out.strip()
    token = access.find_token(printed)
    assert token is not None
    assert token.role == "author"
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)


@pytest.mark.parametrize(
    "options",
    [
        {"role": "boss"},
        {"expires": "30"},
        {"expires": "0d"},
        {"expires": "-1d"},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 101},
    ],
)
def test_the_command_refuses_what_it_does_not_understand(db, options):
    name, role = options.pop("name", "laptop"), options.pop("role", "viewer")
    with pytest.raises(CommandError):
        call_command("apitoken", name, f"--role={role}", **options)
    assert not ApiToken.objects.exists()


def test_the_command_says_when_a_name_is_taken(db):
    call_command("apitoken", "laptop", role="viewer")
    with pytest.raises(CommandError, match="already"):
        call_command("apitoken", "laptop", role="viewer")


def test_the_command_says_that_the_database_may_be_another_one(db, monkeypatch):
    def no_tables(*_):
        raise OperationalError("no such table: sagas_apitoken")

    monkeypatch.setattr(access, "make_token", no_tables)
    with pytest.raises(CommandError, match=r"no such table.*SAGAWEB_DATA_DIR"):
        call_command("apitoken", "laptop", role="viewer")


# ---- links ------------------------------------------------------------------


def test_a_link_signs_its_person_in_once(db):
    bob = make_person("bob")
    raw = access.make_sign_in_link(bob)
    assert raw not in str(list(SignInLink.objects.values()))
    assert access.redeem_sign_in_link(raw) == bob
    assert access.redeem_sign_in_link(raw) is None


def test_a_link_ends_with_its_time_and_with_its_person(db):
    bob = make_person("bob")
    assert access.redeem_sign_in_link(access.make_sign_in_link(bob, minutes=0)) is None
    raw = access.make_sign_in_link(bob)
    bob.is_active = False
    bob.save()
    assert access.redeem_sign_in_link(raw) is None
    assert access.redeem_sign_in_link("guess") is None
