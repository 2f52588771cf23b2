"""Template tags: icons from the page's sprite, statuses, times. Thin: the decisions are in `presentation`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from lucide.templatetags.lucide import lucide

from sagas.core import vocabulary
from sagas.core.vocabulary import Phase, StepKey
from sagas.engine.call import reaction_key
from sagas.presentation import format as written
from sagas.presentation import offers, probes, services, status, waits, webhooks

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString

    from sagas.models import SagaRun
    from sagas.queries.run_detail import Attempt, StepDetail

register = template.Library()
OTHER_ICONS = ("arrow-right", "check", "chevron-left", "chevron-right", "info", "package", "shield-check", "x")
FILLED = {"diamond"}  # the one silhouette that must be found at a glance
ICONS = tuple(sorted({*status.ICONS, *(look.icon for look in services.LOOKS), *waits.ICONS.values(), *OTHER_ICONS}))

register.filter("duration", written.duration)
register.filter("length_words", written.length)
register.filter("short_id", written.short_id)
register.filter("pretty_json", written.pretty_json)
register.filter("verb_words", offers.verb_words)
register.filter("step_look", status.step_look)
register.filter("compensation_look", status.compensation_look)
register.filter("outcome_look", status.outcome_look)
register.filter("service_look", services.service_look)
register.filter("health_sentence", services.health_sentence)
register.filter("service_address", services.address_of)
register.filter("change_words", services.change_words)
register.filter("webhook_change_words", webhooks.webhook_change_words)
register.filter("attempt_look", probes.attempt_look)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon of the sprite in `base.html`; the word beside it says the same."""
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><use href="#icon-{}"></use></svg>', name
    )


@register.simple_tag
def badge(look: status.Look) -> SafeString:
    """Show a status as icon and word on its tone."""
    return format_html(
        '<span class="badge" data-tone="{}">{}<span>{}</span></span>', look.tone, icon(look.icon), look.label
    )


@register.simple_tag
def when(moment: datetime | None, form: str = "H:i:s") -> SafeString | str:
    """Show a moment in UTC, with its date unless that is today; the element has the machine's form."""
    if moment is None:
        return ""
    moment = written.utc(moment)
    is_today = moment.date() == timezone.now().date()
    pattern = {"H:i:s": "%H:%M:%S", "full": "%Y-%m-%d %H:%M:%S", "exact": "%H:%M:%S.%f"}[form]
    if not is_today and form != "full":
        pattern = "%-d %b " + pattern
    text = moment.strftime(pattern)
    if form == "exact":
        text = text[:-3]
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>', moment.isoformat(), moment.strftime("%Y-%m-%d %H:%M:%S"), text
    )


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """Show how long ago a moment was; the next frame of an open page renews it."""
    if moment is None:
        return ""
    text = written.ago(timezone.now() - moment)
    return format_html('<span class="ago" data-since="{}">{}</span>', moment.isoformat(), text)


@register.simple_tag
def sprite() -> SafeString:
    """Every icon that a status may have, once, for `icon` and the picture to point to."""
    return _sprite()


@cache
def _sprite() -> SafeString:
    drawn = format_html_join(
        "",
        "{}",
        (
            (lucide(name, size=24, id=f"icon-{name}", fill="currentColor" if name in FILLED else "none"),)
            for name in ICONS
        ),
    )
    return format_html('<svg class="sprite" width="0" height="0" aria-hidden="true"><defs>{}</defs></svg>', drawn)


@register.simple_tag
def idempotency_key(run: SagaRun, step: StepDetail, attempt: Attempt) -> str:
    """Return the key that the participant was given: what to ask it about."""
    if step.reacts_to is not None:
        return reaction_key(step.reacts_to, attempt.step, attempt.edition)
    key = StepKey(attempt.step, attempt.item)
    phase = Phase.ACTION if attempt.phase == Phase.PROBE.value else Phase(attempt.phase)  # a probe asks about that one
    return vocabulary.idempotency_key(str(run.id), key, phase, attempt.edition)
