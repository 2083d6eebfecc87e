"""A decision: the journal records, legs and rows that one input gives."""

from __future__ import annotations

from streams.ledger.intents import OpenAccount, Resolve
from streams.ledger.journal import JournalRecord
from streams.ledger.legs import Leg
from streams.ledger.rows import (
    AccountRow,
    HoldRow,
    ParkedRow,
    PartitionRow,
    SettledRow,
    TransferRow,
    VelocityRow,
)


class Decision:
    """Everything that changes. Rows replace those of their key; None deletes the row."""

    __slots__ = (
        "accounts",
        "holds",
        "legs",
        "parked",
        "partition",
        "profiles",
        "records",
        "resolved",
        "settled",
        "transfers",
        "velocity",
    )

    def __init__(self, partition: PartitionRow) -> None:
        self.partition = partition
        self.records: list[JournalRecord] = []
        self.legs: list[tuple[str, Leg]] = []
        """(the account that the leg travels to, the leg)"""
        self.accounts: dict[str, AccountRow] = {}
        self.velocity: dict[str, VelocityRow | None] = {}
        self.transfers: dict[bytes, TransferRow] = {}
        self.settled: dict[bytes, SettledRow | None] = {}
        self.holds: dict[bytes, HoldRow | None] = {}
        self.parked: dict[tuple[str, int], ParkedRow | None] = {}
        self.profiles: dict[str, OpenAccount] = {}
        self.resolved: Resolve | None = None
        """An accepted Resolve: the leg queue that it names is tried again."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Decision):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = ((name, getattr(self, name)) for name in self.__slots__)
        return f"Decision({', '.join(f'{name}={part!r}' for name, part in parts if part)})"


class LegCannotBeApplied(Exception):
    """A leg that fits no row: its queue halts, and an operator resolves it. Others' money is in it."""


class UnknownRules(Exception):
    """The partition's parameters name a rules version that this code lacks: halt, and run a newer worker."""
