"""Lists in words: how far the items are, and how many of them are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sagas.core.vocabulary import StepKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagas.queries.items import IsWanted, Tally
    from sagas.queries.run_detail import StepDetail


def done_words(tally: Tally) -> str:
    """Say how many items are done.

    >>> from sagas.queries.items import Tally
    >>> done_words(Tally(40))
    '0 of 40 items'
    """
    template = ngettext("%(done)s of %(count)s item", "%(done)s of %(count)s items", tally.total)
    return template % {"done": tally.done, "count": tally.total}


def undone_words(tally: Tally) -> str:
    """Say how many items are undone."""
    return _("%(done)s of %(count)s undone") % {"done": tally.undone, "count": tally.undo_total}


def named(title: str, count: int) -> str:
    """Name a list with how many of its items are meant."""
    return ngettext("%(title)s (%(count)s item)", "%(title)s (%(count)s items)", count) % {
        "title": title, "count": count,
    }  # fmt: skip


def titles_of(wholes: Iterable[StepDetail], is_wanted: IsWanted) -> list[str]:
    """Return the titles of the steps whose statuses are wanted; of a list with how many of its items are."""
    counted = ((step, step.count(is_wanted)) for step in wholes)
    return [
        step.plan.title if step.tally is None else named(step.plan.title, count) for step, count in counted if count
    ]


def item_title(title: str, item: Any) -> str:
    """Name one item of a list, as its order would: by its number from 0."""
    return f"{title} [{item}]" if isinstance(item, int) and item >= 0 else title


def grouped(keys: Iterable[StepKey]) -> list[tuple[str, list[StepKey]]]:
    """Put keys of one step that stand behind each other together."""
    groups: list[tuple[str, list[StepKey]]] = []
    for key in keys:
        if not groups or groups[-1][0] != key.step:
            groups.append((key.step, []))
        groups[-1][1].append(key)
    return groups


def titles_of_keys(wholes: Iterable[StepDetail], keys: Iterable[StepKey], *, is_undo: bool = False) -> list[str]:
    """Name steps, or what undoes them; several items of one list together."""
    by_name = {step.plan.name: step for step in wholes}
    found = []
    for name, group in grouped(keys):
        title = by_name[name].undo_title if is_undo else by_name[name].plan.title
        found.append(item_title(title, group[0].item) if len(group) == 1 else named(title, len(group)))
    return found
