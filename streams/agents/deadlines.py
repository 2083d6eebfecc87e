"""A partition's deadlines: open holds and parked intents, in the order in which they fall due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge

from sortedcontainers import SortedList

from streams.ledger.rows import HoldRow, ParkedRow
from streams.ledger.state import Due

Entry = tuple[int, bytes, str, int]
"""(deadline, transfer id, account, sequence of a parked intent or 0 for a hold): sorts as the ledger wants it."""
Key = tuple[bytes, int]
"""What has one deadline: a hold (id, 0), or a parked intent (id, sequence)."""

NEVER = 2**63 - 1


class Deadlines:
    """An index over the tables ``holds`` and ``parked``, made anew when a partition is restored.

    A batch's changes are kept apart until its transaction has committed, so that an abort is only a matter of
    forgetting them; the index never runs ahead of the tables, nor behind them.
    """

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._sorted: SortedList = SortedList()
        self._changes: dict[Key, Entry | None] = {}
        self._added: SortedList = SortedList()
        self._not_before = NEVER
        """No deadline is earlier. May be too early after a removal: then one look finds nothing and mends it."""
        self.earliest = NEVER
        """The earliest deadline that is committed, in microseconds; NEVER if there is none. Any thread may read it."""

    def restore(
        self, holds: Iterable[tuple[bytes, HoldRow]], parked: Iterable[tuple[tuple[str, int], ParkedRow]]
    ) -> None:
        """Fill the empty index from the tables."""
        for id_, hold in holds:
            self.hold(id_, hold)
        for (account, sequence), row in parked:
            self.park(account, sequence, row)
        self.commit()

    def hold(self, id_: bytes, row: HoldRow | None) -> None:
        """Note a hold as it is now; None: it is gone. One that is closing has no deadline.

        One with nothing open has: what a refused capture brings back after the expiry must be released, not held.
        """
        live = row is not None and not row.closing
        self._set((id_, 0), (row.expires, id_, row.account, 0) if row is not None and live else None)

    def park(self, account: str, sequence: int, row: ParkedRow) -> None:
        """Note a parked intent."""
        self._set((row.transfer, sequence), (row.deadline, row.transfer, account, sequence))

    def unpark(self, transfer: bytes, sequence: int) -> None:
        """Note that a parked intent is parked no more."""
        self._set((transfer, sequence), None)

    def _set(self, key: Key, entry: Entry | None) -> None:
        self._changes[key] = entry
        if entry is not None:
            self._added.add(entry)
            self._not_before = min(self._not_before, entry[0])

    def _now(self, key: Key) -> Entry | None:
        return self._changes[key] if key in self._changes else self._entries.get(key)

    def due(self, time: int, limit: int) -> Sequence[Due]:
        """At most ``limit`` deadlines at or before ``time`` (microseconds), the earliest first, ids ascending."""
        if time < self._not_before:
            return ()
        found: list[Due] = []
        previous: Entry | None = None
        for entry in merge(self._sorted, self._added):
            deadline, id_, account, sequence = entry
            if entry == previous or self._now((id_, sequence)) != entry:
                continue
            previous = entry
            if deadline > time or len(found) == limit:
                self._not_before = min(deadline, found[0].deadline) if found else deadline
                return found
            found.append(Due(deadline, id_, account, sequence or None))
        self._not_before = found[0].deadline if found else NEVER
        return found

    def commit(self) -> None:
        """The batch is in Kafka: its changes are the index from now on."""
        if not self._changes:
            return
        for key, entry in self._changes.items():
            before = self._entries.pop(key, None)
            if before is not None:
                self._sorted.remove(before)
            if entry is not None:
                self._entries[key] = entry
                self._sorted.add(entry)
        self.earliest = self._sorted[0][0] if self._sorted else NEVER
        self.abort()

    def abort(self) -> None:
        """Forget the batch's changes."""
        self._changes = {}
        self._added = SortedList()
        self._not_before = self.earliest
