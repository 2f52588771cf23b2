"""Suspicious conditions: steps that are never done, and joins that may begin with nothing done before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.expressions import CompiledTemplate, ExpressionError

if TYPE_CHECKING:
    from sagas.core.definition import Definition, Template
    from sagas.core.problem import Report


def conditions(definition: Definition, report: Report) -> None:
    """Warn of `when`s that are never true, and of joins whose every branch may be skipped."""
    for step in definition.steps:
        if step.when is not None and _is_never(step.when):
            message = f"`when` is always false, so `{step.name}` is never done."
            report.warning(("steps", step.position, "when"), "step_unreachable", message)
        before = [definition.by_name[name] for name in step.after]
        if len(before) > 1 and all(one.when is not None for one in before):
            said = {_condition(one.when) for one in before}
            if any(f"!{one}" in said or f"!({one})" in said for one in said):
                continue  # one of the two is always done
            message = f"all that `{step.name}` comes after may be skipped; then it starts although nothing was done."
            report.warning(("steps", step.position, "after"), "join_may_be_empty", message)


def _is_never(when: Template) -> bool:
    """Whether a condition is false whatever the run is about; false as well when nobody can say."""
    if not isinstance(when, CompiledTemplate) or when.reads:
        return False
    try:
        return when.render({}) is False
    except ExpressionError:
        return False


def _condition(when: Template | None) -> str:
    """Return the one expression of a condition without its spaces; empty for any other value."""
    expressions = when.expressions if isinstance(when, CompiledTemplate) else ()
    return "".join(expressions[0].split()) if len(expressions) == 1 else ""
