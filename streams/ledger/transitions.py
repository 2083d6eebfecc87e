"""The states of an intent and what may follow each: the one table that every change of a TransferRow is held to."""

from __future__ import annotations

from streams.ledger.vocabulary import Outcome

TRANSITIONS: dict[Outcome | None, frozenset[Outcome]] = {
    None: frozenset({Outcome.PARKED, Outcome.PENDING, Outcome.APPLIED, Outcome.REJECTED}),
    Outcome.PARKED: frozenset({Outcome.PENDING, Outcome.APPLIED, Outcome.REJECTED}),
    Outcome.PENDING: frozenset({Outcome.POSTED, Outcome.COMPENSATED}),
    Outcome.APPLIED: frozenset(),
    Outcome.REJECTED: frozenset(),
    Outcome.POSTED: frozenset(),
    Outcome.COMPENSATED: frozenset(),
}
"""None is an id that is not known, or no longer: its key has expired."""
