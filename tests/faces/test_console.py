"""What stands on the console of whoever runs it: little, and in sentences."""

from __future__ import annotations

import io
import logging

import pytest
from django.http import HttpResponseServerError
from django.test import Client, RequestFactory
from django.urls import resolve
from django.utils.log import log_response

from tests.faces.conftest import sign_in

TEXT = "text/plain; charset=utf-8"


@pytest.fixture
def console(monkeypatch) -> io.StringIO:
    """What the project's own handler writes."""
    (handler,) = (one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler)
    made = io.StringIO()
    monkeypatch.setattr(handler, "stream", made)
    return made


def lines(console: io.StringIO) -> list[str]:
    return console.getvalue().splitlines()


@pytest.mark.parametrize("path", ["runs/", "nowhere/", "runs/?statsu=x"])
def test_what_the_api_refuses_is_an_answer_and_no_news(api, console, path):
    assert Client().get("/api/v1/runs/").status_code == 401
    assert api.post(path, b"{").status_code in {400, 404}
    assert lines(console) == []


def test_what_a_page_refuses_is_still_written(db, console):
    assert sign_in("charlie").get("/runs/").status_code == 403
    assert len(lines(console)) == 1


def test_what_fails_in_the_api_is_still_written(console):
    request = RequestFactory().get("/api/v1/runs/")
    request.resolver_match = resolve("/api/v1/runs/")
    log_response("%s: %s", "Broken", request.path, response=HttpResponseServerError(), request=request)
    assert "Broken: /api/v1/runs/" in lines(console)[0]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", TEXT), ("/nowhere", TEXT), ("/livez", TEXT), ("/api/v1/runs/", "application/problem+json")],
)
@pytest.mark.parametrize("host", ["rogue.example.org", "a b", "ä", "x" * 5000, "<script>"])
def test_a_host_that_is_not_ours_is_refused_in_a_sentence(console, path, kind, host):
    answer = Client(headers={"Host": host}, raise_request_exception=False).get(path)
    assert (answer.status_code, answer["Content-Type"]) == (400, kind)
    said = answer.text if kind == TEXT else answer.json()["detail"]
    assert f"does not answer to the name {host[:80]!a}" in said
    (line,) = lines(console)
    assert "SAGAWEB_ALLOWED_HOSTS" in line
    assert len(line) < 300
