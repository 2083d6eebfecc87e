"""What ``decide`` may read: one partition's tables, as they were before the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from streams.ledger.rows import (
    AccountRow,
    HoldRow,
    ParkedRow,
    PartitionRow,
    SettledRow,
    TransferRow,
    VelocityRow,
)


class Due(NamedTuple):
    """A deadline that has come: of a hold (``sequence`` None), or of an intent parked at (account, sequence)."""

    deadline: int
    """Microseconds of partition time."""
    id: bytes
    account: str
    sequence: int | None


class State(Protocol):
    """One partition's tables. Rows may be past their expiry (lookups compare); a missing row is None."""

    def partition(self) -> PartitionRow: ...

    def account(self, id: str, /) -> AccountRow | None: ...

    def velocity(self, account: str, /) -> VelocityRow | None: ...

    def transfer(self, id: bytes, /) -> TransferRow | None: ...

    def settled(self, id: bytes, /) -> SettledRow | None: ...

    def hold(self, id: bytes, /) -> HoldRow | None: ...

    def parked(self, account: str, sequence: int, /) -> ParkedRow | None: ...

    def due(self, time: int, limit: int, /) -> Sequence[Due]:
        """The first ``limit`` deadlines <= ``time``, in (deadline, id) order.

        Every live one in that range must be there; stale ones (the row is gone, changed or closing) may be: they are
        checked against the rows.
        """
        ...
