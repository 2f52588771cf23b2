"""A saga with redacted values, actions that tell what they were given, and a look into every table for secrets."""

from __future__ import annotations

from django.db import connection

from sagas import Rejected, action

CARD, PIN, TOKEN, NAME = "CANARY-4111111111111111", 90217, "CANARY-token-7", "CANARY-name-é\n\"'"
SECRETS = (CARD, "90217", TOKEN, "CANARY")
SOURCE = """
saga: charge
input:
  type: object
  properties: {order: {}, card: {type: object, properties: {number: {type: string, minLength: 5}, pin: {}}}, names: {}}
key: ${input.order}
output: {token: "${steps.pay.output.token}", order: "${input.order}"}
defaults:
  timeout: 5s
  retry: {attempts: 2, initial: 10ms, factor: 1, jitter: 0}
  compensation_retry: {attempts: 2, initial: 10ms, factor: 1, jitter: 0}
steps:
  - name: pay
    action: redaction.call
    with: {card: "${input.card}", order: "${input.order}"}
    redact: [with.card.number, with.card.pin, output.token]
    compensation: {action: redaction.call, with: {number: "${step.input.card.number}"}}
  - name: greet
    action: redaction.call
    for_each: ${input.names}
    with: {name: "${item.name}", token: "${steps.pay.output.token}"}
    redact: [with.name]
    compensation: none
  - name: ship
    action: redaction.KIND
    with: {bearer: "${'Bearer ' + steps.pay.output.token}", order: "${input.order}"}
    redact: [with.bearer]
    compensation: {action: redaction.call, with: {bearer: "${step.input.bearer}"}}
"""
INPUT = {"order": "A-1", "card": {"number": CARD, "pin": PIN}, "names": [{"name": NAME, "sex": "x"}, {"name": NAME}]}
CALLS: list[tuple[str, dict]] = []
BEHAVIOUR: dict[str, object] = {}


def _answer(call, arguments):
    key = call.idempotency_key.partition(":")[2]
    CALLS.append((key, arguments))
    behave = BEHAVIOUR.get(key)
    if behave:
        return behave(call, arguments)
    return {"token": TOKEN, "id": 7} if key in {"pay:action", "a:action"} else {"id": 8}


@action("redaction.call")
def plain(call, **arguments):
    return _answer(call, arguments)


@action("redaction.probe", reads_only=True)
def probe(call, **arguments):
    return BEHAVIOUR[f"{call.step}:probe"](call, arguments)


@action("redaction.atomic", atomic=True)
def atomic(call, **arguments):
    return _answer(call, arguments)


def stored() -> str:
    """All that the tables hold, as text."""
    tables = [table for table in connection.introspection.table_names() if not table.startswith("sagas_sagaversion")]
    found = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            found.append(repr(cursor.fetchall()))
    return "\n".join(found)


def assert_no_table_tells() -> None:
    text = stored()
    for secret in SECRETS:
        found = text.find(secret)
        assert found < 0, text[max(0, found - 300) : found + 100]


def refuse_telling(_call, arguments):
    raise Rejected(f"No: {arguments}", code="no", details={"card": [CARD, {"pin": PIN}], "ok": 1})


def break_telling(_call, arguments):
    raise RuntimeError(f"broke on {arguments}")
