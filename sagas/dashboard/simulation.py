"""What can go wrong with a saga, on a page: its failure matrix, of a published version or of a text that is edited."""

from __future__ import annotations

import json
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from sagas.catalog.errors import VersionUnreadableError
from sagas.catalog.load import load_version
from sagas.catalog.publish import check
from sagas.core.document import compile_document
from sagas.core.example import example_input
from sagas.core.failure_matrix import failure_rows
from sagas.core.problem import check_payload
from sagas.core.script import SimulationInvalidError
from sagas.core.vocabulary import Role
from sagas.dashboard.access import needs_role
from sagas.dashboard.sagas import saga_validate
from sagas.models import SagaVersion
from sagas.participants import registry
from sagas.presentation.failures import FailureLine, failure_line

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from sagas.core.definition import Definition

SIMULATION_S_MAX = 2.0  # of a page; a saga of twenty steps takes as long


@require_safe
@needs_role(Role.VIEWER)
def saga_simulate(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Every failure of a published version."""
    version = get_object_or_404(SagaVersion.objects.select_related("saga"), saga__name=name, number=number)
    try:
        definition = load_version(version.id)
    except VersionUnreadableError as error:
        raise Http404(str(error)) from None
    return _show(request, definition, request.GET.get("input"), {"name": name, "number": number, "source": None})


@require_POST
@needs_role(Role.AUTHOR)
def saga_simulate_text(request: HttpRequest, name: str | None = None) -> HttpResponse:
    """Every failure of a text that is not published; what is wrong with the text is said where it is edited."""
    source = request.POST.get("source", "").replace("\r\n", "\n")
    checked = check(source)
    if checked.document is None:
        return saga_validate(request, name)
    definition = compile_document(checked.document, registry.facts())
    return _show(request, definition, request.POST.get("input"), {"name": name, "number": None, "source": source})


def _show(request: HttpRequest, definition: Definition, typed: str | None, context: dict[str, Any]) -> HttpResponse:
    until = monotonic() + SIMULATION_S_MAX
    lines: list[FailureLine] = []
    refusals: tuple[str, ...] = ()
    if typed is None:
        typed = json.dumps(example_input(definition), indent=2, ensure_ascii=False)
    try:
        value = json.loads(typed)
        if problems := check_payload(value):
            raise SimulationInvalidError(problems)
        lines = [failure_line(row) for row in failure_rows(definition, value, lambda: monotonic() > until)]
    except (ValueError, RecursionError):
        refusals = (_("This is not JSON."),)
    except SimulationInvalidError as error:
        refusals = tuple(f"{one.path}: {one.message}" if one.path else one.message for one in error.problems)
    shown = {
        "definition": definition,
        "lines": lines,
        "is_cut": monotonic() > until,
        "has_missing": any(line.missing for line in lines),
        "input": typed,
        "refusals": refusals,
    }
    return render(request, "sagas/sagas/simulate.html", context | shown, status=422 if refusals else 200)
