"""`manage.py sagas`: documents from and to files."""

from __future__ import annotations

import io
import json

import jsonschema_rs
import pytest
from django.core.management import CommandError, call_command

from sagas.core.schema import DIALECT
from sagas.core.source import read_source
from sagas.models import SagaVersion
from tests.running import ROOT

GOOD = "# why\nsaga: book-trip\nsteps:\n  - {name: book, action: travel.book, compensation: none}\n"
pytestmark = pytest.mark.django_db


def run(*arguments: object) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("sagas", *map(str, arguments), stdout=out, stderr=err, no_color=True)
    except CommandError as error:
        err.write(f"{error}\n")
    return out.getvalue(), err.getvalue()


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


def test_a_file_is_applied_once_and_exported_as_it_was_written(good):
    warning = f"{good}:4:26: warning: steps[0].action: No action called `travel.book` is registered here."
    out, err = run("apply", good)
    assert out == f"{good}: published: book-trip version 1\n"
    assert err.startswith(warning)
    assert err.endswith(" [action_unknown]\n")
    assert run("apply", good)[0] == f"{good}: unchanged: book-trip version 1\n"
    assert run("export", "book-trip")[0] == GOOD


def test_a_wrong_file_does_not_keep_the_others_from_being_applied(tmp_path, good):
    bad, binary = tmp_path / "bad.yaml", tmp_path / "binary.yaml"
    bad.write_text("saga: x\nsteps:\n  - {name: a, action: b, compensation: none, timeuot: 1s}\n")
    binary.write_bytes(b"\xff\xfe")
    out, err = run("apply", bad, binary, tmp_path / "missing.yaml", good)
    said = "`timeuot` is not a key of a step. Did you mean `timeout`? [unknown_key]"
    assert f"{bad}:3:46: error: steps[0].timeuot: {said}\n" in err
    assert f"{binary}: error: The file is not UTF-8 text (byte 0). [not_utf8]\n" in err
    assert f"{tmp_path}/missing.yaml: error: The file cannot be read: No such file or directory. [unreadable]\n" in err
    assert err.endswith("3 of 4 documents have problems.\n")
    assert out == f"{good}: published: book-trip version 1\n"


def test_validate_stores_nothing_and_strict_counts_warnings(good):
    out, err = run("validate", good)
    assert out == f"{good}: no problems\n"
    assert "warning" in err
    out, err = run("validate", "--strict", good)
    assert (out, err.splitlines()[-1]) == ("", "1 of 1 document has problems.")
    run("apply", "--strict", good)
    assert not SagaVersion.objects.exists()


def test_the_schema_for_editors_is_printed_and_documents_fit_it(good):
    out, err = run("schema")
    assert err == ""
    schema = json.loads(out)
    assert (schema["$schema"], schema["else"]["required"]) == (DIALECT, ["saga", "steps"])
    assert jsonschema_rs.is_valid(schema, read_source(good.read_text())[0])
    assert not jsonschema_rs.is_valid(schema, {"saga": "book-trip", "stepps": []})


def test_a_choreography_is_validated():
    place = str(ROOT / "examples/choreography/order-watched.yaml")
    assert run("validate", place)[0] == f"{place}: no problems\n"
