"""The actions of the example companies: three kinds, used by all sagas in `definitions/`.

They bear what participants must bear: asked twice, asked to undo what never
happened, asked too late. The barrier does it for the plain ones, the journal's own
transaction for the `atomic` ones.
"""

from __future__ import annotations

from business import bookings, ledger, records

__all__ = ["bookings", "ledger", "records"]
