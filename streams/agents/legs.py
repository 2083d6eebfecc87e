"""Legs between partitions: packed on the way out, their numbers checked on the way in.

Every leg from one partition to another has a number, from 1, without gaps. The next number is kept in both
partitions' tables (``legs_out`` at the source, ``legs_in`` at the destination), each in the transaction that wrote or
applied the leg: a torn transaction of either side shows as a gap or a repeat, never as lost or doubled money.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streams.agents.codec import LedgerCodec, PackedLegs
from streams.agents.routing import Routes
from streams.engine.table import PartitionTables
from streams.ledger.legs import Leg

FIRST = 1
MOST_LEGS = 256
MOST_BYTES = 512 * 1024

Emit = Callable[[int, bytes], None]
"""Writes one packed record to a partition of the legs topic."""


class Outgoing:
    """The legs that leave one partition in one batch."""

    def __init__(self, source: int, tables: PartitionTables, routes: Routes, codec: LedgerCodec, emit: Emit) -> None:
        self._source = source
        self._next = tables.table("legs_out")
        self._routes = routes
        self._codec = codec
        self._emit = emit
        self._waiting: dict[int, list[Leg]] = {}

    def add(self, account: str, leg: Leg) -> None:
        """Send a leg to the partition of ``account``; it leaves when its record is full, or with :meth:`flush`."""
        destination = self._routes[account]
        waiting = self._waiting.get(destination)
        if waiting is None:
            waiting = self._waiting[destination] = []
        waiting.append(leg)
        if len(waiting) == MOST_LEGS:
            self._send(destination, waiting)
            self._waiting[destination] = []

    def flush(self) -> None:
        """Send what waits."""
        for destination, waiting in self._waiting.items():
            if waiting:
                self._send(destination, waiting)
        self._waiting = {}

    def _send(self, destination: int, legs: Sequence[Leg]) -> None:
        first = self._next.get(destination) or FIRST
        for number, value in self._packed(first, legs):
            self._emit(destination, value)
            first = number
        self._next.put(destination, first)

    def _packed(self, first: int, legs: Sequence[Leg]) -> Iterator[tuple[int, bytes]]:
        """The records for ``legs``, each with the number that follows it. Halved until a record is small enough."""
        value = self._codec.encode_legs(self._source, first, legs)
        if len(value) <= MOST_BYTES or len(legs) == 1:
            yield first + len(legs), value
            return
        half = len(legs) // 2
        yield from self._packed(first, legs[:half])
        yield from self._packed(first + half, legs[half:])


class Incoming:
    """The numbers of the legs that reach one partition."""

    def __init__(self, tables: PartitionTables) -> None:
        self._next = tables.table("legs_in")

    def fault(self, packed: PackedLegs, index: int) -> str | None:
        """Why the record's leg ``index`` is not the next of its source, or None if it is."""
        expected = self._next.get(packed.source) or FIRST
        found = packed.first + index
        if found == expected:
            return None
        what = "were applied before" if found < expected else "are missing"
        between = f"{min(found, expected)} to {max(found, expected) - 1}"
        return f"legs {between} from partition {packed.source} {what}: expected number {expected}, found {found}"

    def advance(self, source: int, number: int) -> None:
        """The leg ``number`` is the next one to come from ``source``; a repeat that was let pass takes nothing back."""
        self._next.put(source, max(number, self._next.get(source) or FIRST))

    def one_more(self, source: int) -> None:
        """One leg of ``source`` is done, though its number could not be read."""
        self._next.put(source, (self._next.get(source) or FIRST) + 1)
