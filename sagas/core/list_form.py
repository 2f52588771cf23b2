"""Reading the keys of a step that is carried out for each item of a list: `for_each`, `max_parallel`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sagas.core.definition import MAX_PARALLEL
from sagas.core.limits import ITEMS_MAX, PARALLEL_MAX
from sagas.core.names import ITEM_NAMES, Names
from sagas.core.problem import found_text

if TYPE_CHECKING:
    from sagas.core.expressions import CompiledTemplate
    from sagas.core.fields import Fields

LISTS = ("for_each", "max_parallel")


def item_names(fields: Fields, names: Names) -> Names:
    """Return what expressions of a step may use: `item` and `index` too when it has a list."""
    return replace(names, values=(*names.values, *ITEM_NAMES)) if "for_each" in fields else names


def read_list(fields: Fields, names: Names) -> tuple[CompiledTemplate | None, int]:
    """Read which list a step is carried out for, None when for none, and how many of its items at once.

    Args:
        fields: the step.
        names: what the expression of the list may use; neither `item` nor `index`.
    """
    if "for_each" not in fields:
        if "max_parallel" in fields:
            message = "`max_parallel` has no meaning without `for_each`."
            fields.error("max_parallel", "needs_list", message, at_key=True)
        return None, MAX_PARALLEL
    value = fields.raw("for_each")
    if not isinstance(value, list) and not (isinstance(value, str) and "${" in value):
        message = "`for_each` must be an expression that gives a list, such as ${input.items}, or a list; "
        fields.error("for_each", "wrong_value", message + f"found {found_text(value)}.")
        return None, MAX_PARALLEL
    if isinstance(value, list) and len(value) > ITEMS_MAX:
        fields.error("for_each", "too_many", f"a list has at most {ITEMS_MAX} items; found {len(value)}.")
    return fields.template("for_each", names), _read_parallel(fields)


def _read_parallel(fields: Fields) -> int:
    value = fields.raw("max_parallel") if "max_parallel" in fields else MAX_PARALLEL
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= PARALLEL_MAX:
        return value
    message = f"`max_parallel` must be a whole number from 1 to {PARALLEL_MAX}; found {found_text(value)}."
    fields.error("max_parallel", "wrong_value", message)
    return MAX_PARALLEL
