"""The map of events as a picture: services in a row, an arrow for each type of event.

What leads on runs above the services from left to right, what leads back runs
below them. Geometry only; `templates/sagas/events/_picture.html` writes the SVG.
Lengths are SVG units, which are CSS pixels at natural size.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sagas.models import EventRole
from sagas.presentation.event_flow import OTHERS, Flow, Told, flows, in_order, most_used
from sagas.presentation.layout import MARGIN, NODE_HEIGHT, NODE_WIDTH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sagas.queries.events import MapRow

SERVICES_DRAWN_MAX = 30
ARROWS_DRAWN_MAX = 100
LEVEL = 36  # between two arrows above each other
FIRST_ABOVE, FIRST_BELOW = 26, 38  # from the boxes to the first of them; its label stands above it
GAP = 72  # between boxes
PORT = 18  # between two arrows at one box
HEAD = 9  # from the point of an arrow to the box
ROUND = 10
CHARACTER = 6.5  # of a label, on average
LABEL_CHARACTERS_MAX = 34
ABOVE, BELOW = "above", "below"
SIGNS = {Told.BOTH: "", Told.DECLARED: "◌ ", Told.SEEN: "◍ "}


@dataclass(frozen=True, slots=True)
class Box:
    """One service."""

    x: int
    width: int
    title: str
    full_title: str
    facts: str
    url: str  # of its page; empty when it is not registered
    is_declared: bool


@dataclass(frozen=True, slots=True)
class Arrow:
    """One type of event from one service, to all on one side of it. Its label stands at (x, y), on its line."""

    x: int
    y: int
    width: int
    label: str
    full_title: str
    url: str
    kind: str  # as edges of the saga's picture: forward or backward
    told: str
    is_waiting: bool
    paths: tuple[str, ...]
    end: tuple[int, int] | None = None  # where it ends, when nobody reacts to it
    ends_run: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole map."""

    width: int
    height: int
    top: int  # of the boxes
    label: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    services_hidden: int = 0
    arrows_hidden: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What one arrow does on one side of the row: from its service to those that it reaches there."""

    flow: Flow
    side: str
    start: int  # the place of its service
    ends: tuple[int, ...]  # the places of those that react

    @property
    def reach(self) -> int:
        """How far it goes."""
        return max((abs(one - self.start) for one in self.ends), default=0)


def draw(rows: Iterable[MapRow], registered: Collection[str], window_words: str, *, only_odd: bool = False) -> Picture:
    """Return the picture of what is declared and of what was seen; with `only_odd` where they disagree alone.

    Args:
        rows: the types of events, as the matrix has them.
        registered: the services that have a page.
        window_words: the time in which it was seen, in words.
        only_odd: as of the matrix.
    """
    whole = [flow for flow in flows(rows) if flow.is_odd or not only_odd]
    shown = most_used(whole, SERVICES_DRAWN_MAX, ARROWS_DRAWN_MAX)
    order = in_order(shown)
    parts = sorted((part for flow in shown for part in _parts(flow, order)), key=lambda part: part.start)
    ports, widths = _ports(parts, len(order))
    lefts = [MARGIN + sum(widths[:place]) + GAP * place for place in range(len(order))]
    at = {key: lefts[key[1]] + offset for key, offset in ports.items()}
    levels = _levels(parts, at)
    heights = {
        side: max((levels[part] + 1 for part in parts if part.side == side), default=0) for side in (ABOVE, BELOW)
    }
    top = MARGIN + LEVEL * heights[ABOVE] + ROUND
    arrows = tuple(_arrow(part, at, levels[part], top, window_words) for part in parts)
    boxes = tuple(_box(service, lefts[place], widths[place], shown, registered) for place, service in enumerate(order))
    right = max([box.x + box.width for box in boxes] + [arrow.x + arrow.width for arrow in arrows], default=0)
    every = {one for flow in whole for one in (flow.publisher, *flow.subscribers)}
    return Picture(
        width=right + MARGIN,
        height=top + NODE_HEIGHT + LEVEL * heights[BELOW] + MARGIN,
        top=top,
        label=_("Map of events: %(services)s, %(types)s. The matrix says the same in a table.") % {
            "services": ngettext("%s service", "%s services", len(order)) % len(order),
            "types": ngettext("%s arrow", "%s arrows", len(shown)) % len(shown),
        },
        boxes=boxes,
        arrows=arrows,
        services_hidden=len(every) - len(order),
        arrows_hidden=len(whole) - len(shown),
    )  # fmt: skip


def _parts(flow: Flow, order: Sequence[str]) -> Iterable[_Part]:
    place = {service: number for number, service in enumerate(order)}
    start = place[flow.publisher]
    on = tuple(place[one] for one in flow.subscribers if place[one] >= start)
    back = tuple(place[one] for one in flow.subscribers if place[one] < start)
    if on or not back:
        yield _Part(flow, ABOVE, start, on)
    if back:
        yield _Part(flow, BELOW, start, back)


_Key = tuple[_Part, int, bool]  # an arrow at the place of a box, leaving it or not


def _ports(parts: Sequence[_Part], count: int) -> tuple[dict[_Key, int], list[int]]:
    """Return how far from the left of its box each arrow meets it, and how wide the boxes are for that.

    Those of a box are put so that they cross each other as little as can be: what
    goes to one side leaves at that side, and what goes far stands inside.
    """
    met: dict[tuple[int, str], list[_Key]] = defaultdict(list)
    for part in parts:
        met[part.start, part.side].append((part, part.start, True))
        for end in part.ends:
            met[end, part.side].append((part, end, False))
    found: dict[_Key, int] = {}
    widths = [NODE_WIDTH] * count
    for (place, _side), keys in met.items():
        widths[place] = max(widths[place], PORT * (len(keys) + 1))
    for (place, side), keys in met.items():
        lefts = [key for key in reversed(keys) if key[2] != (side == ABOVE)]  # in from the left, or out to it
        rights = [key for key in keys if key[2] == (side == ABOVE)]
        ordered = sorted(lefts, key=lambda key: key[0].reach) + sorted(rights, key=lambda key: -key[0].reach)
        for number, key in enumerate(ordered, start=1):
            found[key] = widths[place] * number // (len(keys) + 1)
    return found, widths


def _span(part: _Part, at: Mapping[_Key, int]) -> tuple[int, int]:
    """Return from where to where an arrow and its label take the line."""
    xs = [at[part, part.start, True], *(at[part, end, False] for end in part.ends)]
    return min(xs), max(*xs, min(xs) + ROUND + _width(_label(part.flow)))


def _levels(parts: Sequence[_Part], at: Mapping[_Key, int]) -> dict[_Part, int]:
    """Return which line each arrow takes, counted from the boxes: the short ones first, none over another."""
    taken: dict[str, list[list[tuple[int, int]]]] = {ABOVE: [], BELOW: []}
    found: dict[_Part, int] = {}
    spans = {part: _span(part, at) for part in parts}
    for part in sorted(parts, key=lambda part: (part.reach, _from_outside(part, at))):
        left, right = spans[part]
        lines = taken[part.side]
        level = next(
            (
                n
                for n, line in enumerate(lines)
                if all(right + PORT < one or other + PORT < left for one, other in line)
            ),
            len(lines),
        )
        if level == len(lines):
            lines.append([])
        lines[level].append((left, right))
        found[part] = level
    return found


def _from_outside(part: _Part, at: Mapping[_Key, int]) -> int:
    start = at[part, part.start, True]
    return -start if part.side == ABOVE else start


def _arrow(part: _Part, at: Mapping[_Key, int], level: int, top: int, window_words: str) -> Arrow:
    flow, up = part.flow, part.side == ABOVE
    edge = top if up else top + NODE_HEIGHT
    y = edge - FIRST_ABOVE - LEVEL * level if up else edge + FIRST_BELOW + LEVEL * level
    way = 1 if up else -1  # from the line to the boxes
    start = at[part, part.start, True]
    ends = sorted(at[part, end, False] for end in part.ends)
    label = _label(flow)
    left, right = _span(part, at)
    paths = []
    tip = edge - way * HEAD
    for end in ends:
        bend = min(ROUND, abs(end - start) // 2) * (1 if end > start else -1)
        paths.append(
            f"M{start} {edge}V{y + way * ROUND}Q{start} {y} {start + bend} {y}"
            f"H{end - bend}Q{end} {y} {end} {y + way * ROUND}V{tip}"
        )
    if not ends:
        paths.append(f"M{start} {edge}V{y + ROUND}Q{start} {y} {start + ROUND} {y}H{right}")
    return Arrow(
        x=left + ROUND,
        y=y - 7,
        width=right - left,
        label=label,
        full_title=_spoken(flow, window_words),
        url=f"{reverse('sagas:event-list')}?{urlencode({'type': flow.type})}",
        kind="backward" if flow.is_undo else "forward",
        told=flow.told.value,
        is_waiting=flow.waiting > 0,
        paths=tuple(paths),
        end=None if ends else (right, y),
        ends_run=bool(flow.ends),
    )


def _width(label: str) -> int:
    return int(len(label) * CHARACTER) + ROUND


def _label(flow: Flow) -> str:
    name = flow.type if len(flow.type) <= LABEL_CHARACTERS_MAX else f"{flow.type[: LABEL_CHARACTERS_MAX - 1]}…"
    waiting = f" ⚑ {flow.waiting}" if flow.waiting else ""
    return f"{SIGNS[flow.told]}{name} · {flow.seen}{waiting}"


def _spoken(flow: Flow, window_words: str) -> str:
    """Say one arrow whole, for those who do not see it."""
    told = {
        Told.BOTH: _("%(seen)s seen in %(window)s"),
        Told.DECLARED: _("declared, not seen in %(window)s"),
        Told.SEEN: _("%(seen)s seen in %(window)s, not declared"),
    }[flow.told] % {"seen": flow.seen, "window": window_words}
    whom = ", ".join(flow.subscribers)
    ends = {
        EventRole.COMPLETES.value: _("it completes the run"),
        EventRole.COMPENSATES.value: _("the run is compensated"),
    }
    said = [
        _("%(type)s from %(service)s") % {"type": flow.type, "service": flow.publisher or _("others")},
        _("to %(services)s") % {"services": whom} if whom else "",
        *(ends[role] for role in flow.ends),
        "" if whom or flow.ends else _("nobody reacts to it"),
        _("something is undone on it") if flow.is_undo else "",
        told,
        ngettext("%s waits for a person", "%s wait for a person", flow.waiting) % flow.waiting if flow.waiting else "",
    ]
    return ", ".join(words for words in said if words)


def _box(service: str, x: int, width: int, shown: Sequence[Flow], registered: Collection[str]) -> Box:
    publishes = len({flow.type for flow in shown if flow.publisher == service})
    reacts = len({flow.type for flow in shown if service in flow.subscribers})
    facts = _("publishes %(out)s · reacts to %(in)s") % {"out": publishes, "in": reacts}
    title = service or _("others")
    most = width // 9
    return Box(
        x=x,
        width=width,
        title=title if len(title) <= most else f"{title[: most - 1]}…",
        full_title=f"{title}: {facts}",
        facts=facts if service else _("no saga names them"),
        url=reverse("sagas:service-detail", args=[service]) if service in registered else "",
        is_declared=service != OTHERS,
    )
