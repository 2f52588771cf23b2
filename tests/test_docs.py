"""What the docs show is true: documents are valid, words are known, blocks of Python parse."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from sagas.core import document, steps
from sagas.core.vocabulary import Verb

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def blocks(language: str) -> list[object]:
    return [
        pytest.param(block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE), start=1
        )
    ]


@pytest.mark.parametrize("source", blocks("yaml"))
def test_a_document_in_the_docs_is_valid(source):
    checked = document.check_source(source, {})
    assert checked.problems == ()
    assert {warning.code for warning in checked.warnings} <= {"action_unknown"}


@pytest.mark.parametrize("source", blocks("python"))
def test_python_in_the_docs_is_python(source):
    ast.parse(source)


def test_every_key_of_a_definition_is_described():
    page = (ROOT / "docs/reference/definition.md").read_text()
    known = {*document.SAGA_KEYS, *steps.STEP_KEYS}
    assert {key for key in known if not re.search(rf"(?:^|[\s`{{-]){key}[`:]", page, re.MULTILINE)} == set()


def test_no_order_that_can_be_given_is_called_not_built():
    page = (ROOT / "docs/reference/glossary.md").read_text().splitlines()
    verbs = [verb.replace("_", " ") for verb in Verb]
    assert [line for line in page if "not built" in line and any(f"**{verb}**" in line for verb in verbs)] == []
