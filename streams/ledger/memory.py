"""A partition's tables in memory: for tests, models and simulations."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import TypeVar

from streams.ledger.decision import Decision
from streams.ledger.intents import OpenAccount, Resolve
from streams.ledger.rows import (
    AccountRow,
    HoldRow,
    ParkedRow,
    PartitionRow,
    SettledRow,
    TransferRow,
    VelocityRow,
)
from streams.ledger.state import Due

K = TypeVar("K")
V = TypeVar("V")


class MemoryState:
    """One partition. The tables are plain dicts, to be read freely and changed by ``apply`` alone."""

    def __init__(self, partition: int = 0) -> None:
        self.row = PartitionRow(partition)
        self.accounts: dict[str, AccountRow] = {}
        self.profiles: dict[str, OpenAccount] = {}
        self.velocities: dict[str, VelocityRow] = {}
        self.transfers: dict[bytes, TransferRow] = {}
        self.settlements: dict[bytes, SettledRow] = {}
        self.holds: dict[bytes, HoldRow] = {}
        self.parkings: dict[tuple[str, int], ParkedRow] = {}
        self.resolutions: dict[tuple[int, int], Resolve] = {}
        """(offset, leg) -> the last accepted word about that leg"""
        self._deadlines: list[Due] = []

    def partition(self) -> PartitionRow:
        return self.row

    def account(self, id: str, /) -> AccountRow | None:
        return self.accounts.get(id)

    def velocity(self, account: str, /) -> VelocityRow | None:
        return self.velocities.get(account)

    def transfer(self, id: bytes, /) -> TransferRow | None:
        return self.transfers.get(id)

    def settled(self, id: bytes, /) -> SettledRow | None:
        return self.settlements.get(id)

    def hold(self, id: bytes, /) -> HoldRow | None:
        return self.holds.get(id)

    def parked(self, account: str, sequence: int, /) -> ParkedRow | None:
        return self.parkings.get((account, sequence))

    def due(self, time: int, limit: int, /) -> Sequence[Due]:
        if not self._deadlines or self._deadlines[0].deadline > time:
            return ()
        first = self._deadlines[:limit]
        return first[: bisect_left(first, time + 1, key=_deadline)]

    def next_deadline(self) -> int | None:
        """The earliest deadline, or None."""
        return self._deadlines[0].deadline if self._deadlines else None

    def apply(self, decision: Decision) -> None:
        """Take a decision that was made from this very state."""
        assert decision.records[0].sequence == self.row.sequence + 1
        assert decision.partition.time >= self.row.time
        self._move_deadlines(decision)
        self.row = decision.partition
        self.accounts.update(decision.accounts)
        self.profiles.update(decision.profiles)
        self.transfers.update(decision.transfers)
        _merge(self.velocities, decision.velocity)
        _merge(self.settlements, decision.settled)
        _merge(self.holds, decision.holds)
        _merge(self.parkings, decision.parked)
        if decision.resolved is not None:
            self.resolutions[decision.resolved.offset, decision.resolved.leg] = decision.resolved

    def collect_garbage(self) -> None:
        """Drop the rows that have expired. Decides nothing: expiry is a comparison at lookup."""
        now = self.row.time
        self.transfers = {id: row for id, row in self.transfers.items() if not 0 < row.expires <= now}
        kept = ((id, tuple(one for one in row if one.expires > now)) for id, row in self.settlements.items())
        self.settlements = {id: row for id, row in kept if row}

    def _move_deadlines(self, decision: Decision) -> None:
        self._move(_due_of_hold, self.holds, decision.holds)
        self._move(_due_of_parked, self.parkings, decision.parked)

    def _move(self, due: Callable[[K, V], Due | None], before: dict[K, V], changes: dict[K, V | None]) -> None:
        for key, row in changes.items():
            old = due(key, before[key]) if key in before else None
            new = due(key, row) if row is not None else None
            if old == new:
                continue
            if old is not None:
                del self._deadlines[bisect_left(self._deadlines, old)]
            if new is not None:
                insort(self._deadlines, new)


def _deadline(due: Due) -> int:
    return due.deadline


def _due_of_hold(id: bytes, row: HoldRow) -> Due | None:
    return None if row.closing else Due(row.expires, id, row.account, None)


def _due_of_parked(key: tuple[str, int], row: ParkedRow) -> Due:
    return Due(row.deadline, row.transfer, *key)


def _merge(table: dict[K, V], changes: dict[K, V | None]) -> None:
    for key, row in changes.items():
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row
