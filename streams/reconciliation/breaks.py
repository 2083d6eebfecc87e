"""Every kind of break in one table: what it means and what an operator does. docs/reconciliation.md has it too."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

SHOWN = 100
"""How many breaks a report lists; the rest is counted."""

KEPT = 10_000
"""How many breaks are kept: a journal that is wrong from end to end must not fill the memory."""


class Kind(NamedTuple):
    """A kind of break: its code, its meaning, what to do, and whether it goes away once the place is repaired."""

    code: str
    meaning: str
    action: str


STOP = "Stop the workers and the sink; compare the journal with a backup or a mirror of the topic before going on."
REBUILD = "Rebuild Postgres from the journal in a new epoch and make that live; find out who wrote to the old one."
RESTORE = "Stop the partition's worker, delete its store and restore the changelog from the journal."
INQUIRE = (
    "Find the records of this transfer in the journal (`twofold transfer ID`) and the worker version that wrote them."
)

KINDS: dict[str, Kind] = {
    k.code: k
    for k in (
        # the journal by itself
        Kind("journal_gap", "Journal sequence numbers are missing: records were lost.", STOP),
        Kind("journal_repeated", "A journal sequence number comes again: a record was written twice.", STOP),
        Kind(
            "journal_behind",
            "Tables or Postgres hold a sequence that the journal does not reach: its end is lost.",
            STOP,
        ),
        Kind("journal_unreadable", "A journal record is no record of its schema.", STOP),
        Kind("time_went_back", "A partition's time is before that of the record before it.", INQUIRE),
        Kind("entry_missing", "A SETTLED record has no entry.", INQUIRE),
        Kind("entry_unexpected", "A record other than SETTLED has an entry.", INQUIRE),
        Kind(
            "entry_unbalanced",
            "An entry's debits and credits differ in a currency: a lone debit, for instance.",
            INQUIRE,
        ),
        Kind(
            "entry_differs",
            "An entry is not the DEBIT of the payer and the CREDIT of the payee with its record's amount.",
            INQUIRE,
        ),
        Kind("figures_differ", "A record's figures are not those before it plus what it moved.", INQUIRE),
        Kind("figures_missing", "A record that moves money carries no figures.", INQUIRE),
        Kind("figures_unexpected", "A record that moves nothing carries figures.", INQUIRE),
        Kind(
            "figure_negative",
            "An account's figure is below zero: more was posted or released than was reserved.",
            INQUIRE,
        ),
        Kind("currency_differs", "A record's currency is not its account's.", INQUIRE),
        Kind("amount_invalid", "A record that moves money has no positive amount.", INQUIRE),
        Kind("account_unknown", "A record moves money of an account that was never opened.", INQUIRE),
        Kind("account_opened_twice", "An account was opened again.", INQUIRE),
        Kind("account_in_two_partitions", "Records of one account are in two partitions.", STOP),
        # the three steps of a transfer
        Kind("pending_misnumbered", "A PENDING does not carry its own sequence as the transfer's number.", INQUIRE),
        Kind("step_repeated", "A step of a transfer was taken twice: settled twice, posted twice, ...", STOP),
        Kind("step_contradicted", "A transfer is settled and refused, or posted and compensated.", STOP),
        Kind(
            "step_without_cause",
            "A step without the one before it: settled but never pending, posted but never settled.",
            STOP,
        ),
        Kind(
            "step_differs",
            "A step's amount, currency, payer or payee is not that of the transfer's other steps.",
            INQUIRE,
        ),
        # the tables (their changelog)
        Kind(
            "tables_behind",
            "The changelog was read to its end and lacks what the journal has: its end is lost.",
            RESTORE,
        ),
        Kind("table_row_missing", "An account of the journal has no row in the table.", RESTORE),
        Kind("table_row_behind", "A table row lacks changes that its partition's position has passed.", RESTORE),
        Kind("table_row_differs", "A table row has the journal's version but other figures.", RESTORE),
        Kind("table_row_ahead", "A table row has a version that the journal does not give this account.", RESTORE),
        Kind("table_row_unknown", "A table row of an account that the journal never opened.", RESTORE),
        Kind("table_row_deleted", "An account's row was deleted from the table; accounts are for ever.", RESTORE),
        Kind("table_row_unreadable", "A table row is no record of its schema.", RESTORE),
        Kind("table_sums_differ", "The sums over the table's rows are not those of the journal.", RESTORE),
        # Postgres
        Kind("postgres_balance_missing", "An account of the journal has no row in account_balances.", REBUILD),
        Kind("postgres_balance_behind", "A balance lacks changes that the sink's position has passed.", REBUILD),
        Kind(
            "postgres_balance_differs",
            "A balance has the journal's version but other figures, currency or partition.",
            REBUILD,
        ),
        Kind("postgres_balance_ahead", "A balance has a version that the journal does not give this account.", REBUILD),
        Kind("postgres_balance_unknown", "A balance of an account that the journal never opened.", REBUILD),
        Kind(
            "postgres_sums_differ",
            "The sums over account_balances are not Σ SETTLED, Σ POSTED and what is pending.",
            REBUILD,
        ),
        Kind("postgres_event_missing", "A journal record has no row in transfer_events.", REBUILD),
        Kind("postgres_event_differs", "A row of transfer_events is not its journal record.", REBUILD),
        Kind("postgres_event_unexpected", "A row of transfer_events without a journal record.", REBUILD),
        Kind("postgres_entry_missing", "A SETTLED record has no row in entries.", REBUILD),
        Kind("postgres_entry_differs", "A row of entries is not its journal record.", REBUILD),
        Kind("postgres_entry_unexpected", "A row of entries without a SETTLED record.", REBUILD),
        Kind("postgres_postings_missing", "An entry lacks postings: a lone debit, or none at all.", REBUILD),
        Kind(
            "postgres_postings_differ",
            "An entry's postings are not those of the journal: a changed amount, account or side.",
            REBUILD,
        ),
        Kind(
            "postgres_postings_unexpected",
            "Postings that the journal does not have: repeated or invented ones.",
            REBUILD,
        ),
    )
}


class Break(NamedTuple):
    """One thing that does not agree. ``partition`` -1: everywhere; ``sequence`` 0: no one record."""

    kind: str
    partition: int
    sequence: int
    account: str
    expected: str
    found: str
    since: int
    """When it was found: wall clock, microseconds."""

    @property
    def explanation(self) -> str:
        """The meaning of its kind."""
        return KINDS[self.kind].meaning


class Breaks:
    """The breaks that stand. One place breaks once: what it breaks again is the same break.

    A break of the journal stands for ever, since the journal does not change. A break between the journal and a row
    is taken back by :meth:`repaired` once the row agrees.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._standing: dict[Hashable, Break] = {}
        self._beyond = 0

    def add(
        self, kind: str, partition: int, *, sequence: int = 0, account: str = "", expected: object, found: object
    ) -> None:
        """Add one; the place is the account, or the sequence where there is none."""
        assert kind in KINDS, kind
        place = (kind, partition, account or sequence)
        if place in self._standing:
            return
        if len(self._standing) >= KEPT:
            self._beyond += 1
        else:
            self._standing[place] = Break(kind, partition, sequence, account, str(expected), str(found), self._clock())

    def repaired(self, kinds: str, partition: int, place: str | int) -> None:
        """Take back the breaks of the kinds that begin with ``kinds`` at one account or sequence."""
        for key in [
            (kind, partition, place)
            for kind in KINDS
            if kind.startswith(kinds) and (kind, partition, place) in self._standing
        ]:
            del self._standing[key]

    def __len__(self) -> int:
        return len(self._standing) + self._beyond

    def of(self, kinds: str) -> list[Break]:
        """Those whose kind begins with ``kinds``."""
        return [b for b in self._standing.values() if b.kind.startswith(kinds)]

    def shown(self) -> list[Break]:
        """The first ones found, as many as a report lists."""
        return list(self._standing.values())[:SHOWN]
