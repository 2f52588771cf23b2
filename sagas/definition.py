"""Sagas written in Python: functions that make the same document as YAML does.

    from sagas.definition import compensation, retry, saga, step

    create_order = saga(
        "create-order",
        key="${input.order_id}",
        steps=[
            step("pay", action="shop.pay", compensation=compensation("shop.refund"), retry=retry(attempts=5)),
            step("ship", action="shop.ship", compensation="none"),
        ],
    )

Keyword arguments are the keys of the format (`with_` for `with`), so a type checker
finds a misspelt one; what is not said is not in the document. Nothing is checked
here beyond that: `manage.py sagas apply shop.definitions:create_order` reads the
document as it reads a file. Needs no Django.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any, Literal, TypeAlias

from sagas.core.document_text import document_text
from sagas.core.duration import duration_text
from sagas.core.limits import DOCUMENT_BYTES_MAX
from sagas.core.problem import check_payload, hint
from sagas.core.vocabulary import Json

__all__ = [
    "Action",
    "Approval",
    "Compensation",
    "Defaults",
    "DefinitionError",
    "Reaction",
    "Retry",
    "Saga",
    "Step",
    "WaitFor",
    "approval",
    "choreography",
    "command",
    "compensation",
    "defaults",
    "http",
    "import_saga",
    "is_named",
    "python",
    "reaction",
    "retry",
    "saga",
    "step",
    "wait_for",
]

Duration: TypeAlias = str | timedelta  # `10s`, `PT1H30M`, or a timedelta
OnTimeout: TypeAlias = Literal["fail", "continue"]

_UNSAID: Any = object()  # for keys whose value may be None
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_EXACT = 2**53  # whole numbers below are exact as doubles


class DefinitionError(ValueError):
    """A value that no document can hold, such as a set or a date; the text says where."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a document. Made by the function of the same name in small letters."""

    _document: dict[str, Json] = field(repr=False)

    @property
    def document(self) -> dict[str, Json]:
        """The part as JSON, a new copy each time."""
        return deepcopy(self._document)


class Action(_Part):
    """What a step or its compensation calls."""


class Retry(_Part):
    """How often and how fast to try again."""


class Compensation(_Part):
    """What undoes a step."""


class Defaults(_Part):
    """What holds for every step that does not say otherwise."""


class WaitFor(_Part):
    """A wait for a signal."""


class Approval(_Part):
    """A question to a person."""


class Reaction(_Part):
    """What one service does on events."""


class Step(_Part):
    """One step."""

    @property
    def name(self) -> str:
        """What `after` and expressions call it."""
        return str(self._document["name"])


class Saga(_Part):
    """A whole document."""

    @property
    def name(self) -> str:
        """The saga's name."""
        return str(self._document["saga"])

    def as_text(self) -> str:
        """Return the document as YAML; as JSON where it is too large to be YAML. It reads back as the same content."""
        return document_text(self.document).text


def saga(
    name: str,
    *,
    steps: Sequence[Step],
    title: str | None = None,
    style: Literal["orchestration"] | None = None,
    description: str | None = None,
    input: Mapping[str, Json] | None = None,  # noqa: A002 - the word of the format
    key: str | None = None,
    labels: Mapping[str, str | float | bool] | None = None,
    amount: str | int | None = None,
    unit: str | None = None,
    output: Json = _UNSAID,
    deadline: Duration | None = None,
    on_compensation_failure: Literal["stop", "continue"] | None = None,
    in_doubt: Literal["compensate", "ask"] | None = None,
    defaults: Defaults | None = None,
) -> Saga:
    """Make a saga. The keywords are the keys of the document (docs/reference/definition.md).

    Raises:
        DefinitionError: some value is not JSON.
    """
    document = _said({
        "saga": name, "title": title, "style": style, "description": description, "input": input, "key": key,
        "labels": labels, "amount": amount, "unit": unit, "output": output, "deadline": _duration(deadline),
        "on_compensation_failure": on_compensation_failure, "in_doubt": in_doubt, "defaults": defaults, "steps": steps,
    })  # fmt: skip
    for problem in check_payload(document, bytes_max=4 * DOCUMENT_BYTES_MAX):
        raise DefinitionError(f"{name}: {problem}")
    return Saga(document)


def step(
    name: str,
    *,
    title: str | None = None,
    action: str | Action | None = None,
    run: str | None = None,
    sleep: Duration | None = None,
    sleep_until: str | None = None,
    wait_for: WaitFor | None = None,
    approval: Approval | None = None,
    with_: Mapping[str, Json] | None = None,
    after: Sequence[str | Step] | None = None,
    when: str | bool | None = None,
    for_each: str | Sequence[Json] | None = None,
    max_parallel: int | None = None,
    compensation: Compensation | Literal["none"] | None = None,
    pivot: bool | None = None,
    timeout: Duration | None = None,
    retry: Retry | None = None,
    probe: Action | None = None,
    redact: Sequence[str] | None = None,
) -> Step:
    """Make a step. It has exactly one of `action`, `run`, `sleep`, `sleep_until`, `wait_for` and `approval`."""
    names = None if after is None else [each.name if isinstance(each, Step) else each for each in after]
    return Step(_said({
        "name": name, "title": title, "action": action, "run": run, "sleep": _duration(sleep),
        "sleep_until": sleep_until, "wait_for": wait_for, "approval": approval, "with": with_, "after": names,
        "when": when, "for_each": for_each, "max_parallel": max_parallel, "compensation": compensation,
        "pivot": pivot, "timeout": _duration(timeout), "retry": retry, "probe": probe, "redact": redact,
    }))  # fmt: skip


def choreography(
    name: str,
    *,
    starts_on: Sequence[str],
    correlate: str,
    completes_on: Sequence[str],
    reactions: Sequence[Reaction],
    title: str | None = None,
    description: str | None = None,
    labels: Mapping[str, str | float | bool] | None = None,
    amount: str | int | None = None,
    unit: str | None = None,
    deadline: Duration | None = None,
    compensated_on: Sequence[str] | None = None,
    publishes: Mapping[str, Sequence[str]] | None = None,
    early: Mapping[str, str] | None = None,
    defaults: Defaults | None = None,
    redact: Sequence[str] | None = None,
) -> Saga:
    """Make a choreography: services that react to events, with nobody who commands them.

    Raises:
        DefinitionError: some value is not JSON.
    """
    document = _said({
        "saga": name, "title": title, "style": "choreography", "description": description, "labels": labels,
        "amount": amount, "unit": unit, "deadline": _duration(deadline), "starts_on": starts_on,
        "correlate": correlate, "completes_on": completes_on, "compensated_on": compensated_on,
        "publishes": publishes, "early": early, "defaults": defaults, "redact": redact, "reactions": reactions,
    })  # fmt: skip
    for problem in check_payload(document, bytes_max=4 * DOCUMENT_BYTES_MAX):
        raise DefinitionError(f"{name}: {problem}")
    return Saga(document)


def reaction(
    name: str,
    *,
    on: Sequence[str],
    title: str | None = None,
    service: str | None = None,
    action: str | Action | None = None,
    external: bool | None = None,
    with_: Mapping[str, Json] | None = None,
    emits: Mapping[Literal["succeeded", "rejected"], str] | None = None,
    within: Duration | None = None,
    undoes: str | None = None,
    compensation: Literal["none"] | None = None,
    timeout: Duration | None = None,
    retry: Retry | None = None,
    probe: Action | None = None,
    redact: Sequence[str] | None = None,
) -> Reaction:
    """Say what a service does on events: by an `action` called from here, or by itself (`external`)."""
    return Reaction(_said({
        "name": name, "title": title, "service": service, "on": on, "action": action, "external": external,
        "with": with_, "emits": emits, "within": _duration(within), "undoes": undoes, "compensation": compensation,
        "timeout": _duration(timeout), "retry": retry, "probe": probe, "redact": redact,
    }))  # fmt: skip


def compensation(
    action: str | Action,
    *,
    with_: Mapping[str, Json] | None = None,
    timeout: Duration | None = None,
    retry: Retry | None = None,
) -> Compensation:
    """Say what undoes a step. A step that nothing undoes says `compensation="none"` instead."""
    return Compensation(_said({"action": action, "with": with_, "timeout": _duration(timeout), "retry": retry}))


def retry(
    *,
    attempts: int | Literal["forever"] | None = None,
    initial: Duration | None = None,
    factor: float | None = None,
    max: Duration | None = None,  # noqa: A002 - the word of the format
    jitter: float | None = None,
) -> Retry:
    """Say how often (`attempts` counts the first one) and how fast to try again."""
    waits = {"initial": _duration(initial), "factor": factor, "max": _duration(max), "jitter": jitter}
    return Retry(_said({"attempts": attempts, **waits}))


def defaults(
    *, timeout: Duration | None = None, retry: Retry | None = None, compensation_retry: Retry | None = None
) -> Defaults:
    """Say what holds for every step that does not say otherwise."""
    return Defaults(_said({"timeout": _duration(timeout), "retry": retry, "compensation_retry": compensation_retry}))


def wait_for(signal: str, *, timeout: Duration | None = None, on_timeout: OnTimeout | None = None) -> WaitFor:
    """Wait until somebody sends the signal."""
    return WaitFor(_said({"signal": signal, "timeout": _duration(timeout), "on_timeout": on_timeout}))


def approval(
    *,
    group: str | None = None,
    prompt: str | None = None,
    timeout: Duration | None = None,
    on_timeout: OnTimeout | None = None,
) -> Approval:
    """Wait until a person of the group says yes or no."""
    said = {"group": group, "prompt": prompt, "timeout": _duration(timeout), "on_timeout": on_timeout}
    return Approval(_said(said))


def python(name: str) -> Action:
    """Call a registered Python action. The same as its bare name, except where the format wants a mapping."""
    return Action({"python": name})


def http(
    service: str,
    *,
    method: str | None = None,
    path: str | None = None,
    headers: Mapping[str, Json] | None = None,
    query: Mapping[str, Json] | None = None,
    body: Json = _UNSAID,
    async_: bool | None = None,
) -> Action:
    """Call a registered service over HTTP."""
    call = {"service": service, "method": method, "path": path, "headers": headers, "query": query}
    return Action({"http": _said({**call, "body": body, "async": async_})})


def command(service: str, name: str) -> Action:
    """Send a command message to a service behind a broker."""
    return Action({"command": {"service": service, "name": name}})


def is_named(text: str) -> bool:
    """Whether `text` names a saga in Python: `module:attribute`."""
    return _NAME.fullmatch(text) is not None


def import_saga(name: str) -> Saga:
    """Return the saga that is `module:attribute`; the module is imported, so it must be one to be trusted.

    Raises:
        DefinitionError: it cannot be imported, or is no saga.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever the module does when it is imported
        raise DefinitionError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, attribute, None)
    if isinstance(found, Saga):
        return found
    if hasattr(module, attribute):
        raise DefinitionError(f"{name} is no saga made by sagas.definition, but of type {type(found).__name__}.")
    sagas = [known for known, value in vars(module).items() if isinstance(value, Saga)]
    raise DefinitionError(f"{module_name} has no {attribute}.{hint(attribute, sagas)}")


def _said(keys: Mapping[str, Any]) -> dict[str, Json]:
    """Return the keys that were said. Only values of the saga's own may be null, and those default to `_UNSAID`."""
    is_said = {key: value is not (_UNSAID if key in _MAY_BE_NULL else None) for key, value in keys.items()}
    return {key: _plain(value) for key, value in keys.items() if is_said[key]}


_MAY_BE_NULL = frozenset(("output", "body"))


def _duration(value: Duration | None) -> str | None:
    return duration_text(value.total_seconds()) if isinstance(value, timedelta) else value


def _plain(value: Any) -> Json:
    """Return a value as the reader would have read it; what is not JSON stays, and is found by `saga`."""
    match value:
        case _Part():
            return value.document
        case Mapping():
            return {key: _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case float() if value.is_integer() and abs(value) < _EXACT:
            return int(value)
    return value
