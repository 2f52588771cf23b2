"""What the journal says of actions that nobody knows of: open questions, what is asked next, what came too late."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sagas.core.vocabulary import NO_ITEM, OutcomeKind, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from sagas.queries.run_detail import Entry

Place = tuple[str, int]  # step, item


class DoubtsTold:
    """Read once from a journal, oldest entry first; then asked about one step run after the other."""

    def __init__(self, journal: Iterable[Entry]) -> None:
        """Read `journal`."""
        self.unsettled: set[Place] = set()  # an attempt under the present key ended unknown, and nothing settled it
        self.asking: set[Place] = set()  # the probe is asked, or is to be asked again
        self.asked: Counter[Place] = Counter()  # tries of the probe about the last unknown outcome
        self.hanging: set[Place] = set()  # happened, by a late report, although it is undone or was taken for failed
        self._editions: dict[Place, int] = {}
        for entry in journal:
            place = (str(entry.data.get("step", "")), entry.data.get("item", NO_ITEM))
            self._read(place, entry.kind, entry.data, str(entry.data.get("phase", "")))

    def of(self, step: str, item: int) -> dict[str, Any]:
        """Return what is told of one step run, by the names of `StepDetail`."""
        place = (step, item)
        return {
            "probe_tries": self.asked[place],
            "is_unsettled": place in self.unsettled,
            "is_asking": place in self.asking,
            "hangs": place in self.hanging,
        }

    def _read(self, place: Place, kind: str, data: dict[str, Any], phase: str) -> None:
        match kind, phase:
            case "attempt_started", Phase.ACTION:
                self.asking.discard(place)
                self.asked.pop(place, None)
            case (("attempt_started" | "retry_scheduled"), Phase.PROBE):
                self.asking.add(place)
            case "retry_scheduled", Phase.ACTION:
                self.asking.discard(place)
            case "attempt_ended", Phase.ACTION if data.get("outcome") == OutcomeKind.UNKNOWN.value:
                self.unsettled.add(place)
            case "attempt_ended", (Phase.ACTION | Phase.PROBE):
                self.asked[place] += phase == Phase.PROBE and data.get("is_counted", True)
                self._settle(place, is_settled=bool(data.get("settles")))
            case "edition_started", Phase.ACTION:
                self.asked.pop(place, None)
                self._settle(place, is_settled=data.get("edition", 1) != self._editions.get(place, 1))
                self._editions[place] = data.get("edition", 1)
            case "late_report_received", _:
                self._settle(place, is_settled=bool(data.get("settles")))
                if data.get("is_hanging"):
                    self.hanging.add(place)
            case (("step_settled" | "step_failed" | "step_in_doubt"), _):
                self._settle(place, is_settled=kind != "step_in_doubt")
                self.asking.discard(place)

    def _settle(self, place: Place, *, is_settled: bool) -> None:
        if is_settled:
            self.unsettled.discard(place)
            self.asking.discard(place)
