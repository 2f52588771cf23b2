"""What the test of webhooks does inside the product: subscribe, and start orders."""

from __future__ import annotations

from sagas import start
from sagas.models import WebhookSubscription
from sagas.sealing import seal
from sagas.subscriptions import Wanted, put


def prepare(url: str, secret: str, count: int) -> None:
    put("shop", Wanted(url=url, allow_private=True), by="tests")
    WebhookSubscription.objects.update(secret=seal(secret))
    for number in range(count):
        start("create-order", {"order_id": f"w-{number}", "amount": 100, "items": [{"sku": "teapot"}]})
