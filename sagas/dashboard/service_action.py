"""What can be done to a service from its page: who may, what the page before it says, and how it is done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from sagas import access
from sagas.core.vocabulary import Role
from sagas.dashboard.service_form import read_number
from sagas.queries.services import open_runs_naming
from sagas.services import changes
from sagas.services.wanted import FORMER_VALID_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django.utils.functional import _StrPromise

    from sagas.core.problem import Problem
    from sagas.queries.services import ServicePage
    from sagas.services.changes import Done

HOUR_S = 3600
_FIELDS = {"reason": "reason", "former_valid": "former_valid_h"}


@dataclass(frozen=True, slots=True)
class ActionForm:
    """What the page of an action sends."""

    reason: str = ""
    former_valid_h: str = str(int(FORMER_VALID_S / HOUR_S))
    revision: int | None = None
    errors: Mapping[str, str] = field(default_factory=dict)  # by field; "" is about none of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action: its words, its right, and the change it makes. `perform` gives None when the service is gone."""

    verb: str
    needs: Role
    name: _StrPromise
    heading: _StrPromise
    button: _StrPromise
    keep: _StrPromise
    receipt: _StrPromise
    perform: Callable[[str, ActionForm, str], Done | None]
    will: Callable[[ServicePage], tuple[str, ...]]
    will_not: Callable[[ServicePage], tuple[str, ...]]
    why_not: Callable[[ServicePage], str]
    taken_back: _StrPromise
    needs_reason: bool = False
    asks_for_hours: bool = False
    is_danger: bool = False


def read_form(sent: Mapping[str, str]) -> ActionForm:
    """Read the fields of a POST; those of a page that is only shown are as at first."""
    first = ActionForm()
    return ActionForm(
        reason=sent.get("reason", ""),
        former_valid_h=sent.get("former_valid_h", first.former_valid_h).strip(),
        revision=read_number(sent.get("revision", "")),
    )


def with_problems(form: ActionForm, problems: Iterable[Problem]) -> ActionForm:
    """Put each problem beside its field."""
    return replace(
        form,
        errors={_FIELDS.get(problem.pointer.removeprefix("/"), ""): problem.message for problem in problems},
    )


def check_right(user: Any, act: Action) -> None:
    """Let in who may do this.

    Raises:
        PermissionDenied: somebody else; the text says who may.
    """
    if not access.has_role(user, act.needs):
        message = f"This needs the role {act.needs.value}."
        raise PermissionDenied(message)


def _hold(name: str, form: ActionForm, by: str) -> Done:
    return changes.hold(name, by=by, reason=form.reason, revision=form.revision)


def _release(name: str, form: ActionForm, by: str) -> Done:
    return changes.release(name, by=by, reason=form.reason, revision=form.revision)


def _rotate(name: str, form: ActionForm, by: str) -> Done:
    hours = read_number(form.former_valid_h)
    return changes.rotate_secret(
        name,
        by=by,
        former_valid_s=-1.0 if hours is None else hours * float(HOUR_S),
        revision=form.revision,
        reason=form.reason,
    )


def _drop_former(name: str, form: ActionForm, by: str) -> Done:
    return changes.drop_former_secret(name, by=by, revision=form.revision, reason=form.reason)


def _delete(name: str, form: ActionForm, by: str) -> None:
    changes.delete(name, by=by, revision=form.revision, reason=form.reason)


def _hold_will(page: ServicePage) -> tuple[str, ...]:
    uses = len(page.line.uses)
    steps = ngettext(
        "Let steps of %(count)s saga wait before it, from now on.",
        "Let steps of %(count)s sagas wait before it, from now on.",
        uses,
    )
    return (steps % {"count": uses}, _("Let calls that are in flight end."))


def _release_will(page: ServicePage) -> tuple[str, ...]:
    words = ngettext(
        "Let %(count)s step that waits before it go on.",
        "Let %(count)s steps that wait before it go on.",
        page.line.waiting,
    )
    return (words % {"count": page.line.waiting}, _("Let runs enter it again."))


def _why_not_drop(page: ServicePage) -> str:
    until = page.line.service.former_secret_until
    is_valid = until is not None and until > timezone.now()
    return "" if is_valid else _("There is no former secret that is still valid.")


def _why_not_delete(page: ServicePage) -> str:
    if page.line.uses:
        sagas = ", ".join(use.title for use in page.line.uses)
        return _("The latest version of %(sagas)s names it. Publish one that does not.") % {"sagas": sagas}
    runs = open_runs_naming(page.line.service.name)
    return _("Runs that have not ended still need it, such as %(run)s.") % {"run": runs[0]} if runs else ""


def _words(*said: str) -> Callable[[ServicePage], tuple[str, ...]]:
    return lambda _page: tuple(map(_, said))


_KEEP = gettext_lazy("Change nothing")
ACTIONS = {
    act.verb: act
    for act in (
        Action(
            verb="hold",
            needs=Role.OPERATOR,
            name=gettext_lazy("Hold"),
            heading=gettext_lazy("Hold %(name)s"),
            button=gettext_lazy("Hold this service"),
            keep=_KEEP,
            receipt=gettext_lazy("%(name)s is held: no run enters it."),
            perform=_hold,
            will=_hold_will,
            will_not=_words("Undo or end anything.", "Stop time-outs and deadlines of runs."),
            why_not=lambda page: _("It is held already.") if page.line.service.is_held else "",
            taken_back=gettext_lazy("It can be taken back: release lets runs in again."),
            needs_reason=True,
        ),
        Action(
            verb="release",
            needs=Role.OPERATOR,
            name=gettext_lazy("Release"),
            heading=gettext_lazy("Release %(name)s"),
            button=gettext_lazy("Release this service"),
            keep=gettext_lazy("Keep it held"),
            receipt=gettext_lazy("%(name)s is released: runs enter it again."),
            perform=_release,
            will=_release_will,
            will_not=_words("Close its breaker: one that is open tries by itself."),
            why_not=lambda page: "" if page.line.service.is_held else _("It is not held."),
            taken_back=gettext_lazy("It can be held again at any time."),
        ),
        Action(
            verb="rotate-secret",
            needs=Role.ADMIN,
            name=gettext_lazy("Rotate secret"),
            heading=gettext_lazy("Rotate the secret of %(name)s"),
            button=gettext_lazy("Make a new secret"),
            keep=_KEEP,
            receipt=gettext_lazy("%(name)s has a new secret."),
            perform=_rotate,
            will=_words(
                "Make a new secret and show it to you once.", "Sign with both secrets until the former one has ended."
            ),
            will_not=_words("Tell the service: put the new secret there before the former one ends."),
            why_not=lambda _page: "",
            taken_back=gettext_lazy("The former secret cannot be had back once it has ended."),
            asks_for_hours=True,
        ),
        Action(
            verb="drop-former-secret",
            needs=Role.ADMIN,
            name=gettext_lazy("End former secret"),
            heading=gettext_lazy("End the former secret of %(name)s"),
            button=gettext_lazy("End the former secret now"),
            keep=_KEEP,
            receipt=gettext_lazy("The former secret of %(name)s has ended."),
            perform=_drop_former,
            will=_words("Sign with the present secret only."),
            will_not=_words("Change the present secret."),
            why_not=_why_not_drop,
            taken_back=gettext_lazy("It cannot be taken back: a service that knows only the former one refuses calls."),
            is_danger=True,
        ),
        Action(
            verb="delete",
            needs=Role.ADMIN,
            name=gettext_lazy("Delete"),
            heading=gettext_lazy("Delete %(name)s"),
            button=gettext_lazy("Delete this service"),
            keep=gettext_lazy("Keep it"),
            receipt=gettext_lazy("%(name)s is deleted."),
            perform=_delete,
            will=_words("Take it out of the registry, with its secrets and its figures."),
            will_not=_words("Remove what was done to it from the records, or from any run's journal."),
            why_not=_why_not_delete,
            taken_back=gettext_lazy("It cannot be taken back; it can be registered again, with a new secret."),
            is_danger=True,
        ),
    )
}
