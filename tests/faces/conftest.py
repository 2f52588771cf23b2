"""The fixed cast: alice operates, bob views, charlie is a stranger, dora writes definitions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from sagas import access
from sagas.catalog.publish import publish
from sagas.core.vocabulary import Role

ROLES = {"alice": Role.OPERATOR, "bob": Role.VIEWER, "charlie": None, "dora": Role.AUTHOR, "erin": Role.ADMIN}
SOURCE = """\
saga: order
title: Order
input:
  type: object
  required: [order_id]
  additionalProperties: false
  properties: {order_id: {type: string, maxLength: 20}, amount: {type: integer}, note: {type: string}}
steps:
  - {name: pay, action: test.pay, compensation: {action: test.refund}, with: {id: "${input.order_id}"}}
  - {name: ship, action: test.ship, compensation: none}
"""


def make_person(name: str) -> Any:
    """Make one of the cast."""
    person = get_user_model().objects.create_user(name)
    access.grant_role(person, ROLES[name])
    return person


def sign_in(name: str, *, enforces_csrf: bool = False) -> Client:
    """Return the browser of one of the cast."""
    client = Client(enforce_csrf_checks=enforces_csrf)
    client.force_login(make_person(name), backend="django.contrib.auth.backends.ModelBackend")
    return client


class Api:
    """A program with a bearer token."""

    def __init__(self, role: Role = Role.OPERATOR, name: str = "robot") -> None:
        self.token = access.make_token(name, role, None)
        self.client = Client(headers={"Authorization": f"Bearer {self.token}"}, raise_request_exception=False)

    def get(self, path: str, query: Any = None, **headers: str) -> Any:
        """GET under `/api/v1/`."""
        return self.client.get(f"/api/v1/{path}", query, headers=headers)

    def post(self, path: str, body: Any = None, kind: str = "application/json", **headers: str) -> Any:
        """POST JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.client.post(f"/api/v1/{path}", raw, content_type=kind, headers=headers)

    def put(self, path: str, body: str, kind: str = "application/yaml", **headers: str) -> Any:
        """PUT text."""
        return self.client.put(f"/api/v1/{path}", body.encode(), content_type=kind, headers=headers)


@pytest.fixture
def api(db: Any) -> Api:
    """A program that may start and order."""
    del db
    return Api()


@pytest.fixture
def saga(db: Any) -> None:
    """The saga `order`, published."""
    del db
    publish(SOURCE, by="dora")
