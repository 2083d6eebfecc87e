"""All that is compared, in one place: the journal's fold, the tables, Postgres, and what does not agree."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from streams.reconciliation.accounts import POSTGRES, TABLES, Cursor
from streams.reconciliation.breaks import Breaks
from streams.reconciliation.follow import Read
from streams.reconciliation.journal import Journal
from streams.reconciliation.postgres import Postgres
from streams.reconciliation.tables import Tables
from streams.reconciliation.waves import Waves

LATE_SECONDS = 5.0
"""A place that has not been compared at what the journal had this long ago makes the verdict BEHIND."""


def wall_clock() -> int:
    """Now, in microseconds: for reports alone, no comparison depends on it."""
    return time.time_ns() // 1000


class Moment(NamedTuple):
    """What the topics and the fold had come to at one time."""

    time: float
    ends: list[int]
    """End of each journal partition, as offsets."""
    sequences: list[int]
    """Last journal sequence folded."""


class Books:
    """The comparison of one ledger. No I/O: it is fed with what was read."""

    def __init__(self, partitions: int) -> None:
        self.breaks = Breaks(wall_clock)
        tables, postgres = Cursor(TABLES, partitions), Cursor(POSTGRES, partitions)
        self.cursors = (tables, postgres)
        self.journal = Journal(partitions, self.breaks, self.cursors)
        self.tables = Tables(self.journal, tables, self.breaks)
        self.postgres = Postgres(self.journal, postgres, self.breaks, time.monotonic)
        self.waves = Waves(self.journal, self.tables, self.breaks)
        self.journal_read = [0] * partitions
        self.changelog_read = [0] * partitions
        """Offsets up to which both topics were read *and* taken in."""
        self._moments: deque[Moment] = deque()
        self.start_ends: list[int] | None = None
        """Where the journal ended when the reading began."""
        self._target: list[int] | None = None
        """The journal's sequences when it had been read up to there."""

    def take_journal(self, read: Read) -> None:
        """Fold what was read of the journal."""
        for partition, records in read.records.items():
            self.journal.fold(partition, ((offset, value or b"") for offset, _, value in records))
        self.journal_read = read.read_to

    def take_changelog(self, read: Read) -> None:
        """Compare what was read of the tables' changelog."""
        for partition, records in read.records.items():
            self.tables.take(partition, records)
        for partition in read.ended:
            self.tables.read_to_end(partition)
        self.changelog_read = read.read_to

    def catch_up(self) -> None:
        """Compare the rows that waited for the journal."""
        for part in self.journal.partitions:
            self.tables.compare(part.number)
        self.tables.check_sums()

    def remember(self, ends: list[int]) -> None:
        """Note the journal's ends as they are now: what is behind is measured against what was there a while ago."""
        now = time.monotonic()
        if self.start_ends is None:
            self.start_ends = ends
        if self._target is None and self.rebuilt():
            self._target = [part.sequence for part in self.journal.partitions]
            self._moments.clear()
        self._moments.append(Moment(now, ends, [part.sequence for part in self.journal.partitions]))
        while len(self._moments) > 1 and self._moments[1].time <= now - LATE_SECONDS:
            self._moments.popleft()

    def rebuilt(self) -> bool:
        """Whether all that the journal held at the start has been folded."""
        return self.start_ends is not None and all(
            a >= b for a, b in zip(self.journal_read, self.start_ends, strict=True)
        )

    def notices(self) -> list[str]:
        """Why not everything that exists has been compared; empty: it has (but for the last seconds)."""
        if not self.rebuilt():
            done, end = sum(self.journal_read), sum(self.start_ends or [])
            return [f"reading the journal from its start: {done:,} of {end:,} offsets"]
        then = self._moments[0]
        found = []
        if any(a < b for a, b in zip(self.journal_read, then.ends, strict=True)):
            found.append(f"the journal is read slower than it is written: {self.lag():,} offsets are left")
        tables, postgres = self.cursors
        for name, cursor in (("the tables", tables), ("Postgres", postgres)):
            late = [p for p, have in enumerate(cursor.positions) if have < then.sequences[p] or cursor.blind[p]]
            if late:
                found.append(f"{name}: not compared up to the journal in partitions {late}")
        if self.postgres.behind:
            found.append(
                f"Postgres: its positions in partitions {sorted(self.postgres.behind)} are before those compared "
                "already; it was put back to an older copy, or is far behind"
            )
        if self.tables.suspects():
            found.append(f"the tables: {len(self.tables.suspects())} rows are still to be read")
        if self.postgres.age() is None:
            found.append("Postgres: not every row was compared yet")
        return found

    def settled(self) -> bool:
        """Whether everything that was there at the start has been compared, and no question about it is open."""
        if self._target is None or self.journal.transfers.uncaused or self.tables.suspects() or self.waves.asking:
            return False
        return all(
            have >= target
            for cursor in self.cursors
            for have, target in zip(cursor.positions, self._target, strict=True)
        )

    def lag(self) -> int:
        """Offsets of the journal that are not read yet, of those known."""
        if not self._moments:
            return 0
        return sum(max(0, b - a) for a, b in zip(self.journal_read, self._moments[-1].ends, strict=True))
