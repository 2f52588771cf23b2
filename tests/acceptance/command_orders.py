"""What the test of commands does inside the product: register the service, start orders."""

from __future__ import annotations

from sagas import start as start_run
from sagas.models import Service, ServiceKind


def register(url: str) -> None:
    Service.objects.create(name="shop", kind=ServiceKind.COMMAND.value, base_url=url, allow_private=True)


def start(count: int) -> None:
    for number in range(count):
        start_run("order-by-command", {"number": number}, key=str(number))
