"""Every kind of wrong or suspicious document, and the exact words about it."""

from __future__ import annotations

import pytest

from sagas.core.limits import YAML_BYTES_MAX
from tests.documents import call, one, said, steps, warned

WRONG = [
    ("", ["document: A saga must be a mapping of keys to values; found nothing."]),
    ("- a", ["document (line 1, column 1): A saga must be a mapping of keys to values; found a list."]),
    ("a: [1", ["document (line 1, column 6): This is not YAML: expected ',' or ']', but got '<stream end>'."]),
    ("a: *x", ["document (line 1, column 4): Aliases are not accepted; found `*x`. Write the value out."]),
    ("a: &x 1", ["document (line 1, column 4): Anchors are not accepted; found `&x`. Write the value out."]),
    ("a: !!python/name:os.system 1",
     ["document (line 1, column 4): Tags are not accepted; found `tag:yaml.org,2002:python/name:os.system`."]),
    ("a: 1\n---\nb: 1", ["document (line 2, column 1): One document is expected; a second one begins here."]),
    ("saga: a\nsaga: b", ["saga (line 2, column 1): `saga` is given twice; the first is on line 1."]),
    ('{"saga": "a",\n "saga": "b"}', ["saga (line 2, column 2): `saga` is given twice; the first is on line 1."]),
    ("? [a]\n: 1", ["document (line 1, column 3): A key must be text, not a list or a mapping."]),
    ('saga: "a\\0"', ["saga (line 1, column 7): Text must not contain the character U+0000."]),
    ('{"saga": "\\ud800"}', ["saga (line 1, column 10): Text must not contain half of a surrogate pair."]),
    ("saga: \ud800", ["document: The text contains half of a surrogate pair."]),
    ("a: 9223372036854775808", ["a (line 1, column 4): Whole numbers must fit into 64 bits."]),
    ("a: .nan", ["document (line 1, column 4): Numbers must be finite; found `.nan`."]),
    ("[" * 70 + "]" * 70, ["document (line 1, column 65): The document is nested deeper than 64 levels."]),
    ("a: [" + "1," * 20_000 + "]",
     ["document (line 1, column 39995): The document has more than 20000 keys and values; as JSON it may have more."]),
    ("a: " + "x" * YAML_BYTES_MAX,
     ["document: The document has 257 KiB; at most 256 are allowed as YAML, 1024 as JSON."]),
    ("title: A\n", [
        ("saga (line 1, column 1): `saga` is missing: "
        "the name by which this saga is known for life, such as create-order."),
        "steps (line 1, column 1): `steps` is missing: a saga is a list of steps.",
    ]),
    ("saga: Create Order\nsteps: []", [
        ("saga (line 1, column 7): `saga` must be small letters, digits and single dashes, at most 64, "
        'such as create-order; found "Create Order".'),
        "steps (line 2, column 8): `steps` must be a list of at least one step; found an empty list.",
    ]),
    (one("key: ${input.orderid}\ninput: {properties: {order_id: {}, at: {}}, additionalProperties: false}\n"), [
        "key (line 5, column 6): The input has no `orderid`, so this would always be null. Did you mean `order_id`?",
    ]),
    (one("").replace("saga: a", "saga: validate"), [
        "saga (line 1, column 7): `validate` is a word of our own addresses; choose another name."
    ]),
    (one("    timeout: 10\n    retry: {atempts: 3, factor: 99}\n"), [
        ("steps[0].timeout (line 5, column 14): "
        "`timeout` must be a duration such as 250ms, 10s, 5m, 2h, 1d or PT1H30M; "
        "found the number 10."),
        ("steps[0].retry.atempts (line 6, column 13): "
        "`atempts` is not a key of a retry policy. Did you mean `attempts`?"),
        "steps[0].retry.factor (line 6, column 33): `factor` must be a number from 1 to 10; found the number 99.",
    ]),
    (one("    timeout: 2d\n"),
     ['steps[0].timeout (line 5, column 14): `timeout` must be between 10ms and 1d; found "2d".']),
    (one("    retry: {attempts: 0, initial: 2m, max: 1m}\n"), [
        ("steps[0].retry.attempts (line 5, column 23): `attempts` must be a whole number from 1 to 1000, or `forever`; "
        "found the number 0."),
        "steps[0].retry.max (line 5, column 44): `initial` (2m) is longer than `max` (1m).",
    ]),
    (one("    probe: {http: {service: x, async: true}}\n"), [
        ("steps[0].probe.http.path (line 5, column 19): `path` is missing: "
        "where at the service, such as /reservations/${input.order_id}."),
        ("steps[0].probe.http.async (line 5, column 32): `async` is not a key of `http`. "
        "Known: `service`, `method`, `path`, `headers`, `query`, `body`."),
    ]),
    (one("    probe: {python: shop.look, http: {service: x, path: /a}}\n"), [
        "steps[0].probe.http (line 5, column 32): A probe is one thing: it has `python` already.",
    ]),
    (one("    probe: {http: {service: x, method: DELETE, path: /a}}\n"), [
        'steps[0].probe.http.method (line 5, column 40): `method` must be `GET` or `POST`; found "DELETE".',
    ]),
    (steps("  - name: wait\n    sleep: 5m\n    probe: {python: shop.look}\n"),
     ["steps[0].probe (line 5, column 5): A step that waits has no `probe`: it calls nobody."]),
    (one("    probe: shop.look\n"), [
        ("steps[0].probe (line 5, column 12): `probe` must be a mapping, such as {python: shop.payment_state}; "
        'found "shop.look".'),
    ]),
    (one("    probe: {}\n"), [
        ("steps[0].probe.python (line 5, column 12): `python` is missing: the name of what says whether the action "
        "happened, such as shop.payment_state."),
    ]),
    (one("    probe: {python: 3, timeout: 1s}\n"), [
        ("steps[0].probe.python (line 5, column 21): `python` must be the dotted name of a probe, "
        "such as shop.process_payment; found the number 3."),
        "steps[0].probe.timeout (line 5, column 24): `timeout` is not a key of a probe. Known: `python`, `http`.",
    ]),
    (one("    probe: {python: shop.refund}\n"), [
        ("steps[0].probe.python (line 5, column 21): `shop.refund` is not registered with `reads_only=True`. "
        "A probe only looks whether the action happened: it is asked again and again, and nothing undoes it."),
    ]),
    (one("    when: 3\n"),
     [("steps[0].when (line 5, column 11): `when` must be an expression that is true or false, "
      "such as ${input.amount > 1000}; found the number 3.")]),
    (one("    after: look\n"),
     [("steps[0].after (line 5, column 12): `after` must be a list of names of steps, such as [reserve, pay]; "
      'found "look".')]),
    (steps("  - {name: look, action: shop.look}\n  - {name: see, action: shop.look, after: [lok, look, look]}\n"), [
        ('steps[1].after[0] (line 4, column 44): `after` must name steps of this saga; found "lok". '
        "Did you mean `look`?"),
        "steps[1].after[2] (line 4, column 55): `look` is named twice.",
    ]),
    (steps("  - {name: a, action: shop.look, after: [b]}\n  - {name: b, action: shop.look}\n"),
     [("steps[0].after (line 3, column 41): `a` comes after `b`, which comes after `a`: "
      "a step cannot wait for itself.")]),
    (steps("  - {name: a, action: shop.look}\n  - {name: b, action: shop.look, after: [], pivot: true}\n"),
     [("steps[0].after (line 3, column 5): `a` runs beside the pivot `b`: nobody could say whether it is undone. "
      "Let it come before the pivot or after it.")]),
    (steps('  - {name: a, action: shop.look, pivot: true, when: "${input.x == 1}"}\n'),
     ["steps[0].when (line 3, column 47): The pivot is the point of no return: it cannot depend on a condition."]),
    (steps("  - {name: a, action: shop.look}\n"
           '  - {name: b, action: shop.look, after: [], with: {x: "${steps.a.output}"}}\n'),
     [("steps[1].with.x (line 4, column 55): Step `a` does not come before this place, "
      "so it has no output or status to read here.")]),
    (steps("  - name: wait\n    sleep: 5m\n    with: {a: 1}\n    retry: {attempts: 2}\n"), [
        "steps[0].with (line 5, column 5): A step that waits has no `with`: it calls nobody.",
        "steps[0].retry (line 6, column 5): A step that waits has no `retry`: it calls nobody.",
    ]),
    (steps("  - name: ship\n    run: Ship Order\n    timeout: 5s\n    retry: {attempts: 2}\n"), [
        ("steps[0].run (line 4, column 10): `run` must be the name of a saga, such as ship-order; "
        'found "Ship Order".'),
        ("steps[0].timeout (line 5, column 5): A step that runs another saga has no `timeout`: "
        "that saga's steps have theirs."),
        ("steps[0].retry (line 6, column 5): A step that runs another saga has no `retry`: "
        "that saga's steps have theirs."),
    ]),
    (steps("  - name: wait\n    sleep: 5 minutes\n"), [
        ("steps[0].sleep (line 4, column 12): `sleep` must be a duration such as 250ms, 10s, 5m, 2h, 1d or PT1H30M; "
        'found "5 minutes".')
    ]),
    (steps("  - name: wait\n    sleep_until: 12\n"), [
        ("steps[0].sleep_until (line 4, column 18): `sleep_until` must be a time such as 2026-07-01T09:00:00Z, "
        "or an expression that gives one; found the number 12.")
    ]),
    (steps("  - name: wait\n    sleep: 5m\n    approval: {}\n"), [
        ("steps[0].approval (line 5, column 5): A step does one thing: it has `sleep` already. "
        "Make `approval` a step of its own.")
    ]),
    (steps("  - name: wait\n    wait_for: {sgnal: paid, on_timeout: continue}\n"), [
        ("steps[0].wait_for.signal (line 4, column 15): `signal` is missing: "
        "the name of the signal that ends the wait, such as payment_confirmed."),
        "steps[0].wait_for.sgnal (line 4, column 16): `sgnal` is not a key of `wait_for`. Did you mean `signal`?",
        "steps[0].wait_for.on_timeout (line 4, column 29): `on_timeout` has no meaning without `timeout`.",
    ]),
    (steps("  - name: call\n    action: {http: {service: 'a b', methd: GET}}\n    compensation: none\n"), [
        ("steps[0].action.http.path (line 4, column 20): `path` is missing: "
        "where at the service, such as /reservations/${input.order_id}."),
        ("steps[0].action.http.service (line 4, column 30): `service` must be letters, digits, dashes and underscores, "
        'at most 64; found "a b".'),
        "steps[0].action.http.methd (line 4, column 37): `methd` is not a key of `http`. Did you mean `method`?",
    ]),
    (call("path: orders"), [
        'steps[0].action.http.path (line 4, column 43): `path` must be text that begins with /; found "orders".',
    ]),
    (call("path: '/a?b=${input.b}'"), [
        ("steps[0].action.http.path (line 4, column 43): `path` holds no ? and no #: "
        "say `query` for what comes after it."),
    ]),
    (call("path: '/a/../b'"), [
        ("steps[0].action.http.path (line 4, column 43): `path` holds . or .. as a segment, "
        "which would lead elsewhere."),
    ]),
    (call("path: '/a/%2e%2E/b'"), [
        ("steps[0].action.http.path (line 4, column 43): `path` holds . or .. as a segment, "
        "which would lead elsewhere."),
    ]),
    (call("path: '/a/%5c%2fb'"), [
        ("steps[0].action.http.path (line 4, column 43): `path` holds //, or something that is read as that: "
        "it could name another host."),
    ]),
    (call("path: '/a b'"), [
        ("steps[0].action.http.path (line 4, column 43): `path` holds letters, digits and -._~!$&'()*+,;=:@/ only; "
        "all else as %XX."),
    ]),
    (call("path: '/%0a'"), ["steps[0].action.http.path (line 4, column 43): `path` holds a control character."]),
    (call("path: '/${input.'"), [
        ("steps[0].action.http.path (line 4, column 43): `${` is not closed by `}` within 2000 characters. "
        "Write `$${` for the characters themselves."),
    ]),
    (call("path: /a, headers: {idempotency-key: a, Saga-Run: b, Connection: c, 'a b': d, X: [1], x: 2}"), [
        ("steps[0].action.http.headers.idempotency-key (line 4, column 57): "
        "Header `idempotency-key` is said by the engine itself, with each request."),
        ("steps[0].action.http.headers.Saga-Run (line 4, column 77): "
        "Header `Saga-Run` is said by the engine itself, with each request."),
        ("steps[0].action.http.headers.Connection (line 4, column 90): "
        "Header `Connection` is about the connection, which is not the step's."),
        "steps[0].action.http.headers.a b (line 4, column 105): `a b` is no name of a header.",
        ("steps[0].action.http.headers.X (line 4, column 118): "
        "`headers.X` must be text, a number, or an expression; found a list."),
        "steps[0].action.http.headers.x (line 4, column 123): `x` and `X` are one header.",
    ]),
    (call("path: /a, query: [1], headers: 3"), [
        "steps[0].action.http.query (line 4, column 54): `query` must be a mapping of names to values; found a list.",
        ("steps[0].action.http.headers (line 4, column 68): "
        "`headers` must be a mapping of names to values; found the number 3."),
    ]),
    (call("path: /a, method: GET, async: true, body: 1"), [
        ("steps[0].action.http.async (line 4, column 67): "
        "A GET is answered at once: `async` is for what changes something."),
        ("steps[0].action.http.body (line 4, column 73): "
        "A GET has no body, so no `body`: say `query` for what it asks."),
    ]),
    (call("path: /a, body: 1") + "    with: {a: 1}\n", [
        ("steps[0].with (line 6, column 5): "
        "`with` is what is sent where the action has no `body`; this one has."),
    ]),
    (steps("  - {name: a, compensation: none, action: {http: {service: x, path: /a}, command: {service: x}}}\n"), [
        "steps[0].action.command (line 3, column 74): An action is one thing: it has `http` already.",
    ]),
    (steps("  - name: call\n    action: {command: {service: x, name: '1'}}\n    compensation: none\n"), [
        ("steps[0].action.command.name (line 4, column 42): "
        "`name` must be letters, digits, underscores, dots and dashes, "
        'a letter first, at most 64; found "1".'),
    ]),
    (steps("  - name: call\n    action: {http: {service: x, path: /a}}\n"), [
        ("steps[0].compensation (line 3, column 5): Step `call` changes something and has no `compensation`. "
        "Give it an action that undoes it, or say `compensation: none`."),
    ]),
    (steps("  - name: Pay now\n    action: shop.look\n"), [
        ("steps[0].name (line 3, column 11): `name` must be small letters, digits and underscores, a letter first, "
        'at most 64; found "Pay now".')
    ]),
    (steps("  - {name: a, action: shop.pay, pivot: true}\n  -\n"), [
        "steps[1] (line 4, column 4): A step must be a mapping of keys to values; found nothing."
    ]),
    (one("  - 7\ndefaults: {retry: {attempts: forever}}\n"), [
        "steps[1] (line 5, column 5): A step must be a mapping of keys to values; found the number 7."
    ]),
    (steps("  - {name: ~, action: shop.look}\n  - {name: b, action: shop.look}\n"), [
        ("steps[0].name (line 3, column 12): `name` must be small letters, digits and underscores, a letter first, "
        "at most 64; found nothing.")
    ]),
    (steps("  - name: in\n    action: shop.look\n"),
     ["steps[0].name (line 3, column 11): `in` is a word of the expression language."]),
    (steps("  - {name: x, action: shop.look}\n  - {name: x, action: shop.look}\n"),
     ["steps[1].name (line 4, column 12): Two steps are called `x`; the first is step 1."]),
    (steps("  - {name: x}\n  - 5\n"), [
        ("steps[0].action (line 3, column 5): `action` is missing: "
        "a step says what to call, such as shop.process_payment."),
        "steps[1] (line 4, column 5): A step must be a mapping of keys to values; found the number 5.",
    ]),
    (steps("  - name: x\n    action: shop pay\n"), [
        ("steps[0].action (line 4, column 13): `action` must be the dotted name of an action, such as "
        'shop.process_payment; found "shop pay".'),
    ]),
    (steps("  - name: pay\n    action: shop.pay\n"), [
        ("steps[0].compensation (line 3, column 5): Step `pay` changes something and has no `compensation`. "
        "Give it an action that undoes it, or say `compensation: none`.")
    ]),
    (steps("  - name: pay\n    action: shop.pay\n    compensation: {action: shop.refund, when: x}\n"), [
        "steps[0].compensation.when (line 5, column 41): A compensation never has `when`: what was done is undone."
    ]),
    (steps("  - name: pay\n    action: shop.pay\n    compensation: nothing\n"), [
        ("steps[0].compensation (line 5, column 19): `compensation` must be a mapping with an action, or `none`; "
        'found "nothing".')
    ]),
    (steps("  - {name: a, action: shop.pay, pivot: true}\n  - {name: b, action: shop.pay, pivot: true}\n"),
     ["steps[1].pivot (line 4, column 40): A saga has at most one pivot; `a` is one already."]),
    (steps("  - name: a\n    action: shop.pay\n    pivot: true\n    compensation: {action: shop.refund}\n"), [
        "steps[0].compensation (line 6, column 5): The pivot is the point of no return: it cannot have a compensation."
    ]),
    (one("    pivot: 1\n"), ["steps[0].pivot (line 5, column 12): `pivot` must be true or false; found the number 1."]),
    (one("    with: [1]\n"),
     ["steps[0].with (line 5, column 11): `with` must be a mapping of arguments to values; found a list."]),
    (one("    with: {a: {b: ['${steps.later.output}', '${inptu.x}']}}\n"), [
        "steps[0].with.a.b[0] (line 5, column 20): No step is called `later`. Steps that can be read here: none.",
        "steps[0].with.a.b[1] (line 5, column 45): `inptu.x` is not a name here. Did you mean `input`?",
    ]),
    (one("  - name: last\n    action: shop.look\n    with: {x: '${steps.last.output}', y: '${step.output}'}\n"), [
        ("steps[1].with.x (line 7, column 15): Step `last` does not come before this place, "
        "so it has no output or status to read here."),
        "steps[1].with.y (line 7, column 42): `step.output` is not a name here. Did you mean `steps`?",
    ]),
    (one("key: 5\namount: 1.5\nlabels: {Who: x, b: [1]}\nin_doubt: maybe\n"), [
        "key (line 5, column 6): `key` must be text with an expression; found the number 5.",
        ("amount (line 6, column 9): `amount` must be an expression such as ${input.amount}, or a whole number; "
        "found the number 1.5."),
        "labels.Who (line 7, column 10): A label's name must be small letters, digits and underscores; found \"Who\".",
        "labels.b (line 7, column 21): A label must be text, a number, true or false; found a list.",
        'in_doubt (line 8, column 11): `in_doubt` must be `compensate` or `ask`; found "maybe".',
    ]),
    (one("key: ${run.id}\n"), ["key (line 5, column 6): `run.id` is not a name here. Known here: `input`."]),
    (one("input: {type: objekt}\n"), [
        ("input.type (line 5, column 15): This is not JSON Schema 2020-12: "
        "\"objekt\" is not valid under any of the schemas listed in the 'anyOf' keyword.")
    ]),
    (one("input: {properties: {a: {$ref: 'http://127.0.0.1/x'}}}\n"), [
        ("input.properties.a.$ref (line 5, column 32): `$ref` may only point into this schema (`#/…`); "
        "found `http://127.0.0.1/x`.")
    ]),
    (one("input: {$ref: '#/$defs/x'}\n"),
     ["input (line 5, column 8): This schema cannot be used: Pointer '/$defs/x' does not exist."]),
    (one("input: {pattern: '(?=a)b'}\n"),
     ['input.pattern (line 5, column 18): This schema cannot be used: "(?=a)b" is not a "regex".']),
    (one("    with: {card: 1}\n    redact: [with.crd, card, output, compensation.with.x, 5]\n"), [
        "steps[0].redact[0] (line 6, column 14): There is no argument `crd`. Did you mean `card`?",
        ("steps[0].redact[1] (line 6, column 24): `redact` names a place such as with.card.number, "
        "output.token, headers.Authorization or "
         'compensation.with.card; found "card".'),
        ("steps[0].redact[3] (line 6, column 38): "
         "The step has no `compensation` in which something could be hidden."),
        ("steps[0].redact[4] (line 6, column 59): `redact` names a place such as with.card.number, "
        "output.token, headers.Authorization or "
         "compensation.with.card; found the number 5."),
    ]),
    (one("    redact: output\n"), [
        ("steps[0].redact (line 5, column 13): `redact` must be a list of places, such as [with.card, output.token]; "
         'found "output".')
    ]),
    (one("    redact: [with]\n"),
     ["steps[0].redact[0] (line 5, column 14): There is no `with` in which something could be hidden."]),
    (steps("  - {name: rest, sleep: 1m, redact: [output]}\n"), [
        ("steps[0].redact[0] (line 3, column 38): A step that waits for a time or a person gives nothing back that "
         "could be hidden.")
    ]),
    (one('    with: {card: "${input.card}"}\n    redact: [with.card]\nkey: "${input.card.number}"\n'
         'labels: {all: "x${input}"}\n'), [
        "key (line 7, column 6): This would show `input.card.number`, which is redacted: a run is found by it.",
        "labels.all (line 8, column 15): This would show `input`, which is redacted: a run is found by it.",
    ]),
    (one("    with: {$sealed: abc}\n"),
     [("steps[0].with (line 5, column 11): A mapping must not have the key `$sealed`: "
       "redacted values are stored as one.")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_document_is_refused_with(text, messages):
    assert said(text) == messages


LINT = [
    (one("key: fixed\n"),
     ["key (line 5, column 6): The key is the same for every start, so only one run can ever begin."]),
    (steps("  - name: x\n    action: shop.lok\n    compensation: none\n"), [
        "steps[0].action (line 4, column 13): No action called `shop.lok` is registered here. Did you mean `shop.look`?"
    ]),
    (steps("  - {name: a, action: shop.pay, pivot: true}\n"
           "  - name: b\n    action: shop.ship\n    compensation: {action: shop.refund}\n"), [
        "steps[1].compensation (line 6, column 19): This compensation never runs: `b` comes after the pivot `a`."
    ]),
    (one("    retry: {attempts: forever}\n"), [
        ("steps[0].retry (line 5, column 12): Step `look` is tried for ever and the saga has no `deadline`, "
        "so it may never end.")
    ]),
    (steps("  - name: s\n    action: shop.ship\n"
           "    compensation: {action: shop.refund, with: {id: '${step.output.id}'}}\n"), [
        ("steps[0].compensation.with (line 5, column 47): `step.output` is missing when the outcome of the action is "
        "unknown. Read from `input` or `step.input` what the compensation needs.")
    ]),
    (steps("  - {name: paid, wait_for: {signal: paid}}\n"), [
        ("steps[0].wait_for (line 3, column 28): `paid` has no `timeout` and the saga no `deadline`, "
        "so it may wait for ever.")
    ]),
    (one("  - {name: rest, sleep: 1m}\ndeadline: 2m\n"), [
        ("deadline (line 6, column 11): Time-outs, attempts and waits of the steps add up to 153 s on the longest way, "
        "which is more than the deadline of 120 s.")
    ]),
    (one("deadline: 1m\n"), [
        ("deadline (line 5, column 11): Time-outs, attempts and waits of the steps add up to 93 s on the longest way, "
        "which is more than the deadline of 60 s.")
    ]),
    (one("input: {properties: {a: {}, b: {}}}\nkey: ${input.a}\n"),
     ["input.properties.b (line 5, column 32): No expression reads `input.b`."]),
    (one('    with: {card: "${input.card}", last: "${size(input.card)}"}\n    redact: [with.card]\n'), [
        ("steps[0].with.last (line 5, column 41): `input.card` is redacted, or holds what is; "
         "what this makes of it is shown.")
    ]),
    (steps('  - {name: s, run: other, with: {card: "${input.card}"}, redact: [with.card]}\n'), [
        ("steps[0].with (line 3, column 33): What a sub-saga is given stands in its own run, which shows it unless "
         "its own steps redact it.")
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), LINT, ids=range(len(LINT)))
def test_a_suspicious_document_is_accepted_with_a_warning(text, messages):
    assert warned(text) == messages
