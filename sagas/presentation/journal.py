"""One plain sentence for each line of a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from sagas.core.vocabulary import OutcomeKind, StepKey
from sagas.presentation import lists, probes, wait_entries
from sagas.presentation.offers import verb_words
from sagas.presentation.sentence import listed
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagas.queries.run_detail import Entry, StepDetail

_TONES = {
    "succeeded": Tone.SUCCESS,
    "rejected": Tone.FAILURE,
    "failed": Tone.FAILURE,
    "unknown": Tone.RETRY,
    "in_doubt": Tone.RETRY,
}
_KIND_TONES = {
    "retry_scheduled": Tone.RETRY,
    "wait_started": Tone.PROGRESS,
    "wait_ended": Tone.SUCCESS,
    "step_failed": Tone.FAILURE,
    "step_in_doubt": Tone.RETRY,
    "compensation_failed": Tone.CRITICAL,
    "attention_needed": Tone.CRITICAL,
    "turn_requested": Tone.COMPENSATION,
    "turned_round": Tone.COMPENSATION,
    "run_completed": Tone.SUCCESS,
    "run_compensated": Tone.COMPENSATION,
    "run_partially_compensated": Tone.FAILURE,
    "compensation_settled": Tone.COMPENSATION,
    "compensation_given_up": Tone.FAILURE,
    "deadline_passed": Tone.FAILURE,
    "event_received": Tone.PROGRESS,
    "undo_expected": Tone.COMPENSATION,
    "reaction_undone": Tone.COMPENSATION,
    "reaction_overdue": Tone.RETRY,
    "order_refused": Tone.FAILURE,
}


_TEMPLATES = {
    "run_started": gettext_noop("Started by %(by)s"),
    "run_reopened": gettext_noop("Opened again, to be undone with what it belongs to, or for an event that came late"),
    "signal_received": gettext_noop("The signal “%(name)s” came from %(by)s"),
    "step_in_doubt": gettext_noop("Nobody can say whether “%(step)s” happened: %(message)s"),
    "compensation_failed": gettext_noop("Undoing “%(step)s” failed for good: %(message)s"),
    "turn_dropped": gettext_noop("The pivot “%(step)s” succeeded meanwhile: the run goes on forward"),
    "turned_round": gettext_noop("Undoing began, last step first"),
    "order_refused": gettext_noop("The order “%(verb)s” of %(by)s no longer applied: %(why)s"),
    "compensation_settled": gettext_noop("“%(step)s” was undone by hand: %(reference)s"),
    "compensation_given_up": gettext_noop("Undoing “%(step)s” was given up: what it did stays"),
    "run_paused": gettext_noop("Paused: nothing new is sent"),
    "run_resumed": gettext_noop("Resumed: the run goes on from where it was paused"),
    "edition_started": gettext_noop("“%(step)s” gets a fresh set of tries"),
    "deadline_passed": gettext_noop("The deadline passed"),
    "event_claimed": gettext_noop("An event that came before is what “%(step)s” was to emit"),
    "reaction_undone": gettext_noop("“%(step)s” is undone, by “%(undone_by)s”"),
    "undo_came_first": gettext_noop("“%(reaction)s” is undone, and was not seen to be done yet"),
    "reaction_overdue": gettext_noop("“%(step)s” takes longer than usual"),
    "run_completed": gettext_noop("Completed"),
    "run_compensated": gettext_noop("Everything that can be undone is undone"),
}


def tone_of(entry: Entry) -> Tone:
    """Return the colour family of one entry."""
    if entry.kind == "late_report_received" and not entry.data.get("settles"):
        return Tone.CRITICAL if entry.data.get("is_hanging") else Tone.NEUTRAL
    if entry.kind in {"attempt_ended", "items_joined", "late_report_received"}:
        return _TONES.get(str(entry.data.get("outcome") or entry.data.get("status")), Tone.NEUTRAL)
    return _KIND_TONES.get(entry.kind, Tone.NEUTRAL)


def sentence(entry: Entry, steps: Mapping[str, StepDetail]) -> str:
    """Say what one entry records; one of an unknown kind is shown by that name."""
    data = _without_waits(entry.data, steps)
    step = steps.get(str(data.get("step", "")))
    params = {
        "step": _title(data, steps),
        "done": data.get("done"),
        "count": len(found) if isinstance(found := data.get("items"), list) else data.get("total"),
        "number": data.get("number"),
        "message": data.get("message") or data.get("code") or _("no reason was given"),
        "by": data.get("by") or "?",
        "name": data.get("name"),
        **wait_entries.parameters(entry),
        "verb": verb_words(data.get("verb")),
        "why": data.get("why"),
        "reason": data.get("reason"),
        "reference": data.get("reference"),
        "stays": _titles(data.get("stays"), steps),
        **_of_events(data, steps),
        "time": _clock(str(data.get("at", ""))),
    }
    if entry.kind == "wait_ended" and step is not None and step.plan.wait is not None:
        data = {**data, "waits_for": step.plan.wait.kind}
    return _template(entry.kind, data) % params


def _of_events(data: Mapping[str, Any], steps: Mapping[str, StepDetail]) -> dict[str, Any]:
    """What entries of a choreographed run say beside all others."""
    found = data.get("event")
    event = found if isinstance(found, dict) else {}
    named = {name: _title({"step": str(data.get(name, ""))}, steps) for name in ("emitter", "reaction")}
    return named | {
        "type": event.get("type") or data.get("type"),
        "source": event.get("source"),
        "keys": _titles(data.get("keys"), steps),
        "undo": _titles(data.get("undo"), steps),
        "undone_by": _title({"step": str(data.get("by", ""))}, steps),
    }


def _title(data: Mapping[str, Any], steps: Mapping[str, StepDetail]) -> str:
    """Name the step of an entry, or the item of a list, or what undoes it."""
    key = StepKey.parse(str(data.get("step", "")))  # orders name an item so: `pack[3]`
    if key is None:
        return str(data.get("step", ""))
    step = steps.get(key.step)
    is_undo = data.get("phase") == "compensation"
    title = key.step if step is None else (step.undo_title if is_undo else step.plan.title)
    return lists.item_title(title, data.get("item", key.item))


def _without_waits(data: Mapping[str, Any], steps: Mapping[str, StepDetail]) -> Mapping[str, Any]:
    """Leave steps that only waited out of what stays behind: they left nothing."""
    if not data.get("stays"):
        return data
    waits = {name for name, step in steps.items() if step.plan.wait is not None}
    return {**data, "stays": [key for key in data["stays"] if not (isinstance(key, list) and key and key[0] in waits)]}


def _titles(keys: Any, steps: Mapping[str, StepDetail]) -> str:
    """Name steps that the journal holds as pairs of name and item number; of a list how many of its items."""
    found: dict[str, list[StepKey]] = {}
    for key in keys or ():
        if isinstance(key, list) and key:
            found.setdefault(str(key[0]), []).append(StepKey(str(key[0]), *key[1:2]))
    titles = []
    for name, group in found.items():
        title = steps[name].plan.title if name in steps else name
        titles.append(lists.named(title, len(group)) if len(group) > 1 else lists.item_title(title, group[0].item))
    return listed(titles)


def _template(kind: str, data: Mapping[str, Any]) -> str:
    if kind in _CHOSEN:
        return _CHOSEN[kind](data)
    if kind in _TEMPLATES:
        return _(_TEMPLATES[kind])
    return kind.replace("_", " ").replace("%", "%%")


def _ended_template(data: Mapping[str, Any]) -> str:
    if data.get("phase") == "probe":
        return probes.answered_template(data)
    match data.get("outcome"):
        case "succeeded":
            return _("“%(step)s” succeeded (try %(number)s)")
        case "rejected":
            return _("“%(step)s” was rejected (try %(number)s): %(message)s")
        case "unknown":
            return _("The outcome of “%(step)s” is unknown (try %(number)s): %(message)s")
    return _("“%(step)s” failed without effect (try %(number)s): %(message)s")


def _accepted_template(data: Mapping[str, Any]) -> str:
    if data.get("waits_for") == "callback":
        return _("%(by)s has taken “%(step)s” on and is to call back, until %(until)s at most")
    return _("“%(step)s” goes on in %(by)s")


def _listed_template(data: Mapping[str, Any]) -> str:
    return ngettext("“%(step)s” has %(count)s item", "“%(step)s” has %(count)s items", len(data.get("items") or ()))


def _joined_template(data: Mapping[str, Any]) -> str:
    match data.get("status"):
        case "succeeded":
            return _("“%(step)s” is done: %(done)s of %(count)s items")
        case "in_doubt":
            return _("“%(step)s” is in doubt, %(done)s of %(count)s items are done: %(message)s")
    return _("“%(step)s” failed, %(done)s of %(count)s items are done: %(message)s")


def _turn_template(data: Mapping[str, Any]) -> str:
    match data.get("cause"):
        case "cancel":
            return _("Cancelled by %(by)s")
        case "deadline":
            return _("The deadline passed: the run turns round")
        case "parent":
            return _("Undone with %(by)s, which it belongs to")
    return _("The run turns round because of “%(step)s”")


def _needed_template(data: Mapping[str, Any]) -> str:
    if not data.get("step") and data.get("code") == "overdue":
        return _("A person is needed: the run has not ended by its deadline")
    if not data.get("step"):
        return _("A person is needed: %(message)s")
    return _("A person is needed for “%(step)s”")


def _cleared_template(data: Mapping[str, Any]) -> str:
    if not data.get("step"):
        return _("No person is needed any more for the run as a whole")
    return _("A person has decided about “%(step)s”")


def _order_template(data: Mapping[str, Any]) -> str:
    match data.get("verb"):
        case "report":
            return _("%(by)s says how it ended, for “%(step)s”")
        case "undo":
            return _("%(by)s has this run undone")
        case "signal" | "approve":
            return wait_entries.ordered(data)
    match bool(data.get("step")), bool(data.get("reason")):
        case True, True:
            return _("%(by)s ordered: %(verb)s “%(step)s” (%(reason)s)")
        case True, False:
            return _("%(by)s ordered: %(verb)s “%(step)s”")
        case False, True:
            return _("%(by)s ordered: %(verb)s (%(reason)s)")
    return _("%(by)s ordered: %(verb)s")


def _settled_template(data: Mapping[str, Any]) -> str:
    if data.get("is_late"):
        return probes.settled_template(data)
    match data.get("outcome") == OutcomeKind.SUCCEEDED.value, bool(data.get("reference")):
        case True, True:
            return _("“%(step)s” was settled by hand: it happened (%(reference)s)")
        case True, False:
            return _("“%(step)s” was settled by hand: it happened")
        case False, True:
            return _("“%(step)s” was settled by hand: it did not happen (%(reference)s)")
    return _("“%(step)s” was settled by hand: it did not happen")


def _skipped_template(data: Mapping[str, Any]) -> str:
    if data.get("cause"):
        return wait_entries.left_out(data)
    if data.get("is_condition"):
        return _("“%(step)s” is skipped: its condition is false")
    return _("“%(step)s” is skipped: the run goes on without it")


def _partly_template(data: Mapping[str, Any]) -> str:
    if not data.get("stays"):
        return _("Partially compensated")
    return ngettext(
        "Partially compensated: %(stays)s stays behind",
        "Partially compensated: %(stays)s stay behind",
        len(data["stays"]),
    )


def _terminated_template(data: Mapping[str, Any]) -> str:
    if not data.get("stays"):
        return _("Terminated by %(by)s: nothing more is done or undone")
    return ngettext(
        "Terminated by %(by)s: nothing more is done or undone; %(stays)s stays behind",
        "Terminated by %(by)s: nothing more is done or undone; %(stays)s stay behind",
        len(data["stays"]),
    )


def _event_template(data: Mapping[str, Any]) -> str:
    if data.get("is_late"):
        return _("%(type)s came from %(source)s after the end; it changes nothing")
    if data.get("is_held"):
        return _("%(type)s came: too many events follow from each other, so nothing reacts to it")
    if data.get("emitter"):
        return (
            _("“%(emitter)s” emitted %(type)s; reacting: %(keys)s")
            if data.get("keys")
            else _("“%(emitter)s” emitted %(type)s")
        )
    return (
        _("%(type)s came from %(source)s; reacting: %(keys)s")
        if data.get("keys")
        else _("%(type)s came from %(source)s")
    )


def _undo_template(data: Mapping[str, Any]) -> str:
    if not data.get("undo"):
        return _("Nothing has to be undone") if data.get("is_turn") else _("Nothing more has to be undone")
    return _("To be undone by reactions: %(undo)s")


_CHOSEN: Mapping[str, Callable[[Mapping[str, Any]], str]] = {  # those whose words depend on more than their kind
    "attempt_started": probes.started_template,
    "attempt_accepted": _accepted_template,
    "attempt_ended": _ended_template,
    "retry_scheduled": probes.again_template,
    "late_report_received": probes.late_template,
    "items_listed": _listed_template,
    "items_joined": _joined_template,
    "turn_requested": _turn_template,
    "attention_needed": _needed_template,
    "attention_cleared": _cleared_template,
    "order_taken": _order_template,
    "step_settled": _settled_template,
    "step_skipped": _skipped_template,
    "wait_started": wait_entries.started,
    "wait_ended": wait_entries.ended,
    "step_failed": wait_entries.failed,
    "run_partially_compensated": _partly_template,
    "run_terminated": _terminated_template,
    "event_received": _event_template,
    "undo_expected": _undo_template,
}


def _clock(moment: str) -> str:
    return moment[11:19] if "T" in moment else moment
