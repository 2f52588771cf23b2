"""Running a run again: a form with its input, and the POST that starts the new run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from sagas.core.vocabulary import Role
from sagas.dashboard import start_form
from sagas.dashboard.access import needs_role
from sagas.dashboard.form_key import make_form_key, start_once
from sagas.dashboard.runs import get_detail
from sagas.engine import errors, reruns
from sagas.presentation.status import run_look

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from sagas.dashboard.start_form import Field
    from sagas.queries.run_detail import RunDetail


@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.OPERATOR)
def run_again(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Show the input of a run, to be changed or not; on POST start a new run of the latest version with it."""
    detail = get_detail(run_id)
    latest = detail.run.saga.latest
    schema = start_form.schema_of(latest) if latest is not None else None
    if request.method != "POST":
        return _show(request, detail, start_form.filled_fields(schema, detail.run.input))
    value, fields = start_form.read_fields(start_form.make_fields(schema, request.POST.dict()))
    if any(field.errors for field in fields):
        return _show(request, detail, fields, status=422)
    asked = {"by": request.user.get_username(), "value": value, "has_input": True}
    try:
        started = start_once(request, f"rerun {run_id}", lambda: reruns.rerun(run_id, **asked))
    except errors.InputInvalidError as error:
        left = error.problems
        if error.within:  # the schema's own: these have a place in the form
            fields, left = start_form.with_problems(fields, error.problems)
        said = tuple(f"{problem.path} {problem.message}".strip() for problem in left)
        return _show(request, detail, fields, said, status=422)
    except (errors.OrderRefusedError, errors.SagaArchivedError, errors.SagaUnreadableError) as error:
        return _show(request, detail, fields, (str(error),), status=409)
    except errors.RunUnknownError as error:
        raise Http404(str(error)) from None
    return redirect("sagas:run-detail", started.run_id)


def _show(
    request: HttpRequest,
    detail: RunDetail,
    fields: tuple[Field, ...],
    refusals: tuple[str, ...] = (),
    *,
    status: int = 200,
) -> HttpResponse:
    run = detail.run
    why_not = reruns.refusal(run)
    if run.saga.archived_at is not None:
        why_not = why_not or _("The saga is archived: it takes no new runs.")
    context = {
        "detail": detail,
        "run": run,
        "look": run_look(run.status, is_paused=run.is_paused),
        "latest": run.saga.latest,
        "fields": fields,
        "refusals": refusals,
        "why_not": why_not,
        "form_key": make_form_key(),
    }
    return render(request, "sagas/runs/again.html", context, status=status)
