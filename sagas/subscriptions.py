"""Changing webhook subscriptions: the only writer of them. A secret made here is shown once, by whoever asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from sagas.core.cloud_event import EVENT_TYPE
from sagas.core.limits import (
    EVENT_NAME_LENGTH_MAX,
    EVENT_TYPES_MAX,
    NAME_LENGTH_MAX,
    SERVICE_ADDRESS_LENGTH_MAX,
    SUBSCRIPTIONS_MAX,
)
from sagas.core.problem import Problem, found_text, nearest, sayable
from sagas.engine import deliveries
from sagas.models import ChangeKind, Saga, WebhookSubscription, WebhookVerb
from sagas.participants.network import url_fault
from sagas.sealing import seal
from sagas.services.secret import new_secret
from sagas.services.wanted import FORMER_VALID_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagas.core.vocabulary import Json

DISABLED = "Disabled by a person."
NAME = re.compile(rf"(?=.{{1,{NAME_LENGTH_MAX}}}$)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)


class SubscriptionUnknownError(Exception):
    """There is none of that name."""


class SubscriptionStaleError(Exception):
    """It has changed since it was read; `revision` is the present one."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"The subscription has changed since: its revision is {revision}.")
        self.revision = revision


class SubscriptionInvalidError(Exception):
    """What is wanted cannot be; `problems` lists why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A whole subscription, but for its secrets."""

    url: str
    kinds: tuple[str, ...] = ()
    saga: str = ""
    events: tuple[str, ...] = ()
    except_source: str = ""
    gets_redacted: bool = False
    allow_private: bool = False
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """What a change came to. `secret` was made here, to be shown this once; else empty."""

    subscription: WebhookSubscription
    is_new: bool = False
    secret: str = field(default="", repr=False)


def put(name: str, wanted: Wanted, *, by: str, revision: int | None = None) -> Done:
    """Make a subscription what is wanted; make one, with a secret, where there is none.

    Raises:
        SubscriptionInvalidError, SubscriptionStaleError: nothing was changed.
    """
    if problems := _problems(name, wanted):
        raise SubscriptionInvalidError(problems)
    facts = {
        "url": wanted.url,
        "kinds": sorted(set(wanted.kinds)),
        "saga": wanted.saga,
        "events": sorted(set(wanted.events)),
        "except_source": wanted.except_source,
        "gets_redacted": wanted.gets_redacted,
        "allow_private": wanted.allow_private,
        "is_enabled": wanted.is_enabled,
        "disabled_why": "" if wanted.is_enabled else DISABLED,
    }
    try:
        with transaction.atomic():
            found = WebhookSubscription.objects.select_for_update().filter(name=name).first()
            if revision is not None and revision != (found.revision if found else 0):
                raise SubscriptionStaleError(found.revision if found else 0)
            done = _create(name, facts, by) if found is None else _change(found, facts, by)
            transaction.on_commit(deliveries.forget)
    except IntegrityError:  # somebody made it in between
        raise SubscriptionStaleError(1) from None
    return done


def _create(name: str, facts: Mapping[str, Json], by: str) -> Done:
    if WebhookSubscription.objects.count() >= SUBSCRIPTIONS_MAX:
        message = f"There are {SUBSCRIPTIONS_MAX} subscriptions already; more are not kept."
        raise SubscriptionInvalidError([Problem(message, pointer="/name")])
    secret = new_secret()
    made = WebhookSubscription.objects.create(name=name, secret=seal(secret), changed_by=by, **facts)
    _write_down(name, WebhookVerb.CREATED, by, {column: [None, value] for column, value in facts.items() if value})
    return Done(made, is_new=True, secret=secret)


def _change(found: WebhookSubscription, facts: Mapping[str, Json], by: str) -> Done:
    before = {column: getattr(found, column) for column in facts}
    changed: dict[str, Json] = {name: [before[name], value] for name, value in facts.items() if before[name] != value}
    if changed:
        for column, value in facts.items():
            setattr(found, column, value)
        found.changed_by = by
        found.revision += 1
        found.save()
        _write_down(found.name, WebhookVerb.CHANGED, by, changed)
    return Done(found)


def _write_down(name: str, verb: WebhookVerb, by: str, fields: Mapping[str, Json]) -> None:
    deliveries.write_down(name, verb, by=by, fields=fields, at=timezone.now())


def rotate_secret(name: str, *, by: str, former_valid_s: float = FORMER_VALID_S, revision: int | None = None) -> Done:
    """Make another secret; both sign for a while.

    Raises:
        SubscriptionUnknownError, SubscriptionStaleError: nothing was changed.
    """
    with transaction.atomic():
        found = _locked(name, revision)
        secret = new_secret()
        found.former_secret = found.secret if former_valid_s else None
        found.former_secret_until = timezone.now() + timedelta(seconds=former_valid_s) if former_valid_s else None
        found.secret, found.changed_by = seal(secret), by
        found.revision += 1
        found.save()
        until = found.former_secret_until.isoformat() if found.former_secret_until else None
        _write_down(name, WebhookVerb.SECRET_ROTATED, by, {"former_secret_until": [None, until]})
    return Done(found, secret=secret)


def delete(name: str, *, by: str, revision: int | None = None) -> None:
    """Take a subscription away, with all that was to be told to it.

    Raises:
        SubscriptionUnknownError, SubscriptionStaleError: nothing was changed.
    """
    with transaction.atomic():
        found = _locked(name, revision)
        _write_down(name, WebhookVerb.DELETED, by, {"url": [found.url, None]})
        found.delete()
        transaction.on_commit(deliveries.forget)


def _locked(name: str, revision: int | None) -> WebhookSubscription:
    found = WebhookSubscription.objects.select_for_update().filter(name=name).first()
    if found is None:
        names = WebhookSubscription.objects.values_list("name", flat=True)[:SUBSCRIPTIONS_MAX]
        near = nearest(name, names)
        message = f"There is no webhook subscription {name[:80]!r}."
        raise SubscriptionUnknownError(message + (f" Did you mean {near!r}?" if near else ""))
    if revision is not None and revision != found.revision:
        raise SubscriptionStaleError(found.revision)
    return found


def _problems(name: str, wanted: Wanted) -> list[Problem]:
    found = []
    if not NAME.fullmatch(name):
        message = f"A name has small letters, digits and single dashes, at most {NAME_LENGTH_MAX}."
        found.append(Problem(message, pointer="/name", code="wrong_value"))
    if len(wanted.url) > SERVICE_ADDRESS_LENGTH_MAX:
        found.append(Problem(f"An address has at most {SERVICE_ADDRESS_LENGTH_MAX} characters.", pointer="/url"))
    elif fault := url_fault(wanted.url, allow_private=wanted.allow_private):
        found.append(Problem(fault, pointer="/url", code="wrong_value"))
    known = [kind.value for kind in ChangeKind]
    for place, kind in enumerate(wanted.kinds):
        if kind not in known:
            message = f"There is no change {kind[:80]!r}; there are {', '.join(known)}."
            found.append(Problem(message, pointer=f"/kinds/{place}", code="wrong_value"))
    if "\0" in wanted.saga or sayable(wanted.saga) != wanted.saga:
        found.append(Problem("There is no saga of such a name.", pointer="/saga", code="unknown"))
    elif wanted.saga and not Saga.objects.filter(name=wanted.saga).exists():
        found.append(Problem(f"There is no saga {wanted.saga[:80]!r}.", pointer="/saga", code="unknown"))
    return found + _event_problems(wanted)


def _event_problems(wanted: Wanted) -> list[Problem]:
    found = []
    for place, kind in enumerate(wanted.events):
        if not EVENT_TYPE.fullmatch(kind):
            said = "A type of events has letters, digits, dashes and dots, such as order.placed"
            message = f"{said}; found {found_text(kind)}."
            found.append(Problem(message, pointer=f"/events/{place}", code="wrong_value"))
    if len(wanted.events) > EVENT_TYPES_MAX:
        message = f"A subscription names at most {EVENT_TYPES_MAX} types of events; found {len(wanted.events)}."
        found.append(Problem(message, pointer="/events", code="too_many"))
    if wanted.events and wanted.saga and not wanted.kinds:
        message = "A saga narrows changes of runs, and none are asked for beside the events."
        found.append(Problem(message, pointer="/saga", code="wrong_value"))
    if not wanted.except_source.isprintable() or len(wanted.except_source) > EVENT_NAME_LENGTH_MAX:
        message = f"A source has at most {EVENT_NAME_LENGTH_MAX} characters that can be shown."
        found.append(Problem(message, pointer="/except_source", code="wrong_value"))
    elif wanted.except_source and not wanted.events:
        message = "It leaves out events of a source, and no events are asked for."
        found.append(Problem(message, pointer="/except_source", code="wrong_value"))
    if wanted.gets_redacted and not wanted.events:
        message = "Redacted values are those of events, and no events are asked for."
        found.append(Problem(message, pointer="/gets_redacted", code="wrong_value"))
    return found
