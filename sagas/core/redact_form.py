"""Reading `redact`: the places of a step's input and output that nobody is to see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagas.core.limits import JSON_DEPTH_MAX, REDACTED_MAX
from sagas.core.problem import found_text, hint
from sagas.core.redaction import EACH, Place

if TYPE_CHECKING:
    from sagas.core.fields import Fields
    from sagas.core.vocabulary import Json

PLACE = re.compile(r"(?:compensation\.)?(?:with|output|body|query|headers)(?:\.[^.]+)*")
_OF_REQUESTS = ("body", "query", "headers")

_FORM = "a place such as with.card.number, output.token, headers.Authorization or compensation.with.card"


def read_redact(fields: Fields, name: str) -> tuple[Place, ...]:
    """Read the places that a step called `name` hides."""
    value = fields.raw("redact")
    if "redact" not in fields:
        return ()
    if not isinstance(value, list) or not value:
        message = f"`redact` must be a list of places, such as [with.card, output.token]; found {found_text(value)}."
        fields.error("redact", "wrong_type", message)
        return ()
    if len(value) > REDACTED_MAX:
        fields.error("redact", "too_many", f"a step names at most {REDACTED_MAX} places; found {len(value)}.")
        return ()
    found = []
    for number, text in enumerate(value):
        path = (*fields.at("redact"), number)
        if not isinstance(text, str) or not PLACE.fullmatch(text) or text.count(".") > JSON_DEPTH_MAX:
            fields.report.error(path, "wrong_value", f"`redact` names {_FORM}; found {found_text(text)}.")
            continue
        place = _place(fields, name, text)
        if isinstance(place, str):
            fields.report.error(path, "redact_place", place)
        else:
            found.append(place)
    return tuple(found)


def _place(fields: Fields, name: str, text: str) -> Place | str:
    """Return one place, or the sentence that says why there is none."""
    keys = text.split(".")
    owner: Json = {key: fields.raw(key) for key in ("with",) if key in fields}
    root = name
    if keys[0] == "compensation":
        owner, root, keys = fields.raw("compensation"), f"{name}.compensation", keys[1:]
        if not isinstance(owner, dict):
            return "the step has no `compensation` in which something could be hidden."
    half = "" if root == name else " of the compensation"
    request = _request(fields.raw("action") if root == name else owner.get("action"))
    if keys[0] in _OF_REQUESTS:
        said = {} if request is None else request
        if keys[0] not in said:
            return f"there is no `{keys[0]}`{half} in which something could be hidden."
        return _found(f"{root}.with", keys, said[keys[0]], half)
    if keys[0] == "output" and not half and any(kind in fields for kind in ("sleep", "sleep_until", "approval")):
        return "a step that waits for a time or a person gives nothing back that could be hidden."
    if keys[0] == "with":
        arguments = owner.get("with")
        if not isinstance(arguments, dict) or not arguments:
            return f"there is no `with`{half} in which something could be hidden."
        found = _found(f"{root}.with", ["body", *keys[1:]], arguments, half)
        return found if request is not None or isinstance(found, str) else (found[0], found[1][1:])
    return f"{root}.{keys[0]}", tuple(keys[1:])


def _found(root: str, keys: list[str], known: Json, half: str) -> Place | str:
    """Return a place of what is given, which is written out as `known`; a sentence when that has no such name."""
    if len(keys) > 1 and isinstance(known, dict) and keys[1] not in {*known, EACH}:
        return f"there is no argument `{keys[1]}`{half}.{hint(keys[1], known)}"
    return root, tuple(keys)


def _request(action: Json) -> dict[str, Json] | None:
    """Return what an action over HTTP says; None of any other."""
    said = action.get("http") if isinstance(action, dict) else None
    return said if isinstance(said, dict) else None
