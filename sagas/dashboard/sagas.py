"""Sagas: the list, one page for each (its text, its versions, a form that starts a run), and a page for a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from sagas import access
from sagas.catalog import errors as catalog_errors
from sagas.catalog.publish import check, publish
from sagas.core.document import check_source
from sagas.core.document_text import document_text
from sagas.core.observed import draft_document
from sagas.core.vocabulary import FINAL, Role
from sagas.dashboard import event_start, start_form
from sagas.dashboard.access import needs_role
from sagas.dashboard.form_key import make_form_key, start_once
from sagas.engine import commands
from sagas.engine import errors as engine_errors
from sagas.models import Saga, SagaVersion
from sagas.participants import registry
from sagas.presentation.graph import draw_definition
from sagas.queries.events import newest_seen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from sagas.core.problem import Problem
    from sagas.core.vocabulary import Json

VERSIONS_MAX = 50  # listed on a saga's page, newest first
SAGAS_MAX = 500
FINAL_VALUES = [status.value for status in FINAL]

STARTER = """\
saga: my-saga                 # its name for life: small letters, digits, dashes
title: My saga
input:                        # JSON Schema; the start form is made from it
  type: object
  required: [order_id]
  properties:
    order_id: {type: string, maxLength: 64, description: any text}
key: ${input.order_id}        # the same key never starts twice
defaults:
  timeout: 30s
  retry: {attempts: 3, initial: 1s}
steps:
  - name: first_step
    title: First step
    action: shop.process_payment          # a Python action, registered with @action
    with: {order_id: "${input.order_id}", amount: 100}
    compensation:                         # what undoes it, or the word none
      action: shop.refund_payment
      with: {order_id: "${input.order_id}"}
"""


@dataclass(frozen=True, slots=True)
class Editor:
    """What the text box of a page shows: the text, which version it starts from, and what is said about it."""

    source: str
    base: int  # number of the version the text starts from; 0 for none
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    refusal: str = ""
    is_valid: bool = False
    conflict: SagaVersion | None = None
    document: dict[str, Json] | None = None  # what the text says, when it was checked and nothing is wrong with it

    @property
    def findings(self) -> tuple[tuple[Problem, str], ...]:
        """Each problem with the line of the text it speaks of."""
        lines = self.source.splitlines()
        return tuple(
            (problem, lines[problem.line - 1].strip() if problem.line and problem.line <= len(lines) else "")
            for problem in self.problems
        )

    @property
    def lines(self) -> int:
        """Height of the text box, in lines."""
        return min(36, max(16, self.source.count("\n") + 2))


@require_safe
@needs_role(Role.VIEWER)
def saga_list(request: HttpRequest) -> HttpResponse:
    """Every saga, by name, with its open runs."""
    still_open = Count("runs", filter=~Q(runs__status__in=FINAL_VALUES))
    sagas = Saga.objects.select_related("latest").annotate(open_runs=still_open)[:SAGAS_MAX]
    context = {"sagas": sagas, "may_author": access.has_role(request.user, Role.AUTHOR)}
    return render(request, "sagas/sagas/list.html", context)


@require_safe
@needs_role(Role.VIEWER)
def saga_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One saga as it is live."""
    return _show(request, _get_saga(name))


@require_safe
@needs_role(Role.VIEWER)
def saga_version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """One published version, to read."""
    version = get_object_or_404(SagaVersion.objects.select_related("saga"), saga__name=name, number=number)
    graph = draw_definition(version.document)
    return render(request, "sagas/sagas/version.html", {"saga": version.saga, "version": version, "graph": graph})


@require_safe
@needs_role(Role.AUTHOR)
def saga_new(request: HttpRequest) -> HttpResponse:
    """A starting text for a saga that does not exist yet; with `?from=events` one drafted from what was seen."""
    if request.GET.get("from") == "events":
        drafted = draft_document(newest_seen(), "seen-choreography")
        if drafted is not None:
            checked = check_source(source := document_text(drafted).text, registry.facts())
            return _show_new(request, Editor(source, 0, checked.problems, checked.warnings, document=checked.document))
        messages.info(request, _("Nothing can be drafted: no event that was seen names another one as its cause."))
    return _show_new(request, Editor(STARTER, 0, document=check_source(STARTER, registry.facts()).document))


@require_POST
@needs_role(Role.AUTHOR)
def saga_validate(request: HttpRequest, name: str | None = None) -> HttpResponse:
    """Say everything that is wrong with the text; nothing is stored."""
    saga = _get_saga(name) if name else None
    editor = _typed(request)
    checked = check(editor.source)
    editor = Editor(
        editor.source,
        editor.base,
        checked.problems,
        checked.warnings,
        is_valid=not checked.problems,
        document=checked.document,
    )
    return _show_editor(request, saga, editor, status=422 if checked.problems else 200)


@require_POST
@needs_role(Role.AUTHOR)
def saga_publish(request: HttpRequest, name: str | None = None) -> HttpResponse:
    """Make the text the next version, unless it is wrong or somebody was quicker. The text is never lost."""
    saga = _get_saga(name) if name else None
    typed = _typed(request)
    try:
        published = publish(typed.source, by=request.user.get_username(), saga=name, base=typed.base)
    except catalog_errors.DocumentInvalidError as error:
        return _show_editor(request, saga, Editor(typed.source, typed.base, tuple(error.problems)), status=422)
    except catalog_errors.SagaNameMismatchError:
        refusal = _("The text says another name than “%(name)s”. A saga keeps its name for life.") % {"name": name}
        return _show_editor(request, saga, Editor(typed.source, typed.base, refusal=refusal), status=422)
    except catalog_errors.PublishConflictError as error:
        return _show_conflict(request, saga, typed, error.latest)
    version = published.version
    text = _("Version %(number)d is live. Runs under way stay on theirs.") if published.is_new else _(
        "Nothing changed: version %(number)d says the same."
    )  # fmt: skip
    messages.success(request, text % {"number": version.number})
    for warning in published.warnings:
        messages.warning(request, warning.message)
    return redirect("sagas:saga-detail", version.saga.name)


@require_POST
@needs_role(Role.OPERATOR)
def saga_start(request: HttpRequest, name: str) -> HttpResponse:
    """Start a run from the form, and go to it. Wrong input comes back as it was typed, with what to change."""
    saga = _get_saga(name)
    if saga.latest is None:
        message = f"{name} has no published version."
        raise Http404(message)
    typed = start_form.make_fields(start_form.schema_of(saga.latest), request.POST.dict())
    value, fields = start_form.read_fields(typed)
    refusals: tuple[str, ...] = ()
    if kinds := event_start.event_types(saga):
        return _start_by_event(request, saga, kinds, value, fields)
    if not any(field.errors for field in fields):
        try:
            started = start_once(
                request, saga.name, lambda: commands.start_run(saga.name, value, by=request.user.get_username())
            )
        except engine_errors.InputInvalidError as error:
            if error.within:  # the schema's own: these have a place in the form
                fields, left = start_form.with_problems(fields, error.problems)
            else:
                left = error.problems
            refusals = tuple(f"{problem.path} {problem.message}".strip() for problem in left)
        except engine_errors.KeyReusedError as error:
            context = {"fields": fields, "taken_by": error.run_id}
            return _show(request, saga, start=context, status=409)
        except engine_errors.SagaArchivedError:
            refusals = (_("This saga is archived: no run of it can be started."),)
        except engine_errors.SagaUnreadableError as error:
            refusals = (_("No run can be started: %(why)s") % {"why": error},)
        else:
            if not started.is_new:
                messages.info(request, _("This run was started before, with the same input. No other was made."))
            return redirect("sagas:run-detail", started.run_id)
    return _show(request, saga, start={"fields": fields, "refusals": refusals}, status=422)


def _start_by_event(
    request: HttpRequest, saga: Saga, kinds: list[str], value: Json, fields: tuple[start_form.Field, ...]
) -> HttpResponse:
    """Send the event that begins a run of a choreography."""
    chosen = request.POST.get("event", kinds[0])
    refusals: tuple[str, ...] = ()
    if not any(field.errors for field in fields):
        try:
            return redirect(
                "sagas:run-detail",
                event_start.send_event(request, saga.name, chosen if chosen in kinds else kinds[0], value),
            )
        except event_start.NotBegunError as error:
            refusals = (str(error),)
    return _show(request, saga, start={"fields": fields, "refusals": refusals}, status=422)


def _get_saga(name: str) -> Saga:
    return get_object_or_404(Saga.objects.select_related("latest"), name=name)


def _typed(request: HttpRequest) -> Editor:
    """Return what the text box sent; browsers send CR LF where the text has LF."""
    base = request.POST.get("base", "")
    is_number = base.isascii() and base.isdigit() and len(base) < 10  # noqa: PLR2004 - what an integer column holds
    return Editor(request.POST.get("source", "").replace("\r\n", "\n"), int(base) if is_number else 0)


def _show_conflict(request: HttpRequest, saga: Saga | None, typed: Editor, latest: int) -> HttpResponse:
    """Show the text again beside the news that somebody published meanwhile; pressing again builds on theirs."""
    if saga is None:
        refusal = _("There is a saga of this name already. Choose another name, or change that one on its own page.")
        return _show_editor(request, None, Editor(typed.source, 0, refusal=refusal), status=409)
    newer = SagaVersion.objects.filter(saga=saga, number=latest).first()
    return _show_editor(request, saga, Editor(typed.source, latest, conflict=newer), status=409)


def _show_editor(request: HttpRequest, saga: Saga | None, editor: Editor, *, status: int) -> HttpResponse:
    if saga is None:
        return _show_new(request, editor, status=status)
    return _show(request, saga, editor=editor, status=status)


def _show_new(request: HttpRequest, editor: Editor, *, status: int = 200) -> HttpResponse:
    graph = draw_definition(editor.document) if editor.document else None
    return render(request, "sagas/sagas/new.html", {"editor": editor, "graph": graph}, status=status)


def _show(
    request: HttpRequest, saga: Saga, *, editor: Editor | None = None,
    start: Mapping[str, Any] | None = None, status: int = 200,
) -> HttpResponse:  # fmt: skip
    latest = saga.latest
    if editor is None:
        editor = Editor(latest.source if latest else STARTER, latest.number if latest else 0)
    if start is None and latest is not None:
        start = {"fields": start_form.make_fields(start_form.schema_of(latest))}
    shown = editor.document or (latest.document if latest else None)
    context = {
        "saga": saga,
        "editor": editor,
        "graph": draw_definition(shown) if shown else None,
        "drawn_number": None if editor.document or latest is None else latest.number,
        "start": start,
        "event_types": event_start.event_types(saga),
        "form_key": make_form_key(),
        "versions": saga.versions.defer("document", "source")[:VERSIONS_MAX],
        "may_author": access.has_role(request.user, Role.AUTHOR),
        "may_operate": access.has_role(request.user, Role.OPERATOR),
    }
    return render(request, "sagas/sagas/detail.html", context, status=status)
