"""A choreography drafted from events that were seen: what follows from what, by whom, and which run it is of.

A draft and no more: what undoes what cannot be seen, and what never happened is
not in it. All of its reactions are only watched. Its author edits and publishes it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core.limits import REACTIONS_MAX
from sagas.core.sealed import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sagas.core.vocabulary import Json

OFTEN = 0.9  # of the events: a field that fewer of them have says nothing of their run
VALUE_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """One event that was seen; `cause` is the id of the one that it follows from, empty where nobody said."""

    id: str
    type: str
    source: str
    cause: str = ""
    data: Json = None


@dataclass(slots=True)
class _Pattern:
    """That a service emits these types after one of another type, and how often."""

    service: str
    on: str
    emits: Counter[str] = field(default_factory=Counter)


def draft_document(events: Sequence[Seen], name: str) -> dict[str, Json] | None:
    """Return a document of the style `choreography` that fits what was seen; None when nothing follows from anything.

    Args:
        events: in the order in which they came.
        name: what the saga is to be called.
    """
    by_id = {one.id: one for one in events}
    caused = [one for one in events if one.cause in by_id]
    if not caused:
        return None
    patterns = _patterns(caused, by_id)
    first = Counter(one.type for one in events if one.cause not in by_id)
    followed = {by_id[one.cause].type for one in caused}
    last = Counter(one.type for one in events if one.type not in followed)
    publishes: dict[str, list[str]] = defaultdict(list)
    for one in events:
        service = service_of(one.source)
        if one.cause not in by_id and one.type not in publishes[service]:
            publishes[service].append(one.type)
    ends = [kind for kind, _ in last.most_common()]
    document: dict[str, Json] = {
        "saga": name,
        "style": "choreography",
        "description": f"Drafted from {len(events)} events. Say what undoes what, and what was not seen.",
        "starts_on": [kind for kind, _ in first.most_common()],
        "correlate": f"${{event.{_correlation(caused, by_id, events)}}}",
        "completes_on": ends[:1],
    }
    if ends[1:]:
        document["compensated_on"] = ends[1:]
    document["publishes"] = {service: kinds for service, kinds in publishes.items() if kinds}
    document["reactions"] = [_reaction(one) for one in patterns[:REACTIONS_MAX]]
    return document


def service_of(source: str) -> str:
    """Return the service that a source names: the last part of it that can be a name.

    >>> service_of("https://shop.example.com/payments/")
    'payments'
    """
    for part in reversed(source.replace(":", "/").split("/")):
        name = "-".join(
            word for word in "".join(c if c.isalnum() and c.isascii() else " " for c in part.lower()).split()
        )
        if name:
            return name[:64]
    return "unknown"


def _patterns(caused: Iterable[Seen], by_id: dict[str, Seen]) -> list[_Pattern]:
    """Return what each service emits after what, in the order in which it was first seen."""
    found: dict[tuple[str, str], _Pattern] = {}
    for one in caused:
        key = (service_of(one.source), by_id[one.cause].type)
        found.setdefault(key, _Pattern(*key)).emits[one.type] += 1
    return list(found.values())


def _reaction(pattern: _Pattern) -> dict[str, Json]:
    words = "".join(character if character.isalnum() else "_" for character in f"{pattern.service}_on_{pattern.on}")
    kinds = [kind for kind, _ in pattern.emits.most_common(2)]
    return {
        "name": f"r_{words.lower()}"[:64] if not words[:1].isalpha() else words.lower()[:64],
        "service": pattern.service,
        "on": [pattern.on],
        "external": True,
        "emits": dict(zip(("succeeded", "rejected"), kinds, strict=False)),
    }


def _correlation(caused: Sequence[Seen], by_id: dict[str, Seen], events: Sequence[Seen]) -> str:
    """Return the field that an event and its cause nearly always share, and that tells most runs apart."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    shared: Counter[str] = Counter()
    for one in events:
        for name, value in _fields(one.data):
            values[name][value] += 1
    for one in caused:
        before = dict(_fields(by_id[one.cause].data))
        shared.update(name for name, value in _fields(one.data) if before.get(name) == value)
    fit = [name for name in values if shared[name] >= OFTEN * len(caused)]
    return max(fit, key=lambda name: (len(values[name]), shared[name], name), default="subject")


def _fields(data: Json) -> Iterable[tuple[str, str]]:
    """Return the fields of an event's data that may name its run: text and whole numbers, two levels deep."""
    if not isinstance(data, dict):
        return
    for name, value in data.items():
        if not name.isidentifier():
            continue
        if isinstance(value, dict):
            yield from (
                (f"data.{name}.{inner}", str(one))
                for inner, one in value.items()
                if inner.isidentifier() and _may_name(one)
            )
        elif _may_name(value):
            yield f"data.{name}", str(value)


def _may_name(value: Json) -> bool:
    if isinstance(value, Hidden):  # all of these look the same
        return False
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number or (isinstance(value, str) and 0 < len(value) <= VALUE_LENGTH_MAX)
