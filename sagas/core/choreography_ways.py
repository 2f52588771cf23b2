"""Every way through a choreography, and what it leaves done.

A reaction looks at its event and nothing else, so what follows from an event is the
same wherever it comes from: it is worked out once for each type. Each time that a
reaction is begun it succeeds, or is refused where it emits something for that, on its
own. Branches beside each other are all followed, in no order: what was done, what was
undone and how it ended are sums. Ways that come to the same are one, so most
documents have few.

What is supposed: one of `starts_on` begins a run, any other event from outside comes
once or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import TYPE_CHECKING

from sagas.core.limits import EVENT_DEPTH_MAX, WAYS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sagas.core.choreography import Choreography, Reaction
    from sagas.core.definition import Step
    from sagas.core.problem import Report

_LATER = 2 * EVENT_DEPTH_MAX  # deeper than all that follows from an event that came before
_KEPT = 100  # of ways that are too many; each is followed to its end


@dataclass(frozen=True, slots=True)
class Way:
    """What one way through comes to. Two that differ in `last` only are the same."""

    completes: bool = False
    compensates: bool = False
    balance: tuple[tuple[str, int], ...] = ()  # by reaction: times done less times undone, where that is not 0
    refused: tuple[int, str] = (-1, "")  # how deep, and which: the last reaction that was refused
    last: tuple[int, str, str] = field(default=(-1, "", ""), compare=False)  # how deep, the event, who did what before

    def beside(self, other: Way) -> Way:
        """Return what both together come to."""
        balance = self.balance or other.balance
        if self.balance and other.balance:
            sums = dict(self.balance)
            for name, times in other.balance:
                sums[name] = sums.get(name, 0) + times
            balance = tuple(sorted((name, times) for name, times in sums.items() if times))
        return Way(
            self.completes or other.completes,
            self.compensates or other.compensates,
            balance,
            other.refused if other.refused[0] >= self.refused[0] else self.refused,
            other.last if other.last[0] >= self.last[0] else self.last,
        )

    def after(self, who: str, by: int = 1) -> Way:
        """Return the same `by` events deeper, after what `who` did."""
        depth, kind, reaction = self.last
        refused = (self.refused[0] + by, self.refused[1]) if self.refused[1] else self.refused
        return replace(self, refused=refused, last=(depth + by, kind, reaction or who))


class Ways:
    """The ways that lead on from each type of event."""

    def __init__(self, chart: Choreography, counted: Iterable[str]) -> None:
        """Follow `chart`; what becomes of the reactions `counted` matters."""
        self._chart = chart
        self._counted = frozenset(counted)
        self._of: dict[str, tuple[Way, ...]] = {}
        self._tried = 0
        self.is_cut = False  # whether some were not followed

    def of(self, kind: str) -> tuple[Way, ...]:
        """Return every way on from one event of this type; at least one."""
        if kind not in self._of:
            chart = self._chart
            found: tuple[Way, ...] = (
                Way(kind in chart.completes_on, kind in chart.compensated_on, last=(0, kind, "")),
            )
            for one in chart.reacting.get(kind, ()):
                found = self.both(found, tuple(self._through(one, kind)))
            self._of[kind] = found
        return self._of[kind]

    def both(self, ones: tuple[Way, ...], others: tuple[Way, ...]) -> tuple[Way, ...]:
        """Return what each of `ones` comes to with each of `others`; of too many, some of them."""
        pairs: Iterable[tuple[Way, Way]] = product(ones, others)
        count = len(ones) * len(others)
        if count > 1 and self._tried + count > WAYS_MAX:
            self.is_cut = True
            count = min(max(len(ones), len(others)), _KEPT)
            pairs = ((ones[n * len(ones) // count], others[n * len(others) // count]) for n in range(count))
        self._tried += count
        return tuple(dict.fromkeys(one.beside(other) for one, other in pairs))

    def then(self, ones: tuple[Way, ...], kind: str) -> tuple[Way, ...]:
        """Return what `ones` come to when one more event comes from outside, after them."""
        return self.both(ones, tuple(way.after("", _LATER) for way in self.of(kind)))

    def _through(self, one: Reaction, kind: str) -> Iterator[Way]:
        """Yield what follows when a reaction is begun: it succeeds, or is refused."""
        here = (0, kind, one.name)
        name, times = (one.undoes, -1) if one.undoes else (one.name, 1)
        done = Way(balance=((name, times),) if name in self._counted else (), last=here)
        yield from self._onward(done, one, one.succeeded)
        if one.rejected:
            yield from self._onward(Way(refused=(0, one.name), last=here), one, one.rejected)

    def _onward(self, way: Way, one: Reaction, emitted: str) -> tuple[Way, ...]:
        if not emitted:
            return (way,)
        return self.both((way,), tuple(following.after(one.name) for following in self.of(emitted)))


def check_ways(chart: Choreography, steps: Sequence[Step], place: dict[str, int], report: Report) -> None:
    """Report the ways that end nowhere, and those on which what was done stays done."""
    counted = {step.name for step in steps if step.writes and not chart.by_name[step.name].undoes} | {*chart.undoing}
    ways = Ways(chart, counted)
    judge = _Judge(chart, place, report)
    for first in chart.starts_on:
        alone = ways.of(first)
        for way in alone:
            judge.one(way, first)
        for kind in chart.others:
            for way in ways.then(alone, kind):
                judge.one(way, first)
        for pair in combinations(chart.others, 2):
            for way in ways.then(ways.then(alone, pair[0]), pair[1]):
                judge.crossing(way, pair)
    if ways.is_cut:
        message = f"more than {WAYS_MAX} steps of ways lead through it: not all of them were followed."
        report.warning(("reactions",), "ways_not_followed", message)


class _Judge:
    """Says what is wrong with a way; the same thing once."""

    def __init__(self, chart: Choreography, place: dict[str, int], report: Report) -> None:
        self._chart = chart
        self._place = place
        self._report = report
        self._told: set[tuple[str, ...]] = set()
        ends = (*chart.completes_on, *chart.compensated_on)
        self._waits_for_outside = not chart.following(chart.others).isdisjoint(ends)  # what comes later may end it

    def one(self, way: Way, first: str) -> None:
        """Judge a way that began with `first`."""
        is_open = self._waits_for_outside and not way.compensates
        if not way.compensates and (way.completes or (is_open and not way.refused[1])):
            return
        cause = way.refused[1] or way.last[1]
        left = [name for name, times in way.balance if times > 0]
        for name in sorted(left, key=lambda name: self._place[name]):
            if self._is_news("left", cause, name):
                undoing = [f"`{one.name}`" for one in self._chart.undoing.get(name, ())]
                help_ = (
                    f"{' or '.join(undoing)} must follow there as well." if undoing
                    else f"let a reaction with `undoes: {name}` follow, or say `compensation: none`."
                )  # fmt: skip
                message = f"{self._story(way, first)}, and `{name}` stays done: {help_}"
                self._report.error(("reactions", self._place[name]), "left_undone", message)
        for name in [name for name, times in way.balance if times < 0 and way.compensates]:
            if self._is_news("nothing", name):
                undoing_first = self._chart.undoing[name][0].name
                message = (
                    f"{self._story(way, first)}, and `{name}` is undone more often than it was done: the run stays "
                    "open, since a success may still be told. Let what undoes it follow only where it was done."
                )
                self._report.warning(("reactions", self._place[undoing_first], "undoes"), "undoes_nothing", message)
        if not left and not way.compensates and not is_open and self._is_news("end", way.last[1]):
            _, last, who = way.last
            message = f"{self._story(way, first)}, and that ends nothing: name `{last}` under `completes_on` or "
            path = ("reactions", self._place[who]) if who else ("starts_on",)
            self._report.error(path, "no_end", message + "`compensated_on`.")

    def crossing(self, way: Way, pair: tuple[str, str]) -> None:
        """Judge a way on which two events came from outside, neither of which knows of the other."""
        if not way.compensates:
            return
        for name in [name for name, times in way.balance if times > 0]:
            if not any(told[0] == "left" and told[-1] == name for told in self._told) and self._is_news("cross", name):
                message = (
                    f"where `{pair[0]}` and `{pair[1]}` both come, the run is compensated, and `{name}` stays done. "
                    "The services must see to it that only one of them counts."
                )
                self._report.warning(("reactions", self._place[name]), "events_cross", message)

    def _is_news(self, *what: str) -> bool:
        is_news = what not in self._told
        self._told.add(what)
        return is_news

    def _story(self, way: Way, first: str) -> str:
        refused, last = way.refused[1], way.last[1]
        if not refused:
            return f"after `{first}` all goes well up to `{last}`"
        return f"when `{refused}` is rejected (`{self._chart.by_name[refused].rejected}`), the last event is `{last}`"
