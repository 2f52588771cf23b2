"""Runs: look, and give the orders that several runs can take at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin, messages
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from sagas import access
from sagas.admin.reading import ReadOnlyAdmin, shown_json
from sagas.core.vocabulary import NO_ITEM, Role, RunStatus, Verb
from sagas.engine import orders
from sagas.engine.errors import EngineError
from sagas.models import JournalEntry, Order, SagaRun, StepRun
from sagas.presentation.format import short_id, utc
from sagas.presentation.offers import verb_words
from sagas.queries.runs import with_key_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

ORDERS_MAX = 100  # runs of one action: each is checked and told of by itself
ENTRIES_MAX = 200  # lines of the journal on a run's page, the newest
ID_PREFIX_MIN, ID_DIGITS = 4, 32
REASON_LENGTH_MAX = 1_000
PAYLOADS = ("input", "output", "reason", "attention", "signals", "version__document", "version__source")
EFFECTS = {
    Verb.RETRY: "What failed or waits for its next attempt is tried again now.",
    Verb.CANCEL: "Nothing new starts, attempts in flight end, then everything that was done is undone.",
    Verb.PAUSE: "Nothing new is sent, in either direction, until somebody resumes. Attempts in flight end;"
    " their time-outs and the deadline still count.",
    Verb.RESUME: "They go on from where they were paused.",
    Verb.GIVE_UP: "What failed compensations could not undo stays behind, and the runs end partially compensated."
    " It cannot be taken back.",
    Verb.TERMINATE: "They end now, where they stand: nothing is undone, and what is in flight is written off"
    " as unknown. It cannot be taken back.",
}
FLAGS = ("is_turning", "is_past_pivot", "is_paused", "is_overdue", "is_hanging", "is_outcome_unknown", "waiting_for")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A selected run: acted on when `why_not` is empty."""

    run: SagaRun
    why_not: str


class NeedsAttention(admin.SimpleListFilter):
    """The runs that only a person can move on."""

    title = "needs attention"
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the one choice."""
        del request, model_admin
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SagaRun]) -> QuerySet[SagaRun]:
        """Keep what needs a person."""
        del request
        return queryset.filter(status=RunStatus.NEEDS_ATTENTION.value) if self.value() == "yes" else queryset


class _ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any) -> bool:
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False


class StepRunInline(_ReadOnlyInline):
    """The steps that were touched; the items of a list have a page of their own."""

    model = StepRun
    fields = ("step", "status", "waits_for", "compensation_status", "attempts", "compensation_attempts", "due")
    readonly_fields = ("due",)

    @admin.display(description="next try, or end of the wait")
    def due(self, step: StepRun) -> datetime | None:
        """Return when the step goes on by itself."""
        return step.next_attempt_at

    def get_queryset(self, request: HttpRequest) -> QuerySet[StepRun]:
        """Leave items out: there may be thousands."""
        return super().get_queryset(request).filter(item=NO_ITEM)


class OrderInline(_ReadOnlyInline):
    """What people asked."""

    model = Order
    fields = ("number", "verb", "by", "reason", "at")


@admin.register(SagaRun)
class SagaRunAdmin(ReadOnlyAdmin):
    """Everything a run has; state is changed by orders only."""

    list_display = ("short", "dashboard", "saga_version", "status", "key", "steps", "created", "finished")
    list_filter = ("status", NeedsAttention, "waiting_for", "saga")
    search_fields = ("key",)
    search_help_text = "The beginning of a business key or of a run's id"
    list_select_related = ("saga", "version")
    ordering = ("-id",)
    actions = ("retry", "cancel", "pause", "resume", "give_up", "terminate")
    inlines = (StepRunInline, OrderInline)
    fieldsets = (
        (None, {"fields": ("id", "dashboard", "saga", "version", "status", "direction", *FLAGS)}),
        (
            "Told",
            {
                "fields": (
                    "key",
                    "labels",
                    "amount",
                    "input_shown",
                    "output_shown",
                    "reason_shown",
                    "signals_shown",
                    "created_by",
                )
            },
        ),
        ("Time", {"fields": ("created_at", "started_at", "updated_at", "finished_at", "deadline_at")}),
        ("Driving", {"fields": ("revision", "sequence", "due_at", "lease_until", "token", "inbox_last", "inbox_done")}),
        ("Journal", {"fields": ("journal_shown",)}),
    )
    readonly_fields = ("dashboard", "input_shown", "output_shown", "reason_shown", "signals_shown", "journal_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SagaRun]:
        """Leave payloads in the database; a run's page fetches its own."""
        return super().get_queryset(request).select_related("saga", "version").defer(*PAYLOADS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SagaRun], search_term: str
    ) -> tuple[QuerySet[SagaRun], bool]:
        """Search where an index helps: the beginning of the key, or of the id."""
        del request
        term = search_term.strip()
        if not term:
            return queryset, False
        digits = term.replace("-", "").lower()
        if ID_PREFIX_MIN <= len(digits) <= ID_DIGITS and set(digits) <= set("0123456789abcdef"):
            first, last = UUID(digits.ljust(ID_DIGITS, "0")), UUID(digits.ljust(ID_DIGITS, "f"))
            if queryset.filter(id__range=(first, last)).exists():
                return queryset.filter(id__range=(first, last)), False
        return with_key_from(queryset, term), False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the orders, to operators and above; their role is asked once for all of them."""
        return super().get_actions(request) if access.has_role(request.user, Role.OPERATOR) else {}

    @admin.action(description="Retry the selected runs")
    def retry(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> HttpResponse | None:
        """Try again what failed or waits."""
        return self._order(request, runs, Verb.RETRY)

    @admin.action(description="Cancel the selected runs")
    def cancel(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> HttpResponse | None:
        """Turn them round: what was done is undone."""
        return self._order(request, runs, Verb.CANCEL)

    @admin.action(description="Pause the selected runs")
    def pause(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> HttpResponse | None:
        """Send nothing new, in either direction."""
        return self._order(request, runs, Verb.PAUSE)

    @admin.action(description="Resume the selected runs")
    def resume(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> HttpResponse | None:
        """Go on from where they were paused."""
        return self._order(request, runs, Verb.RESUME)

    @admin.action(description="Give up what could not be undone of the selected runs")
    def give_up(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> HttpResponse | None:
        """Let stay behind what failed compensations could not undo."""
        return self._order(request, runs, Verb.GIVE_UP)

    @admin.action(description="Terminate the selected runs, undo nothing")
    def terminate(self, request: HttpRequest, runs: QuerySet[SagaRun]) -> HttpResponse | None:
        """End them where they stand."""
        return self._order(request, runs, Verb.TERMINATE)

    def _order(self, request: HttpRequest, runs: QuerySet[SagaRun], verb: Verb) -> HttpResponse | None:
        chosen = list(runs[: ORDERS_MAX + 1])
        if len(chosen) > ORDERS_MAX:
            self.message_user(request, f"At most {ORDERS_MAX} runs at once; nothing was done.", messages.ERROR)
            return None
        if request.POST.get("confirmed") != "yes":
            return self._confirm(request, chosen, verb)
        reason = request.POST.get("reason", "").replace("\0", "")[:REASON_LENGTH_MAX]
        if verb in orders.NEEDS_REASON and not reason.strip():
            return self._confirm(request, chosen, verb, error="Say why: it is written down. Nothing was changed.")
        for run in chosen:
            self._give(request, run, verb, reason)
        return None

    def _confirm(self, request: HttpRequest, runs: Sequence[SagaRun], verb: Verb, *, error: str = "") -> HttpResponse:
        found = [Candidate(run, orders.find_refusal(run, verb) or "") for run in runs]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{verb_words(verb).capitalize()} runs",
            "verb": verb.value,
            "verb_words": verb_words(verb),
            "effect": EFFECTS[verb],
            "needs_reason": verb in orders.NEEDS_REASON,
            "error": error,
            "acting": [one for one in found if not one.why_not],
            "skipped": [one for one in found if one.why_not],
            "reason_length_max": REASON_LENGTH_MAX,
            "opts": self.model._meta,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/sagas/sagarun/confirm.html", context, status=422 if error else 200)

    def _give(self, request: HttpRequest, run: SagaRun, verb: Verb, reason: str) -> None:
        seen = request.POST.get(f"revision-{run.id}", "")
        revision = int(seen) if seen.isascii() and seen.isdigit() and len(seen) <= len(str(2**31)) else None
        by = request.user.get_username()
        try:
            orders.give_order(run.id, verb, by=by, ask=orders.Ask(reason=reason), revision=revision)
        except EngineError as error:
            self.message_user(request, f"{run.id}: skipped. {error}", messages.WARNING)
        else:
            self.message_user(request, f"{run.id}: {verb_words(verb)} ordered.", messages.SUCCESS)

    @admin.display(description="id", ordering="id")
    def short(self, run: SagaRun) -> SafeString:
        """Return the id as every list of ours shows it: a whole one takes four lines and pushes the times out."""
        return format_html('<span title="{}">{}</span>', run.id, short_id(run.id))

    @admin.display(description="saga", ordering="saga")
    def saga_version(self, run: SagaRun) -> str:
        """Return what it runs."""
        return f"{run.saga.name} v{run.version.number}"

    @admin.display(description="created", ordering="created_at")
    def created(self, run: SagaRun) -> SafeString:
        """Return when it was started."""
        return _on_two_lines(run.created_at)

    @admin.display(description="finished", ordering="finished_at", empty_value="-")
    def finished(self, run: SagaRun) -> SafeString | None:
        """Return when it ended."""
        return _on_two_lines(run.finished_at) if run.finished_at else None

    @admin.display(description="steps done")
    def steps(self, run: SagaRun) -> str:
        """Return how far it is."""
        undone = f", undone {run.undo_done}/{run.undo_total}" if run.undo_total else ""
        return f"{run.steps_done}/{run.steps_total}{undone}"

    @admin.display(description="dashboard")
    def dashboard(self, run: SagaRun) -> SafeString:
        """Link to the page that draws it."""
        return format_html('<a href="{}">Open</a>', reverse("sagas:run-detail", args=[run.id]))

    @admin.display(description="input")
    def input_shown(self, run: SagaRun) -> SafeString:
        """Return the input."""
        return shown_json(run.input)

    @admin.display(description="output")
    def output_shown(self, run: SagaRun) -> SafeString:
        """Return the output."""
        return shown_json(run.output)

    @admin.display(description="reason")
    def reason_shown(self, run: SagaRun) -> SafeString:
        """Return why it turned or stopped."""
        return shown_json(run.reason)

    @admin.display(description="signals kept")
    def signals_shown(self, run: SagaRun) -> SafeString:
        """Return the signals that no step has taken yet."""
        return shown_json(run.signals)

    @admin.display(description="newest entries")
    def journal_shown(self, run: SagaRun) -> SafeString:
        """Return the newest lines as a table; the model's two-part key keeps it out of an ordinary inline."""
        newest = list(JournalEntry.objects.filter(run_id=run.id).order_by("-sequence")[:ENTRIES_MAX])
        entries = [
            {"sequence": one.sequence, "at": one.at, "kind": one.kind, "data": json.dumps(one.data, ensure_ascii=False)}
            for one in reversed(newest)
        ]
        return render_to_string("admin/sagas/sagarun/_journal.html", {"entries": entries})


def _on_two_lines(moment: datetime) -> SafeString:
    """Write a moment so that two of them find room beside the filters."""
    moment = utc(moment)
    date = moment.strftime("%Y-%m-%d").replace("-", "\u2011")  # hyphens at which it is not broken
    return format_html("{}<br>{}", date, moment.strftime("%H:%M:%S"))
