"""A choreographed run on paper: beside what the law does, events come from outside, as the script says.

What `sagas/choreography/router.py` does with rows is done here with a script: the run begins with
what begins it, then it gets what was kept for it, and an event that came before is taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from sagas.core import messages as m
from sagas.core.choreography import EarlyKind
from sagas.core.correlation import UncorrelatedError, correlate, event_facts
from sagas.core.definition import Definition
from sagas.core.facts import Facts
from sagas.core.problem import Problem
from sagas.core.reactions import emitted_data
from sagas.core.script import Ending, Ordered, Part, SimulationInvalidError
from sagas.core.simulated_start import BY, STARTED_AT
from sagas.core.simulation import Note, SimulatedStatus
from sagas.core.simulator import Simulator
from sagas.core.vocabulary import Json, Phase, StepKey, Verb, WaitingFor


class EventSimulator(Simulator):
    """One simulation of a choreography under way."""

    def __init__(
        self,
        definition: Definition,
        value: Json,
        parts: Mapping[tuple[str, Phase], Part],
        orders: tuple[Ordered, ...],
        *,
        is_slow: bool,
        is_over: Callable[[], bool] | None,
    ) -> None:
        """Take a choreography; `value` is the data of the events for which the script gives none."""
        super().__init__(definition, value, parts, orders, is_slow=is_slow, is_over=is_over)
        if definition.choreography is None:
            raise AssertionError(f"{definition.saga} is no choreography")
        self.chart = definition.choreography
        self._made_up = count(1)
        self._sent: set[tuple[Json, Json]] = set()  # source and id of what came
        self._first = self._events_of_the_start()

    def _facts(self) -> Facts:
        """Return what the event that begins the run says; its correlation value is the run's key."""
        self.value = self._first[0]["data"]
        try:
            return event_facts(self.definition, self._first[0], correlate(self.told, self._first[0]))
        except UncorrelatedError as error:
            raise SimulationInvalidError([Problem(str(error), pointer="/input")]) from None

    def _events_of_the_start(self) -> list[dict[str, Json]]:
        """Return what the run receives when it begins: what begins it, then what was kept, then the others."""
        chart = self.chart
        early = [self._event(one) for one in self.orders if one.is_early]
        self.orders = [one for one in self.orders if not one.is_early]
        begins = [
            event["type"] in chart.starts_on or chart.early_of(event["type"]).kind is EarlyKind.START for event in early
        ]
        place = begins.index(True) if any(begins) else len(early)
        before, since = early[:place], early[place:]
        if not any(event["type"] in chart.starts_on for event in since):
            since.append(self._made(chart.starts_on[0], {}))
        kept = []
        for event in before:
            if chart.early_of(event["type"]).kind is EarlyKind.DROP:
                self.note(
                    Note("event_dropped", f"{event['type']} came before its run, and `early` lets it be dropped.")
                )
            else:
                self.note(Note("event_kept", f"{event['type']} came before its run, and was kept until it began."))
                kept.append(event)
        return [since[0], *kept, *since[1:]]

    def _begin(self) -> None:
        for event in self._first:
            self._receive(event)
        super()._begin()

    # ---- events --------------------------------------------------------------

    def _event(self, order: Ordered) -> dict[str, Json]:
        said = dict(order.event or {})
        return self._made(str(said["type"]), said)

    def _made(self, kind: str, said: dict[str, Json]) -> dict[str, Json]:
        """Return an event of this type; what the script does not say of it is made up."""
        publisher = next(iter(self.chart.publishers.get(kind, ())), BY)
        return {
            "id": f"event-{next(self._made_up)}",
            "source": f"/{publisher}",
            "type": kind,
            "data": self.value,
        } | said

    def _receive(self, event: dict[str, Json]) -> None:
        """Let an event come; one that came before is taken once."""
        name = (event["source"], event["id"])
        if name in self._sent:
            self.note(Note("duplicate", f"{event['type']} came again ({event['id']}): an event is taken once."))
            return
        self._sent.add(name)
        self.orders_given += 1
        self._decide(
            m.TakeOrder(
                number=self.orders_given,
                verb=Verb.EVENT,
                by=str(event["source"]),
                now=self.now,
                arguments=event,
                has_arguments=True,
                dice=self._dice,
            )
        )

    # ---- what happens next -----------------------------------------------------

    def _next(self) -> Callable[[], None] | None:
        """Return what happens next: events come after the end as well, and do not wait for a deadline."""
        order = self.orders[0] if self.orders else None
        if order is None or order.event is None:
            return super()._next()
        if self.state.status.is_final:
            return partial(self._order, max(self.now, STARTED_AT + timedelta(seconds=order.at_s or 0.0)))
        if order.at_s is None and order.during is None and not self._is_moving():
            return partial(self._order, self.now)
        return super()._next()

    def _is_moving(self) -> bool:
        """Whether something under way will end or be tried again without anybody's doing."""
        halves = [self.state.step(key).half(phase) for key, phase in self.state.open]
        is_retried = any(half.due_at is not None for half in halves) and not self.state.is_paused
        is_called = bool(self.state.awaiting) or any(self._callbacks()) or any(self._arrivals())
        return is_called or (is_retried and not self._retries_for_ever())

    def _order(self, at: datetime) -> None:
        if not self.orders[0].event:
            super()._order(at)
            return
        self.now = at
        self._receive(self._event(self.orders.pop(0)))

    # ---- services that act by themselves -----------------------------------------

    def _arrivals(self) -> Iterator[tuple[datetime, StepKey]]:
        """Yield the reactions whose service, by the script, says what became of them: at once, or as late as usual."""
        for key, phase in self.state.open:
            if self._waits_for(key, phase) is not WaitingFor.EVENT or not self._said_by(key):
                continue
            reacting = self.state.step(key).reacting
            late_at = reacting.late_at if reacting is not None else None
            yield (max(self.now, late_at) if self.is_slow and late_at is not None else self.now), key

    def _said_by(self, key: StepKey) -> str:
        """Return the type of the event that a service publishes about its reaction; empty: it says nothing."""
        reaction = self.chart.by_name[key.step]
        match self._part(key, Phase.ACTION).answer(1).ending:
            case Ending.SUCCEEDED:
                return reaction.succeeded
            case Ending.REJECTED:
                return reaction.rejected
        return ""

    def _arrive(self, at: datetime, key: StepKey) -> None:
        """A service that acts by itself publishes what became of its reaction."""
        self._wait_until(at)
        answer, reacting = self._part(key, Phase.ACTION).answer(1), self.state.step(key).reacting
        if reacting is None:
            raise AssertionError(f"{key} reacts to nothing")
        kind, cause = self._said_by(key), reacting.event
        if answer.ending is Ending.SUCCEEDED and not answer.has_output:
            self.made_up.add(key.step)
        said = {"data": emitted_data(cause.get("data"), answer.output if answer.has_output else None)}
        event = self._made(kind, said | {"id": f"{key}:{kind}", "cause": cause["id"]})
        self._receive(
            event | {"source": f"/{self.chart.by_name[key.step].service}", "depth": cause.get("depth", 0) + 1}
        )

    def _note_what_was_not_reached(self) -> None:
        super()._note_what_was_not_reached()
        if self.state.attention and self.state.is_overdue:
            self.note(Note("overdue", "It has not ended by its deadline: a person is asked."))

    def _status(self, cut_short: str) -> SimulatedStatus:
        found = super()._status(cut_short)
        if found is SimulatedStatus.STILL_RETRYING and not self.state.open:
            return SimulatedStatus.WAITING  # nothing is under way, and no event has ended it
        return found
