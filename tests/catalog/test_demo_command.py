"""`manage.py demo`, which `up --demo` calls at every start."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command

from sagas.catalog.publish import publish
from sagas.models import Saga, SagaVersion

pytestmark = pytest.mark.django_db

SHOP: Any = apps.get_app_config("shop")


def load() -> list[str]:
    out = io.StringIO()
    call_command("demo", stdout=out)
    return out.getvalue().splitlines()


def shipped(saga: str, title: str = "") -> str:
    """Return the shipped document of a saga, edited when a title is given."""
    source = next(text for text in SHOP.demo_definitions() if text.startswith(f"saga: {saga}\n"))
    return source.replace("title: Create order", f"title: {title}", 1) if title else source


def latest(saga: str = "create-order") -> SagaVersion:
    found = Saga.objects.get(name=saga).latest
    assert found is not None
    return found


def test_the_demo_is_published_once_however_often_it_is_loaded():
    names = ("create-order", "large-order", "order-choreography", "prepaid-order")
    assert load() == [f"{name} version 1 published" for name in names]
    assert load() == [f"{name} version 1 is there already" for name in names]
    assert Saga.objects.filter(is_demo=True).count() == SagaVersion.objects.count() == 4


@pytest.mark.parametrize("by", ["admin", "demo", "token:demo", "root (command line)"])
def test_what_a_person_published_over_the_demo_stays(by):
    load()
    mine = publish(shipped("create-order", "Mine"), by=by).version
    said = load()
    assert latest() == mine
    assert said[0] == "create-order version 2 is somebody's own and was left alone"
    assert load() == said


def test_a_saga_that_a_person_made_under_the_demos_name_stays():
    mine = publish(shipped("create-order", "Mine"), by="admin").version
    load()
    assert latest() == mine


def test_a_changed_file_is_published_over_what_the_demo_had_published(monkeypatch):
    load()
    changed = shipped("create-order", "Newer")
    monkeypatch.setattr(SHOP, "demo_definitions", lambda: [changed])
    assert load() == ["create-order version 2 published"]
    assert latest().document["title"] == "Newer"
