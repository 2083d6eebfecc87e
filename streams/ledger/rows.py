"""The rows of a partition's tables: immutable values, replaced whole. Times are microseconds of partition time."""

from __future__ import annotations

from typing import NamedTuple

from streams.ledger.intents import Intent
from streams.ledger.vocabulary import Input, Kind, Outcome, Status


class Position(NamedTuple):
    """Where an input record stands. ``leg`` is the index in a packed legs record, 0 for an intent."""

    topic: Input
    partition: int
    offset: int
    leg: int = 0


class Parameters(NamedTuple):
    """What ``decide`` depends on beside the tables. Changed by a Configure intent alone."""

    rules: int = 1
    window_seconds: int = 30 * 86_400
    """How long a final idempotency key is kept, and how long a settled transfer can be reversed."""
    park_seconds: int = 60
    """How long an early intent waits for the gap before it."""
    park_limit: int = 64
    """How many intents of one account may be parked."""


class PartitionRow(NamedTuple):
    """The partition itself: one row."""

    partition: int
    sequence: int = 0
    """Journal sequence of the last record written; the first record is 1."""
    time: int = 0
    """Partition time: the largest append time of its intents records, in microseconds."""
    parameters: Parameters = Parameters()


class AccountRow(NamedTuple):
    """An account's figures, state and limits. balance = credits_posted - debits_posted."""

    currency: str
    status: Status = Status.OPEN
    debits_pending: int = 0
    debits_posted: int = 0
    credits_posted: int = 0
    version: int = 0
    """Journal sequence (of its own partition) of the last change of the figures, status or limits."""
    next_sequence: int = 1
    parked: int = 0
    minimum_balance: int | None = 0
    maximum_balance: int | None = None
    velocity_amount: int | None = None
    velocity_count: int | None = None
    velocity_window_seconds: int = 86_400


class VelocityRow(NamedTuple):
    """Debits of an account in the current window, in 60 fixed buckets: (bucket number, amount, count), ascending."""

    width: int
    """Microseconds a bucket: window / 60, at least 1. Rows of another width are dropped."""
    buckets: tuple[tuple[int, int, int], ...]


class TransferRow(NamedTuple):
    """The idempotency key of an intent and, for one that moves money, the payer's side of the transfer."""

    intent: Intent
    kind: Kind
    state: Outcome
    """PARKED, PENDING, or the final POSTED, COMPENSATED, REJECTED, APPLIED."""
    reason: str | None
    input: Position
    """The input record of the intent."""
    decided: int
    """Journal sequence of the record that gave ``state``."""
    pending: int = 0
    """Journal sequence of the PENDING (or of a hold's APPLIED); 0 where there is none."""
    payee: str = ""
    amount: int = 0
    """As decided: the resolved amount of a capture, release or reversal."""
    currency: str = ""
    origin: bytes = b""
    """The hold of a capture, the original of a reversal; empty otherwise."""
    origin_pending: int = 0
    bucket: int = -1
    """The velocity bucket that was charged, or -1."""
    bucket_width: int = 0
    expires: int = 0
    """Absolute expiry in partition time; 0 while not final: never."""


class SettledTransfer(NamedTuple):
    """The payee's side of one settled transfer, for reversals. reversing + reversed <= amount."""

    pending: int
    kind: Kind
    payer: str
    payee: str
    amount: int
    currency: str
    reversing: int
    reversed: int
    expires: int


SettledRow = tuple[SettledTransfer, ...]
"""All unexpired occurrences of one transfer id, ascending by time: an id that comes back overwrites nothing."""


class HoldRow(NamedTuple):
    """A hold with anything open or capturing. open + capturing + captured + released = amount."""

    pending: int
    account: str
    payee: str | None
    currency: str
    amount: int
    open: int
    capturing: int
    captured: int
    released: int
    expires: int
    closing: bool = False
    """Expired or released whole: what a refused capture brings back is released."""


class ParkedRow(NamedTuple):
    """An early intent that waits for the gap before it. Key: (account, sequence)."""

    transfer: bytes
    intent: Intent
    input: Position
    deadline: int
