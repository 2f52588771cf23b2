"""Simulations for tests: `from sagas.testing import simulate`. No database, no workers, no Django needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagas.core.definition import ActionFacts, Definition
from sagas.core.document import Checked, check_source, compile_document
from sagas.core.example import example_input
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate as simulate_definition
from sagas.definition import DefinitionError, Saga, import_saga, is_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sagas.core.simulation import Simulation
    from sagas.core.vocabulary import Json

__all__ = ["DocumentWrongError", "SimulationInvalidError", "simulate"]

_MISSING: Any = object()


class DocumentWrongError(Exception):
    """The document has problems; the text lists all of them."""


def simulate(
    saga: str | Path | Saga | Definition,
    input: Json = _MISSING,  # noqa: A002 - the word of the definition and of the API
    faults: Mapping[str, Json] | None = None,
    *,
    orders: Sequence[Mapping[str, Json]] = (),
    atomic: Iterable[str] | None = None,
    reads_only: Iterable[str] | None = None,
) -> Simulation:
    """Say what becomes of a run of `saga` when its attempts end as `faults` says.

    Args:
        saga: the path of a document, its text (more than one line), a saga made by `sagas.definition` or the
            `module:attribute` of one, or a compiled definition.
        input: made from the document's schema when not given; of a choreography the data of the event that begins
            the run, made from what its expressions read.
        faults: by `step`, `step.compensation` or `step.probe`: one of succeeded, rejected, failed, unknown
            and worker_lost (of a probe also not_done) for every attempt; a list for one attempt after the other; or
            `{"outcome": …, "attempt"?: n, "output"?: …, "happened"?: bool}`.
        orders: what people order: `{"verb": "cancel", "at_s": 3}`, `{"verb": "cancel", "during": "pay"}`;
            without a time, when nothing more happens by itself. To a choreography also events from outside:
            `{"verb": "event", "type": "payment.taken", "data"?: …, "at_s"?: 3}`, or with `"early": true` before the
            run begins.
        atomic: names of actions that are atomic; None asks Django's registry of actions, if Django is up.
        reads_only: names of actions that change nothing; None likewise.

    Raises:
        DocumentWrongError: the document cannot be read, or has problems.
        SimulationInvalidError: input, faults or orders cannot be used.
    """
    definition = saga if isinstance(saga, Definition) else _read(saga, atomic, reads_only)
    value = example_input(definition) if input is _MISSING else input
    return simulate_definition(definition, value, faults, orders=orders)


def _read(saga: str | Path | Saga, atomic: Iterable[str] | None, reads_only: Iterable[str] | None) -> Definition:
    try:
        text = _text(saga)
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentWrongError(f"{saga} cannot be read (from {Path.cwd()}): {error}") from None
    except DefinitionError as error:
        raise DocumentWrongError(str(error)) from error
    facts = _facts(atomic, reads_only)
    checked: Checked = check_source(text, facts)
    if checked.document is None:
        raise DocumentWrongError("\n".join(str(problem) for problem in checked.problems))
    return compile_document(checked.document, facts)


def _text(saga: str | Path | Saga) -> str:
    if isinstance(saga, Saga):
        return saga.as_text()
    if isinstance(saga, str) and "\n" in saga:
        return saga
    if isinstance(saga, str) and is_named(saga) and not Path(saga).exists():
        return import_saga(saga).as_text()
    return Path(saga).read_text(encoding="utf-8-sig")


def _facts(atomic: Iterable[str] | None, reads_only: Iterable[str] | None) -> Mapping[str, ActionFacts]:
    if atomic is None and reads_only is None:
        apps = getattr(sys.modules.get("django.apps"), "apps", None)
        if apps is None or not apps.ready:
            return {}
        from sagas.participants import registry

        return registry.facts()
    atomic, reads_only = frozenset(atomic or ()), frozenset(reads_only or ())
    return {name: ActionFacts(name in atomic, name in reads_only) for name in atomic | reads_only}
