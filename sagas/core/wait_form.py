"""Reading the steps of a document that wait: `sleep`, `sleep_until`, `wait_for`, `approval`."""

from __future__ import annotations

import re

from sagas.core.definition import Approval, SignalWait, Timer, Wait
from sagas.core.expressions import compile_template
from sagas.core.fields import Fields
from sagas.core.limits import DEADLINE_S_MAX, NAME_LENGTH_MAX, PROMPT_LENGTH_MAX
from sagas.core.names import Names
from sagas.core.problem import found_text

WAITS = ("sleep", "sleep_until", "wait_for", "approval")
NOT_OF_WAITS = ("with", "timeout", "retry", "probe")  # keys that only a call of an action has
SIGNAL_KEYS = ("signal", "timeout", "on_timeout")
APPROVAL_KEYS = ("group", "prompt", "timeout", "on_timeout")
ON_TIMEOUT = ("fail", "continue")  # the first one is meant where nothing is said
GROUP = "operator"  # who answers when the document does not say

_WAIT_S_MIN = 0.001
SIGNAL_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_.-]{{0,{NAME_LENGTH_MAX - 1}}}", re.ASCII)
GROUP_LENGTH_MAX = 150  # the width of the column of a group's name


def read_wait(fields: Fields, title: str, names: Names) -> Wait | None:
    """Read what a step waits for; None when it does not wait.

    Args:
        fields: the step.
        title: its title, for the question of an approval that asks none.
        names: what its expressions may use.
    """
    if "sleep" in fields:
        return Timer(length_s=fields.duration_s("sleep", 1.0, _WAIT_S_MIN, DEADLINE_S_MAX))
    if "sleep_until" in fields:
        value = fields.raw("sleep_until")
        if not isinstance(value, str):
            message = "`sleep_until` must be a time such as 2026-07-01T09:00:00Z, or an expression that gives one; "
            fields.error("sleep_until", "wrong_value", message + f"found {found_text(value)}.")
        return Timer(until=fields.template("sleep_until", names) or _EMPTY)
    if "wait_for" in fields:
        return _read_signal_wait(fields)
    return _read_approval(fields, title, names) if "approval" in fields else None


def _read_signal_wait(step: Fields) -> SignalWait:
    fields = Fields(step.raw("wait_for"), step.at("wait_for"), step.report, what="`wait_for`", known=SIGNAL_KEYS)
    signal = ""
    if fields.is_mapping:
        signal = fields.name(
            "signal", SIGNAL_NAME,
            f"letters, digits, underscores, dots and dashes, a letter first, at most {NAME_LENGTH_MAX}",
            "the name of the signal that ends the wait, such as payment_confirmed.",
        )  # fmt: skip
    timeout_s, goes_on = _read_timeout(fields)
    return SignalWait(signal, timeout_s, goes_on)


def _read_approval(step: Fields, title: str, names: Names) -> Approval:
    fields = Fields(step.raw("approval"), step.at("approval"), step.report, what="`approval`", known=APPROVAL_KEYS)
    group = fields.text("group", GROUP, length_max=GROUP_LENGTH_MAX)
    if not group.strip():
        fields.error("group", "wrong_value", "`group` must name who may answer, such as operator.")
    fields.text("prompt", length_max=PROMPT_LENGTH_MAX)
    prompt = fields.template("prompt", names) or compile_template(f"{title}?".replace("${", "$${"), names)
    timeout_s, goes_on = _read_timeout(fields)
    return Approval(group, prompt, timeout_s, goes_on)


def _read_timeout(fields: Fields) -> tuple[float | None, bool]:
    seconds = fields.duration_s("timeout", 0.0, _WAIT_S_MIN, DEADLINE_S_MAX)
    goes_on = fields.choice("on_timeout", ON_TIMEOUT) == "continue"
    if "on_timeout" in fields and "timeout" not in fields:
        fields.error("on_timeout", "needs_timeout", "`on_timeout` has no meaning without `timeout`.", at_key=True)
    return seconds or None, goes_on


_EMPTY = compile_template("", Names())
