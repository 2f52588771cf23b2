"""The HTTP shop with ledgers for its services: orders with all sorts of troubles, and what the product tells of them.

The functions run inside the product's own processes (`manage.py shell -c …`), on its own database.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.ledger import script
from tests.ledger.script import Rule

SAGA = "create-order-http"
NAIVE = "create-order-naive"
DOCUMENT = Path(__file__).resolve().parents[2] / "examples/shop_http/create-order-http.yaml"
SERVICES = {"payments": "process_payment", "inventory": "update_inventory", "shipping": "create_shipment"}
STEPS = tuple(SERVICES.values())
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cyBvbmx5ISEh"
SHIPPED: dict[str, object] = {"after_ms": 20}  # the callback of whoever books parcels


@dataclass(frozen=True)
class Trouble:
    """An order, what goes wrong with it, and how it must end."""

    name: str
    end: str
    rules: tuple[Rule, ...] = ()


def troubles() -> list[Trouble]:
    """Return one order for each way in which a service can go wrong."""
    made = [Trouble(f"fine-{number}", "completed") for number in range(5)]
    for step in STEPS:
        refused = script.refusal(step=step, phase="action", about=f"refused-{step}-")
        made.append(Trouble(f"refused-{step}-", "compensated", (refused,)))
        where = {"step": step, "phase": "action", "attempts": (1,)}
        once = {
            "lost": script.reply_lost,
            "closed": lambda **more: Rule(end="close", **more),
            "half": lambda **more: Rule(end="half", **more),
            "garbage": lambda **more: Rule(end="garbage", **more),
            "huge": lambda **more: Rule(end="huge", **more),
            "reset": script.reset_before,
            "error": lambda **more: script.error(500, has_effect=True, **more),
            "busy": lambda **more: script.error(503, retry_after="1", **more),
            "many": lambda **more: script.error(429, retry_after="1", **more),
            "late": lambda **more: script.late(6000, **more),
        }
        for kind, rule in once.items():
            name = f"{kind}-{step}-"
            made.append(Trouble(name, "completed", (rule(about=name, **where),)))
        name = f"doubt-{step}-"  # done at the first attempt, and no answer to any
        mute = Rule(step=step, phase="action", about=name, end="reset")
        blind = Rule(step=step, phase="probe", about=name, status=500, has_effect=False)
        made.append(Trouble(name, "compensated", (mute, blind)))
    for step in STEPS[:2]:  # the undo's own answer is lost
        name = f"undo-{step}-"
        lost = script.reply_lost(step=step, phase="compensation", about=name, attempts=(1, 2))
        refused = script.refusal(step="create_shipment", phase="action", about=name)
        made.append(Trouble(name, "compensated", (lost, refused)))
    return [*made, *_callbacks(), _hanging()]


def _callbacks() -> list[Trouble]:
    ways: dict[str, tuple[dict[str, object], ...]] = {
        "before": ({"is_before_reply": True},),
        "twice": ({"times": 2},),
        "wrong": ({"token": "wrong"}, {"after_ms": 200}),
        "never": (),
        "tardy": ({"after_ms": 6000},),
    }
    made = []
    for kind, calls in ways.items():
        name = f"callback-{kind}-"
        attempts = (1,) if kind in {"never", "tardy"} else ()
        rule = script.accepted(*calls, step="create_shipment", phase="action", about=name, attempts=attempts)
        made.append(Trouble(name, "completed", (rule,)))
    no = {"body": {"outcome": "rejected", "error": {"message": "No parcels today."}}}
    rule = script.Rule(
        has_effect=False, status=202, callbacks=(no,), step="create_shipment", phase="action", about="callback-no-"
    )
    return [*made, Trouble("callback-no-", "compensated", (rule,))]


def _hanging() -> Trouble:
    """Every attempt is given up on before it has its effect, which comes after the undo: it must be refused."""
    slow = script.slow(16_000, step="update_inventory", phase="action", about="hanging-")
    return Trouble("hanging-", "compensated", (slow,))


def rules() -> list[Rule]:
    """Return the whole script; last what every parcel is answered."""
    told = [rule for trouble in troubles() for rule in trouble.rules]
    return [*told, script.accepted(SHIPPED, step="create_shipment", phase="action")]


def prepare(ports: dict[str, int]) -> None:
    """Register the services (their ports by name) and publish the sagas."""
    from sagas.catalog import publish
    from sagas.services import changes
    from sagas.services.wanted import Wanted

    for name, port in ports.items():
        changes.put_service(
            name, Wanted(base_url=f"http://127.0.0.1:{port}", allow_private=True, secret=SECRET), by="tests"
        )
    document = DOCUMENT.read_text()
    for said, sooner in (
        ("timeout: 10s", "timeout: 4s"),
        ("timeout: 3s", "timeout: 2s"),
        ("attempts: 5", "attempts: 4"),
    ):
        assert said in document
        document = document.replace(said, sooner)
    publish.publish(document, by="tests")
    for name in SERVICES:
        document = document.replace(f"service: {name}", f"service: naive-{name}")
    publish.publish(document.replace(SAGA, NAIVE), by="tests")


def start(names: list[str], saga: str = SAGA) -> None:
    """Start one order of each name."""
    from sagas.engine.commands import start_run

    for name in names:
        start_run(saga, {"order_id": name, "amount": 100, "items": [{"sku": "cup"}]}, by="tests")


def judge(saga: str = SAGA) -> None:
    """Print one JSON line: how each order ended, what its steps say, and what is wrong in the journals."""
    from sagas.core.vocabulary import CompensationStatus, Phase, StepKey, idempotency_key
    from sagas.models import SagaRun
    from tests.engine.stored_run import faults_of, state_of

    ends, told, faults = {}, [], []
    for run in SagaRun.objects.filter(saga__name=saga).prefetch_related("steps"):
        ends[run.key] = run.status
        faults += [f"{run.key}: {fault}" for fault in faults_of(run)]
        state = state_of(run)
        for row in run.steps.all():
            key = StepKey(row.step, row.item)
            action_key = idempotency_key(str(run.id), key, Phase.ACTION, state.step(key).action.edition)
            is_undoable = row.compensation_status != CompensationStatus.NOT_NEEDED
            told.append(
                [str(run.id), run.status, row.step, row.status, row.compensation_status, action_key, is_undoable]
            )
    sys.stdout.write(json.dumps({"ends": ends, "told": told, "faults": faults}) + "\n")
