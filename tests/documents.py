"""Small documents for tests, and what is said of them."""

from __future__ import annotations

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source

ACTIONS = {
    "shop.pay": ActionFacts(is_atomic=True),
    "shop.refund": ActionFacts(),
    "shop.ship": ActionFacts(),
    "shop.look": ActionFacts(reads_only=True),
}


def steps(text: str) -> str:
    return f"saga: a\nsteps:\n{text}"


def one(text: str) -> str:
    """A saga of one good step and more lines in it."""
    return steps(f"  - name: look\n    action: shop.look\n{text}")


def call(text: str) -> str:
    """A saga of one step that calls a service, and more keys of the call."""
    return steps(f"  - name: call\n    action: {{http: {{service: stock, {text}}}}}\n    compensation: none\n")


def said(text: str) -> list[str]:
    return [str(problem) for problem in check_source(text, ACTIONS).problems]


def warned(text: str) -> list[str]:
    checked = check_source(text, ACTIONS)
    assert not checked.problems
    return [str(problem) for problem in checked.warnings]
