"""What the ledger reads and what it decided: a partition's tables in the batch under way, and its deadlines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.agents.deadlines import Deadlines
from streams.engine.table import PartitionTables, Table
from streams.ledger.decision import Decision
from streams.ledger.intents import Resolve
from streams.ledger.rows import AccountRow, HoldRow, ParkedRow, PartitionRow, SettledRow, TransferRow, VelocityRow
from streams.ledger.state import Due

ROW_KEY = b""
"""Key of the one row of the table ``partition``."""


class TableState:
    """The ledger's ``State`` over one partition's tables, for one batch.

    What is written is seen at once: tables read through the batch's overlay; the partition's own row, which every
    decision changes, is kept here and written once, by :meth:`finish`.
    """

    def __init__(self, partition: int, tables: PartitionTables, deadlines: Deadlines) -> None:
        self._rows = tables.table("partition")
        self._accounts = tables.table("accounts")
        self._profiles = tables.table("profiles")
        self._velocity = tables.table("velocity")
        self._holds = tables.table("holds")
        self._parked = tables.table("parked")
        self._open = tables.table("open_transfers")
        self._final = tables.table("final_transfers")
        self._settled = tables.table("settled")
        self._resolutions = tables.table("resolutions")
        self._deadlines = deadlines
        self._row: PartitionRow = self._rows.get(ROW_KEY) or PartitionRow(partition)
        # The ledger's hottest reads: nothing stands between it and the table.
        self.account: Callable[[str], AccountRow | None] = self._accounts.get
        self.velocity: Callable[[str], VelocityRow | None] = self._velocity.get
        self.settled: Callable[[bytes], SettledRow | None] = self._settled.get
        self.hold: Callable[[bytes], HoldRow | None] = self._holds.get
        self.due: Callable[[int, int], Sequence[Due]] = deadlines.due

    def partition(self) -> PartitionRow:
        """The partition's own row."""
        return self._row

    def transfer(self, id: bytes) -> TransferRow | None:
        """The transfer of that id that is under way, else the final one (which may have expired)."""
        row: TransferRow | None = self._open.get(id)
        if row is None:
            row = self._final.get(id)
        return row

    def parked(self, account: str, sequence: int) -> ParkedRow | None:
        """The early intent of an account's sequence number."""
        row: ParkedRow | None = self._parked.get((account, sequence))
        return row

    def resolution(self, offset: int, leg: int) -> Resolve | None:
        """What an operator decided about a leg of this partition's queue."""
        resolve: Resolve | None = self._resolutions.get((offset, leg))
        return resolve

    def apply(self, decision: Decision) -> None:
        """Write the rows of a decision."""
        self._row = decision.partition
        for account, row in decision.accounts.items():
            self._accounts.put(account, row)
        for id_, transfer in decision.transfers.items():
            self._put_transfer(id_, transfer)
        for id_, settled in decision.settled.items():
            _put_or_delete(self._settled, id_, settled)
        if decision.velocity:
            for account, velocity in decision.velocity.items():
                _put_or_delete(self._velocity, account, velocity)
        if decision.profiles:
            for account, profile in decision.profiles.items():
                self._profiles.put(account, profile)
        if decision.holds or decision.parked:
            self._apply_deadlines(decision)
        if decision.resolved is not None:
            self._resolutions.put((decision.resolved.offset, decision.resolved.leg), decision.resolved)

    def _put_transfer(self, id_: bytes, row: TransferRow) -> None:
        """A transfer is in one of two tables: that of what has no expiry yet, or that of what is final and expires."""
        if row.expires == 0:
            self._open.put(id_, row)
            return
        self._final.put(id_, row)
        if self._open.get(id_) is not None:
            self._open.delete(id_)

    def _apply_deadlines(self, decision: Decision) -> None:
        for id_, hold in decision.holds.items():
            _put_or_delete(self._holds, id_, hold)
            self._deadlines.hold(id_, hold)
        for key, parked in decision.parked.items():
            account, sequence = key
            before: ParkedRow | None = self._parked.get(key)
            if before is not None:
                self._deadlines.unpark(before.transfer, sequence)
            _put_or_delete(self._parked, key, parked)
            if parked is not None:
                self._deadlines.park(account, sequence, parked)

    def finish(self) -> None:
        """Write the partition's own row, at the end of the batch."""
        self._rows.put(ROW_KEY, self._row)


def _put_or_delete(table: Table[Any, Any], key: Any, row: Any) -> None:
    if row is None:
        table.delete(key)
    else:
        table.put(key, row)
