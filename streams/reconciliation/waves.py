"""Questions that only the end of the topics can answer, without a clock.

An effect is written after its cause is committed, and a row in the same transaction as its journal record. So what
is missing when a question is asked lies below the ends that the topics have *then*, open transactions included. Once
all of that has been read, what is still missing does not exist: no waiting time has to be guessed, and a slow
partition, a paused broker or an open transaction raises no false alarm.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.reconciliation.accounts import Account
from streams.reconciliation.breaks import Breaks
from streams.reconciliation.journal import Journal
from streams.reconciliation.tables import Tables
from streams.reconciliation.transfers import Key


class Questions(NamedTuple):
    """What seems to be missing at one moment."""

    uncaused: list[Key]
    """Steps of transfers whose cause was not read."""
    suspects: list[Account]
    """Accounts whose table row seems missing or behind."""
    journal: list[int]
    """Sequences that each journal partition must have, since the tables or Postgres have them."""
    tables: list[int]
    """Sequences that each partition of the tables must have, since the journal has them."""


class Waves:
    """Asks, waits for the ends, answers; one wave of questions at a time."""

    def __init__(self, journal: Journal, tables: Tables, breaks: Breaks) -> None:
        self._journal, self._tables, self._breaks = journal, tables, breaks
        self._asked: Questions | None = None
        self._ends: tuple[list[int], list[int]] | None = None

    @property
    def asking(self) -> bool:
        """Whether a wave is under way."""
        return self._asked is not None

    def questions(self, sink: dict[int, int]) -> Questions | None:
        """The questions of a new wave, with the sink's positions; None while one is under way or nothing is missing.

        After this the ends of journal and changelog are to be fetched, and given to :meth:`ask`.
        """
        if self._asked is not None:
            return None
        parts = self._journal.partitions
        seen = [waiting.seen for waiting in self._tables.waiting]
        journal = [max(seen[part.number], sink.get(part.number, 0)) for part in parts]
        tables = [part.sequence for part in parts]
        asked = Questions(list(self._journal.transfers.uncaused), self._tables.suspects(), journal, tables)
        missing = any(part.sequence < journal[part.number] or part.sequence > seen[part.number] for part in parts)
        return asked if missing or asked.uncaused or asked.suspects else None

    def ask(self, questions: Questions, journal_ends: list[int], changelog_ends: list[int]) -> None:
        """Begin a wave. The ends are of a moment after the questions."""
        self._asked, self._ends = questions, (journal_ends, changelog_ends)

    def answer(self, journal_read: list[int], changelog_read: list[int]) -> None:
        """End the wave if both topics were read up to its ends: what is still missing is a break."""
        if self._asked is None or self._ends is None:
            return
        for read, ends in zip((journal_read, changelog_read), self._ends, strict=True):
            if any(have < end for have, end in zip(read, ends, strict=True)):
                return
        asked, self._asked = self._asked, None
        self._journal.transfers.never_caused(asked.uncaused)
        self._tables.never_came(asked.suspects)
        for part, waiting in zip(self._journal.partitions, self._tables.waiting, strict=True):
            number = part.number
            self._reaches("journal_behind", number, asked.journal[number], part.sequence)
            self._reaches("tables_behind", number, asked.tables[number], waiting.seen)

    def _reaches(self, kind: str, partition: int, expected: int, found: int) -> None:
        if found < expected:
            self._breaks.add(kind, partition, expected=f"sequence {expected}", found=f"sequence {found} at the end")
        else:
            self._breaks.repaired(kind, partition, 0)
