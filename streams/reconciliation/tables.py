"""The tables, as their changelog gives them, compared with the journal at the position of each partition's own row.

Every transaction of a worker writes the partition's row (with the journal sequence that it reached) beside the rows
that it changed, in any order. So the rows up to a partition row are complete when the next one is read, or when the
changelog was read to its end; then the rows of versions up to it are applied and compared.

Compaction takes away old rows, never the newest of a key. A row that seems behind may therefore be one whose newer
version is still to be read: it is a break only once all that the changelog held at that moment has been read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from streams.reconciliation.accounts import Account, Cursor, Figures, Sums
from streams.reconciliation.breaks import Breaks
from streams.reconciliation.journal import Journal
from streams.reconciliation.wire import HEADER, Decoder, UnreadableRecord

PARTITION_TAG, ACCOUNTS_TAG = 1, 2
"""First byte of the keys of the two tables that are read: part of the stored format."""

ACCOUNT_FIELDS = ("version", "debits_pending", "debits_posted", "credits_posted", "currency")
PARTITION_FIELDS = ("sequence",)
MOST_ROWS = 50_000
"""Rows of one partition that may wait for the journal; more are not read before it has come nearer."""

Row = tuple[bytes, int, Figures | None, bytes]
"""(account, version, figures or None for a tombstone, currency)."""


class Waiting:
    """What was read of one partition's changelog and not compared yet."""

    __slots__ = ("confirmed", "ended", "rows", "seen", "suspects")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.seen = 0
        """Journal sequence of the newest partition row."""
        self.confirmed: deque[int] = deque()
        """Journal sequences up to which all rows were read: each an end of a transaction, ascending."""
        self.ended = False
        """Nothing followed the newest partition row's transaction when the changelog was last read."""
        self.suspects: set[Account] = set()
        """Accounts whose row seems missing or behind."""


class Tables:
    """The rows of all partitions beside the journal's fold."""

    def __init__(self, journal: Journal, cursor: Cursor, breaks: Breaks) -> None:
        self._journal, self._cursor, self._breaks = journal, cursor, breaks
        self.waiting = [Waiting() for _ in journal.partitions]
        self.sums: dict[bytes, Sums] = {}
        """Sums of the rows that were applied, by currency."""
        self.decoders: dict[int, dict[bytes, Decoder]] = {ACCOUNTS_TAG: {}, PARTITION_TAG: {}}
        """By table and the value's first five bytes; filled by whoever feeds rows, like :attr:`Journal.decoders`."""

    def take(self, partition: int, records: Iterable[tuple[int, bytes | None, bytes | None]]) -> None:
        """Changelog records of one partition, each an (offset, key, value), in their order."""
        waiting = self.waiting[partition]
        waiting.ended = False
        for offset, key, value in records:
            tag = key[0] if key else 0
            if tag != ACCOUNTS_TAG and tag != PARTITION_TAG:
                continue
            assert key is not None
            if value is None:
                waiting.rows.append(self._tombstone(waiting, key[1:]))
                continue
            try:
                fields = self.decoders[tag][value[:HEADER]](value)
            except (UnreadableRecord, KeyError) as error:
                self._breaks.add(
                    "table_row_unreadable",
                    partition,
                    sequence=offset,
                    expected=f"a row at offset {offset}",
                    found=error,
                )
                continue
            if tag == ACCOUNTS_TAG:
                version, pending, debits, credits, currency = fields
                waiting.rows.append((key[1:], version, (version, (pending, debits, credits)), currency))
            elif fields[0] > waiting.seen:
                if waiting.seen:
                    waiting.confirmed.append(waiting.seen)
                waiting.seen = fields[0]
        self.compare(partition)

    def read_to_end(self, partition: int) -> None:
        """The changelog has been read to its end: the rows up to the newest partition row are complete."""
        self.waiting[partition].ended = True
        self.compare(partition)

    def compare(self, partition: int) -> None:
        """Apply the rows that are complete, if the journal is far enough, and compare them."""
        waiting = self.waiting[partition]
        reached = self._journal.partitions[partition].sequence
        position = self._cursor.positions[partition]
        at_end = waiting.ended and waiting.seen <= reached
        confirmed = waiting.confirmed
        complete = 0
        while confirmed and confirmed[0] <= reached:
            complete = confirmed.popleft()
        if at_end:
            complete = waiting.seen
        if self._cursor.comparable(partition, complete):
            position = complete
        changed = self._cursor.advance(partition, position)
        self._apply(partition, waiting, position, at_end, changed)
        for account in changed:
            found, expected = account.row, account.at[self._cursor.place]
            if found == expected:
                waiting.suspects.discard(account)
                self._breaks.repaired("table_row", partition, str(account))
            elif found is None or expected is None or found[0] < expected[0]:
                waiting.suspects.add(account)
            else:
                kind = "table_row_differs" if found[0] == expected[0] else "table_row_ahead"
                self._broken(kind, account, expected, found)

    def position(self, partition: int) -> int:
        """Journal sequence at which the rows of a partition were last compared."""
        return self._cursor.positions[partition]

    def suspects(self) -> list[Account]:
        """The accounts whose row seems missing or behind."""
        return [account for waiting in self.waiting for account in waiting.suspects]

    def never_came(self, accounts: Iterable[Account]) -> None:
        """All of the changelog was read that could hold their rows: those that are still suspect are breaks."""
        coming = [{row[0] for row in waiting.rows} for waiting in self.waiting]
        for account in accounts:
            if account.name in coming[account.partition]:
                continue
            suspects = self.waiting[account.partition].suspects
            expected, found = account.at[self._cursor.place], account.row
            if account in suspects and expected is not None and found != expected:
                kind = "table_row_missing" if found is None else "table_row_behind"
                self._broken(kind, account, expected, found)
            suspects.discard(account)

    def full(self, partition: int) -> bool:
        """Whether as many rows wait for the journal as may."""
        return len(self.waiting[partition].rows) >= MOST_ROWS

    def check_sums(self) -> None:
        """Compare the sums of the rows with the journal's at the same positions."""
        if any(self._cursor.blind) or any(waiting.suspects for waiting in self.waiting):
            return
        for currency, expected in self._cursor.sums.items():
            found = self.sums.get(currency, Sums())
            name = currency.decode(errors="replace")
            if found != expected:
                self._breaks.add("table_sums_differ", -1, account=name, expected=expected, found=found)
            else:
                self._breaks.repaired("table_sums_differ", -1, name)

    def _apply(self, partition: int, waiting: Waiting, position: int, at_end: bool, changed: set[Account]) -> None:
        later: list[Row] = []
        for row in waiting.rows:
            name, version, figures, currency = row
            if version > position and not at_end:
                later.append(row)
                continue
            account = self._journal.accounts.get(name)
            if figures is None:
                shown_name = name.decode(errors="replace") or "(the partition itself)"
                self._breaks.add(
                    "table_row_deleted", partition, account=shown_name, expected="a row", found="a tombstone"
                )
                if account is not None:
                    account.row = None
                    changed.add(account)
                continue
            if account is None or account.partition != partition:
                self._breaks.add(
                    "table_row_unknown",
                    partition,
                    account=name.decode(errors="replace"),
                    expected="no row",
                    found=figures,
                )
                continue
            sums = self.sums.get(currency)
            if sums is None:
                sums = self.sums[currency] = Sums()
            sums.move(account.row, figures)
            account.row = figures
            changed.add(account)
        waiting.rows = later

    def _tombstone(self, waiting: Waiting, name: bytes) -> Row:
        """A deletion, in its place behind the rows of the same account that wait."""
        version = max((row[1] for row in waiting.rows if row[0] == name), default=0)
        return name, version, None, b""

    def _broken(self, kind: str, account: Account, expected: Figures | None, found: Figures | None) -> None:
        self._breaks.add(
            kind,
            account.partition,
            sequence=0 if expected is None else expected[0],
            account=str(account),
            expected=shown(expected),
            found=shown(found),
        )


def shown(figures: Figures | None) -> str:
    """Figures for people."""
    if figures is None:
        return "no row"
    version, (pending, debits, credits) = figures
    return f"version {version}: debits_pending {pending}, debits_posted {debits}, credits_posted {credits}"
