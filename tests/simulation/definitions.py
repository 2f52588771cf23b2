"""The sagas that are crashed at every point. Times are short: each look of a waiting pump is a point as well."""

from __future__ import annotations

from tests.simulation.choreographies import CHOREOGRAPHIES

DEFAULTS = """
key: "${input.order}"
defaults:
  timeout: 500ms
  retry: {attempts: 2, initial: 10ms, factor: 1, jitter: 0}
  compensation_retry: {attempts: 2, initial: 10ms, factor: 1, jitter: 0}
"""

SOURCES = {
    "order": """
steps:
  - {name: pay, action: simulated.atomic, compensation: {action: simulated.atomic}}
  - {name: stock, action: simulated.plain, with: {paid: "${steps.pay.output.did}"},
     compensation: {action: simulated.plain}}
  - {name: ship, action: simulated.plain, compensation: none}
output: {parcel: "${steps.ship.output.did}"}
""",
    "pivot": """
steps:
  - {name: reserve, action: simulated.plain, compensation: {action: simulated.atomic}}
  - {name: charge, action: simulated.plain, pivot: true}
  - {name: tell, action: simulated.atomic, compensation: none}
""",
    "patient": """
steps:
  - {name: ask, action: simulated.plain, retry: {attempts: 4}, compensation: {action: simulated.plain}}
  - {name: note, action: simulated.atomic, retry: {attempts: 3}, compensation: {action: simulated.atomic}}
  - {name: send, action: simulated.slow, retry: {attempts: 3}, compensation: {action: simulated.slow}}
""",
    "looking": """
steps:
  - {name: look, action: simulated.look}
  - {name: book, action: simulated.plain, with: {seen: "${steps.look.output.did}"},
     compensation: {action: simulated.plain}}
  - {name: again, action: simulated.look}
""",
    "asking": """
in_doubt: ask
steps:
  - {name: hold, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: move, action: simulated.plain, compensation: {action: simulated.plain}}
""",
    "carrying-on": """
on_compensation_failure: continue
steps:
  - {name: one, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: two, action: simulated.atomic, compensation: {action: simulated.atomic}}
  - {name: three, action: simulated.plain, compensation: {action: simulated.plain}}
""",
    "hurried": """
deadline: 450ms
steps:
  - {name: first, action: simulated.slow, compensation: {action: simulated.plain}}
  - {name: second, action: simulated.slow, compensation: {action: simulated.plain}}
""",
    "single": """
steps:
  - {name: only, action: simulated.plain, compensation: {action: simulated.plain}}
""",
    "single-atomic": """
steps:
  - {name: only, action: simulated.atomic, compensation: {action: simulated.atomic}}
""",
    "guided": """
steps:
  - {name: begin, action: simulated.slow, with: {takes_s: 0.3}, compensation: {action: simulated.plain}}
  - {name: middle, action: simulated.slow, with: {takes_s: 0.3},
     compensation: {action: simulated.slow, with: {takes_s: 0.3}}}
  - {name: last, action: simulated.plain, compensation: none}
""",
    "beside": """
steps:
  - {name: open, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: left, after: [open], action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: right, after: [open], action: simulated.atomic, compensation: {action: simulated.atomic}}
  - {name: never, after: [open], when: "${1 == 2}", action: simulated.look}
  - {name: close, after: [left, right, never], action: simulated.plain, compensation: none}
""",
    "many": """
steps:
  - {name: open, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: pack, action: simulated.plain, for_each: [a, b, c], max_parallel: 2, with: {what: "${item}"},
     compensation: {action: simulated.plain}}
  - {name: close, action: simulated.atomic, compensation: none}
""",
    "one-by-one": """
steps:
  - {name: stamp, action: simulated.atomic, for_each: [a, b], max_parallel: 1, compensation: {action: simulated.atomic}}
  - {name: close, action: simulated.plain, compensation: none}
""",
    "waiting": """
steps:
  - {name: hold, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: rest, sleep: 200ms}
  - {name: paid, wait_for: {signal: paid}}
  - {name: agree, approval: {group: operator}}
  - {name: send, action: simulated.atomic, with: {paid: "${steps.paid.output.sum}"}, compensation: none}
""",
    "outer": """
steps:
  - {name: pay, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: ship, run: inner, with: {order: "${input.order}"}}
  - {name: close, action: simulated.plain, with: {sent: "${steps.ship.output.sent}"}, compensation: none}
""",
    "long": """
steps:
  - {name: a, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: b, action: simulated.atomic, compensation: {action: simulated.atomic}}
  - {name: c, action: simulated.look}
  - {name: d, action: simulated.slow, compensation: {action: simulated.plain}}
  - {name: e, action: simulated.atomic, compensation: none}
  - {name: f, action: simulated.plain, compensation: {action: simulated.plain}}
""",
}

# What several runs beside each other show as well (`test_stateful.py`); nobody crashes these at every point.
MORE = {
    "doubtful": """
steps:
  - {name: pay, action: simulated.plain, probe: {python: simulated.probe}, compensation: {action: simulated.plain}}
  - {name: ship, action: simulated.slow, probe: {python: simulated.probe}, compensation: {action: simulated.slow}}
  - {name: close, action: simulated.atomic, compensation: none}
""",
    "secret": """
input: {type: object, properties: {order: {}, card: {}}}
steps:
  - {name: pay, action: simulated.plain, with: {card: "${input.card}"}, redact: [with.card, output.did],
     compensation: {action: simulated.plain, with: {card: "${step.input.card}"}}}
  - {name: ship, action: simulated.plain, with: {paid: "${steps.pay.output.did}"}, compensation: none}
""",
    "hasty": """
steps:
  - {name: hold, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: paid, wait_for: {signal: paid, timeout: 2s}, after: [hold]}
  - {name: packed, wait_for: {signal: packed}, after: [hold]}
  - {name: agree, approval: {group: operator, timeout: 20s}, after: [paid, packed]}
  - {name: send, action: simulated.plain, compensation: none}
""",
}

INNER = """
steps:
  - {name: pack, action: simulated.plain, compensation: {action: simulated.plain}}
  - {name: send, action: simulated.slow, compensation: {action: simulated.atomic}}
output: {sent: "${steps.send.output.did}"}
"""


def source(name: str, variant: int = 0) -> str:
    """Return the whole document of one of them; another variant has a step more, and does as well."""
    if name in CHOREOGRAPHIES:
        return CHOREOGRAPHIES[name]
    steps = {**SOURCES, **MORE}.get(name, INNER)
    more = f"  - {{name: more_{variant}, action: simulated.look}}\n" if variant else ""
    body, _, rest = steps.partition("\noutput:")
    tail = f"output:{rest}" if rest else ""
    return f"saga: {name}\ntitle: {name.title()}\n{DEFAULTS}{body.rstrip()}\n{more}{tail}"
