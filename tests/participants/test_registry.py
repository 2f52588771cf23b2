"""Actions are found by name, once, in every installed app."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sagas.core.definition import ActionFacts
from sagas.participants import registry
from sagas.participants.errors import RegistrationError

if TYPE_CHECKING:
    from sagas.participants.base import Call


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_actions", dict(registry.facts() and registry._actions))


def one(call: Call) -> None:
    """Do nothing."""


def other(call: Call) -> None:
    """Do nothing either."""


async def awaited(call: Call) -> None:
    """Do nothing, later."""


def test_the_actions_of_installed_apps_are_found_by_themselves() -> None:
    assert registry.facts()["shop.process_payment"] == ActionFacts(is_atomic=True)
    assert registry.facts()["shop.create_shipment"] == ActionFacts()


def test_a_name_is_taken_once_unless_by_the_same_function() -> None:
    assert registry.action("test.one")(one) is one
    registry.action("test.one")(one)
    with pytest.raises(RegistrationError, match="registered already"):
        registry.action("test.one")(other)


def test_an_async_function_cannot_be_atomic() -> None:
    with pytest.raises(RegistrationError, match="only a plain one"):
        registry.action("test.awaited", atomic=True)(awaited)


def test_the_facts_say_what_was_registered() -> None:
    registry.action("test.one", atomic=True)(one)
    registry.action("test.other", reads_only=True)(other)
    registry.action("test.awaited")(awaited)
    assert registry.facts()["test.one"] == ActionFacts(is_atomic=True)
    assert registry.facts()["test.other"] == ActionFacts(reads_only=True)
    found = registry.find("test.awaited")
    assert found is not None
    assert found.is_async


def test_importing_the_core_imports_no_django() -> None:
    code = "import sagas.core.definition, sys; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_short_imports_for_users_are_there() -> None:
    from sagas import NoEffect, Rejected, action, start

    assert action is registry.action
    assert issubclass(Rejected, Exception)
    assert issubclass(NoEffect, Exception)
    assert callable(start)
