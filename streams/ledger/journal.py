"""The journal record: the complete account of one decision. Folding a partition's journal gives its tables."""

from __future__ import annotations

from typing import NamedTuple

from streams.ledger.rows import Position
from streams.ledger.vocabulary import Kind, Outcome


class Posting(NamedTuple):
    """One line of an entry. Both sides are positive amounts."""

    account: str
    side: str
    """DEBIT or CREDIT."""
    amount: int
    currency: str


class Figures(NamedTuple):
    """An account's figures after the record."""

    debits_pending: int
    debits_posted: int
    credits_posted: int


class FirstOutcome(NamedTuple):
    """What a DUPLICATE embeds: the first outcome (or the state so far) and where it was written and read."""

    outcome: Outcome
    reason: str | None
    sequence: int
    """Journal sequence, in the same partition, of the record that gave the outcome."""
    input: Position


class DeadLetter(NamedTuple):
    """What is known of an input that could not be decoded."""

    length: int
    sha256: bytes


class JournalRecord(NamedTuple):
    """One decision. See docs/architecture.md for which fields each outcome carries."""

    sequence: int
    """Contiguous in the partition, from 1."""
    time: int
    """Partition time in microseconds."""
    rules: int
    input: Position
    """Whose decision this is."""
    trigger: Position
    """What was being processed (the record that filled a gap, a Tick, ...); often equal to ``input``."""
    ordinal: int
    """Number of this record among those of its trigger, from 0."""
    kind: Kind
    outcome: Outcome
    step: int
    """1 payer, 2 payee, 3 payer; 0 where there are no steps."""
    transfer: bytes | None = None
    """The transfer id: of every intent that takes an idempotency key."""
    pending: int = 0
    account: str | None = None
    """The account of this partition that the record is about."""
    counterparty: str | None = None
    amount: int | None = None
    currency: str | None = None
    reason: str | None = None
    figures: Figures | None = None
    """The account's figures after this record; present exactly when its version changed."""
    entry: tuple[Posting, ...] | None = None
    """The balanced entry, in SETTLED alone: the DEBIT, then the CREDIT."""
    origin: bytes | None = None
    origin_pending: int = 0
    intent: bytes | None = None
    """The intent's wire bytes, in the first record about it that is not a DUPLICATE or refused without a key."""
    first: FirstOutcome | None = None
    dead_letter: DeadLetter | None = None
