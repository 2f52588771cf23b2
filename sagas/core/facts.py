"""What expressions of a definition say of a new run: its business key, its labels, its amount."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core.cel import INT64
from sagas.core.expressions import ExpressionError
from sagas.core.limits import KEY_LENGTH_MAX, LABELS_MAX
from sagas.core.problem import Problem, check_payload
from sagas.core.scope import Scope
from sagas.core.state import RunState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.definition import Definition, Template
    from sagas.core.vocabulary import Json


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one run, only good when `problems` is empty."""

    key: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    amount: int | None = None
    problems: tuple[Problem, ...] = ()


def facts_of(
    definition: Definition,
    run_id: str,
    value: Json,
    *,
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Facts:
    """Return the facts of a run of `definition` with the input `value`, and what is wrong with them.

    Args:
        definition: what is started.
        run_id: its id, for expressions that read it.
        value: the input, checked before.
        key: the business key; the definition's `key` expression when None.
        labels: added to the definition's.
    """
    scope = Scope(definition, RunState(run=run_id, saga=definition.saga, input=value))
    problems: list[Problem] = []

    def rendered(name: str, template: Template) -> Json:
        try:
            return template.render(scope)
        except ExpressionError as error:
            problems.append(Problem(message=f"`{name}` has no value for this input: {error}", pointer="/input"))
            return None

    if key is None and definition.key is not None:
        key = text_of(rendered("key", definition.key))
        if not key and not problems:  # without one, the same order could be started twice
            problems.append(Problem(message="`key` is empty for this input.", pointer="/input"))
    found = {name: text_of(rendered(f"labels.{name}", one)) for name, one in definition.labels.items()}
    found.update({name: text_of(one) for name, one in (labels or {}).items()})
    amount = rendered("amount", definition.amount) if definition.amount is not None else None
    if amount is not None and not is_amount(amount):
        problems.append(Problem(message=f"`amount` must be a whole number, found {amount!r}.", pointer="/input"))
    if key is not None and len(key) > KEY_LENGTH_MAX:
        message = f"The key has {len(key)} characters; at most {KEY_LENGTH_MAX} are allowed."
        problems.append(Problem(message=message, pointer="/key"))
    if len(found) > LABELS_MAX:
        problems.append(Problem(message=f"{len(found)} labels; at most {LABELS_MAX} are allowed.", pointer="/labels"))
    problems += [
        Problem(message=problem.message, pointer=pointer)
        for pointer, one in (("/key", key), ("/labels", found))
        for problem in check_payload(one)
    ]
    return Facts(key or "", found, amount, tuple(problems))


def is_amount(value: Json) -> bool:
    """Whether `value` is a whole number that a run may have as its amount."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) in INT64


def text_of(value: Json) -> str:
    """Return a value as the text of a key or a label."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
