"""Legs: the messages between the partitions of a transfer. Known by (transfer, pending, kind), never by packing."""

from __future__ import annotations

from typing import NamedTuple

from streams.ledger.vocabulary import Kind, LegKind


class Leg(NamedTuple):
    """One leg. ``pending`` is the journal sequence of the transfer's PENDING in the payer's partition."""

    kind: LegKind
    transfer: bytes
    pending: int
    transfer_kind: Kind
    """TRANSFER, CAPTURE or REVERSE."""
    payer: str
    payee: str
    amount: int
    currency: str
    reason: str | None = None
    """Why the payee was not credited (REFUSED only)."""
