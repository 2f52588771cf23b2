"""Services in words: one state and one sentence each, what was done to them, and a strip of their last hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from sagas.models import BreakerState, ServiceKind, ServiceVerb
from sagas.presentation.format import ago, countdown, duration, moment_words
from sagas.presentation.status import Look, Tone
from sagas.queries.services import STRIP
from sagas.services.address import shown_address

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json
    from sagas.models import Service, ServiceChange, ServiceMinute
    from sagas.queries.services import ServiceLine

FAILING_RATE = 0.1  # of the calls of the window: from here on a service is said to fail
FEW_CALLS = 5  # fewer calls than this say little, and it is said so
MINUTE = timedelta(minutes=1)
STRIP_HEIGHT, BAR_WIDTH, BAR_GAP = 64, 8, 2

HELD = Look("held", gettext_lazy("Held"), Tone.NEUTRAL, "pause")
OPEN = Look("open", gettext_lazy("Breaker open"), Tone.FAILURE, "octagon-x")
PROBING = Look("half_open", gettext_lazy("Trying again"), Tone.RETRY, "triangle")
FAILING = Look("failing", gettext_lazy("Failing"), Tone.RETRY, "triangle-alert")
HEALTHY = Look("healthy", gettext_lazy("Healthy"), Tone.SUCCESS, "circle-check")
QUIET = Look("quiet", gettext_lazy("No calls lately"), Tone.NEUTRAL, "circle-dashed")
NEVER = Look("never", gettext_lazy("Never called"), Tone.NEUTRAL, "circle-dashed")
LOOKS = (HELD, OPEN, PROBING, FAILING, HEALTHY, QUIET, NEVER)

BREAKERS = {
    BreakerState.CLOSED.value: gettext_lazy("closed"),
    BreakerState.OPEN.value: gettext_lazy("open"),
    BreakerState.HALF_OPEN.value: gettext_lazy("half open"),
}
KINDS = {
    ServiceKind.HTTP.value: gettext_lazy("HTTP"),
    ServiceKind.COMMAND.value: gettext_lazy("Commands through a broker"),
}
VERBS = {
    ServiceVerb.CREATED.value: gettext_lazy("Registered"),
    ServiceVerb.CHANGED.value: gettext_lazy("Changed"),
    ServiceVerb.SECRET_ROTATED.value: gettext_lazy("Secret rotated"),
    ServiceVerb.FORMER_SECRET_DROPPED.value: gettext_lazy("Former secret ended"),
    ServiceVerb.HELD.value: gettext_lazy("Held"),
    ServiceVerb.RELEASED.value: gettext_lazy("Released"),
    ServiceVerb.DELETED.value: gettext_lazy("Deleted"),
}
FIELDS = {
    "kind": gettext_lazy("kind"),
    "base_url": gettext_lazy("address"),
    "timeout_s": gettext_lazy("time-out in seconds"),
    "max_concurrency": gettext_lazy("calls at once"),
    "allow_private": gettext_lazy("private addresses"),
    "follows_redirects": gettext_lazy("follows redirects"),
    "password": gettext_lazy("password"),
    "secret": gettext_lazy("secret"),
    "former_secret_until": gettext_lazy("former secret valid until"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute of the strip, in the picture's own units, drawn from the bottom."""

    x: int
    height: int
    failed_height: int
    words: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The last hour, a bar for each minute that had calls."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    calls_most: int
    since: datetime
    until: datetime


def service_look(line: ServiceLine) -> Look:
    """Return how a service looks: what keeps runs out of it first, then how its calls went."""
    state, window = line.state, line.window
    if line.service.is_held:
        return HELD
    if state is not None and state.breaker == BreakerState.OPEN.value:
        return OPEN
    if state is not None and state.breaker == BreakerState.HALF_OPEN.value:
        return PROBING
    if window.error_rate is not None:
        return FAILING if window.error_rate >= FAILING_RATE else HEALTHY
    was_called = state is not None and (state.last_success_at or state.last_failure_at)
    return QUIET if was_called else NEVER


def health_sentence(line: ServiceLine) -> str:
    """Say in a sentence how a service is, and of when that is."""
    look, state, now = service_look(line), line.state, line.counted_at
    if look is HELD:
        held_at = line.service.held_at
        facts = {"who": line.service.held_by, "ago": ago(now - held_at) if held_at else "", "why": ""}
        return _("Held by %(who)s, %(ago)s: no run enters it.") % facts
    if look is OPEN and state is not None:
        if state.try_at is not None and state.try_at > now:
            return _("Calls are held back; the next one is tried in %(left)s.") % {
                "left": countdown(state.try_at - now)
            }
        return _("Calls are held back; the next one is tried as soon as a run comes.")
    if look is PROBING:
        return _("A few calls are let through, to see whether it is well again.")
    if line.window.calls:
        return rate_words(line)
    last = max((at for at in (state.last_success_at, state.last_failure_at) if at), default=None) if state else None
    if last is None:
        return _("No call has come to it yet.")
    return _("No call in the last 5 minutes; the last one was %(ago)s.") % {"ago": ago(now - last)}


def rate_words(line: ServiceLine) -> str:
    """Say how the calls of the last minutes went."""
    window = line.window
    facts = {
        "failed": window.failures,
        "calls": window.calls,
        "rate": percent(window.error_rate or 0.0),
        "mean": duration((window.latency_ms_mean or 0.0) / 1000),
    }
    if not window.failures:
        template = ngettext(
            "%(calls)s call in 5 minutes, none failed, %(mean)s on average.",
            "%(calls)s calls in 5 minutes, none failed, %(mean)s on average.",
            window.calls,
        )
    elif window.calls < FEW_CALLS:
        template = ngettext(
            "%(failed)s of only %(calls)s call in 5 minutes failed.",
            "%(failed)s of only %(calls)s calls in 5 minutes failed.",
            window.calls,
        )
    else:
        template = ngettext(
            "%(rate)s failed: %(failed)s of %(calls)s call in 5 minutes, %(mean)s on average.",
            "%(rate)s failed: %(failed)s of %(calls)s calls in 5 minutes, %(mean)s on average.",
            window.calls,
        )
    return template % facts


def percent(share: float) -> str:
    """Write a share: no decimals where they would only pretend.

    >>> percent(0.002), percent(0.31), percent(0), percent(0.0001)
    ('0.2 %', '31 %', '0 %', '< 0.1 %')
    """
    if not share:
        return "0 %"
    if share < 0.001:  # noqa: PLR2004 - below a tenth of a percent
        return "< 0.1 %"
    return f"{share * 100:.1f} %" if share < 0.1 else f"{share * 100:.0f} %"  # noqa: PLR2004


def address_of(service: Service) -> str:
    """Return a service's address as everybody may see it."""
    return shown_address(service.base_url, has_password=service.password is not None)


def change_words(change: ServiceChange) -> tuple[str, ...]:
    """Say what a change changed, field by field; nothing for one that speaks for itself."""
    said = []
    for name, what in change.fields.items():
        label = FIELDS.get(name, name)
        if isinstance(what, str):
            said.append(f"{label}: {what}")
        elif isinstance(what, list) and what[0] is None:
            said += [f"{label}: {_value_words(name, what[1], change.at)}"] if what[1] is not None else []
        elif isinstance(what, list):
            before, after = (_value_words(name, value, change.at) for value in what)
            said.append(f"{label}: {before} → {after}")
    return tuple(said)


def draw_strip(minutes: tuple[ServiceMinute, ...], now: datetime) -> Strip:
    """Draw the last hour: a bar for each minute, as high as its calls, failed ones hatched at its foot."""
    since = now.replace(second=0, microsecond=0) - STRIP + MINUTE
    most = max((minute.calls for minute in minutes), default=0)
    bars = []
    for minute in minutes:
        place = int((minute.minute - since) / MINUTE)
        if place < 0 or not minute.calls:
            continue
        height = max(2, round(minute.calls / most * STRIP_HEIGHT))
        failed = max(2, round(minute.failures / most * STRIP_HEIGHT)) if minute.failures else 0
        bars.append(Bar(place * (BAR_WIDTH + BAR_GAP), height, min(failed, height), _minute_words(minute, now)))
    width = int(STRIP / MINUTE) * (BAR_WIDTH + BAR_GAP) - BAR_GAP
    return Strip(tuple(bars), width, STRIP_HEIGHT, most, since, now)


def _minute_words(minute: ServiceMinute, now: datetime) -> str:
    facts = {
        "at": moment_words(minute.minute, now),
        "calls": minute.calls,
        "failed": minute.failures,
        "mean": duration(minute.latency_ms_sum / minute.calls / 1000),
    }
    return _("%(at)s: %(calls)s calls, %(failed)s failed, %(mean)s on average") % facts


def _value_words(name: str, value: Json, now: datetime) -> str:
    if name == "former_secret_until" and isinstance(value, str):
        return moment_words(datetime.fromisoformat(value), now)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None:
        return _("none")
    return f"{value:g}" if isinstance(value, float) else str(value)
