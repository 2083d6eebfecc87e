"""Digests of the journal in blocks of sequence numbers: cold rows of Postgres are compared without keeping them.

Each record gives a line of text; Postgres gives the same lines (:mod:`streams.reconciliation.postgres`) and hashes
them itself. Equal MD5 means equal rows: it finds faults and tampering, no one chooses both sides of a collision here.
"""

from __future__ import annotations

from binascii import hexlify
from bisect import bisect_right
from hashlib import md5
from typing import Any, NamedTuple

BLOCK = 4096
"""Journal records a block."""

YEAR_2000 = 946_684_800_000_000
"""The epoch of Postgres, in microseconds of ours."""
SIXTY_FOUR_BITS = 2**64 - 1

NAMELESS = frozenset({b"REJECTED", b"DUPLICATE", b"PARKED", b"DEAD_LETTERED", b"TICKED"})
"""Outcomes whose texts are what a client sent, valid or not: Postgres shows them cut, so they are left out."""


class Digests(NamedTuple):
    """MD5 in hex over the lines of the records of a range, one for each append-only table."""

    events: str
    entries: str
    postings: str


class Range(NamedTuple):
    """Journal sequences ``first`` to ``last`` of a partition, their digests, and where to read them again."""

    partition: int
    first: int
    last: int
    digests: Digests
    offset: int
    """Offset of the first of the records in the journal."""


class Lines:
    """The lines of a range of records."""

    __slots__ = ("entries", "events", "postings")

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.entries: list[bytes] = []
        self.postings: list[bytes] = []

    def add(self, record: tuple[Any, ...]) -> None:
        """Add the lines of one record (the fields of :data:`streams.reconciliation.journal.WANTED`)."""
        (
            sequence,
            time,
            kind,
            outcome,
            step,
            transfer,
            pending,
            account,
            other,
            amount,
            currency,
            reason,
            figures,
            entry,
        ) = record
        transfer = hexlify(transfer) if transfer is not None else b""
        if outcome in NAMELESS:
            account = other = currency = b""
        moment = (time - YEAR_2000) & SIXTY_FOUR_BITS
        line: tuple[Any, ...] = (sequence, moment, kind, outcome, step, transfer, pending)
        names = (account or b"", other or b"", currency or b"")
        if amount is None or figures is None:
            much = b"" if amount is None else b"%d" % amount
            shown = b"||" if figures is None else b"%d|%d|%d" % figures
            rest: tuple[Any, ...] = (much, reason or b"", shown)
            self.events.append(b"%d|%016x|%b|%b|%d|%b|%d|%b|%b|%b|%b|%b|%b" % (line + rest + names))
        else:
            moved: tuple[Any, ...] = (amount, reason or b"", *figures)
            self.events.append(b"%d|%016x|%b|%b|%d|%b|%d|%d|%b|%d|%d|%d|%b|%b|%b" % (line + moved + names))
        if entry is not None:
            self.entries.append(b"%d|%b|%b|%016x" % (sequence, transfer, kind, moment))
            self.postings.extend(
                b"%d|%b|%b|%d|%b" % (sequence, who, side[:1], much, unit) for who, side, much, unit in entry
            )

    def up_to(self, sequence: int) -> Lines:
        """The lines of the records up to ``sequence``."""
        cut = Lines()
        cut.events = self.events[: bisect_right(self.events, sequence, key=_sequence)]
        cut.entries = self.entries[: bisect_right(self.entries, sequence, key=_sequence)]
        cut.postings = self.postings[: bisect_right(self.postings, sequence, key=_sequence)]
        return cut

    def digests(self) -> Digests:
        """The digests of all lines."""
        return Digests(_digest(self.events), _digest(self.entries), _digest(self.postings))


def _sequence(line: bytes) -> int:
    return int(line[: line.index(b"|")])


def _digest(lines: list[bytes]) -> str:
    return md5(b"\n".join(lines), usedforsecurity=False).hexdigest()


class Blocks:
    """The blocks of one partition: digests of the full ones, lines of the one being filled."""

    __slots__ = ("_closed", "_lines", "_partition", "_starts")

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._closed: list[Digests] = []
        self._starts: list[int] = []
        self._lines = Lines()

    def add(self, record: tuple[Any, ...], offset: int) -> None:
        """Add one record, which stands at ``offset`` of the journal. Sequences ascend; gaps are possible."""
        number = (record[0] - 1) // BLOCK
        while number > len(self._closed):
            if len(self._starts) == len(self._closed):
                self._starts.append(offset)
            self._closed.append(self._lines.digests())
            self._lines = Lines()
        if len(self._starts) == number:
            self._starts.append(offset)
        self._lines.add(record)

    def full(self, position: int) -> int:
        """How many blocks end at or before sequence ``position``."""
        return min(len(self._closed), position // BLOCK)

    def block(self, number: int) -> Range:
        """A full block; the first one is 0."""
        first = number * BLOCK + 1
        return Range(self._partition, first, first + BLOCK - 1, self._closed[number], self._starts[number])

    def tail(self, position: int) -> Range | None:
        """The part up to ``position`` of the block being filled; None if ``position`` is not in it."""
        number = len(self._closed)
        first = number * BLOCK + 1
        if position < first or number >= len(self._starts):
            return None
        return Range(self._partition, first, position, self._lines.up_to(position).digests(), self._starts[number])
