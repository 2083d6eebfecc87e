"""A decision under way: reads see what the same decision wrote before, writes go into the Decision."""

from __future__ import annotations

from streams.ledger.decision import Decision
from streams.ledger.journal import DeadLetter, Figures, FirstOutcome, JournalRecord, Posting
from streams.ledger.rows import (
    AccountRow,
    HoldRow,
    ParkedRow,
    PartitionRow,
    Position,
    SettledRow,
    TransferRow,
    VelocityRow,
)
from streams.ledger.state import State
from streams.ledger.transitions import TRANSITIONS
from streams.ledger.vocabulary import Kind, Outcome


class Draft:
    """Overlay over ``State``; numbers the journal records of one trigger.

    ``time`` is the partition's time with this input counted in. ``sequence`` is the journal sequence of the last
    record written.
    """

    __slots__ = ("_rules", "_state", "decision", "parameters", "partition", "sequence", "time", "trigger")

    def __init__(self, state: State, partition: PartitionRow, trigger: Position, time: int) -> None:
        self._rules = partition.parameters.rules
        self._state = state
        self.partition = partition
        self.trigger = trigger
        self.time = time
        self.sequence = partition.sequence
        self.parameters = partition.parameters
        self.decision = Decision(partition)

    @property
    def state(self) -> State:
        """The tables as they were before this decision."""
        return self._state

    def finish(self) -> Decision:
        """The decision, with the partition's row. Every input gives at least one journal record."""
        decision = self.decision
        before = self.partition
        assert self.sequence == before.sequence + len(decision.records) > before.sequence
        decision.partition = PartitionRow(before.partition, self.sequence, self.time, self.parameters)
        return decision

    def account(self, id: str) -> AccountRow | None:
        """The account's row."""
        return self.decision.accounts.get(id) or self._state.account(id)

    def velocity(self, account: str) -> VelocityRow | None:
        """The account's debits in the current window."""
        rows = self.decision.velocity
        return rows[account] if account in rows else self._state.velocity(account)

    def transfer(self, id: bytes) -> TransferRow | None:
        """The transfer's row, unless its key has expired."""
        row = self.decision.transfers.get(id) or self._state.transfer(id)
        if row is not None and 0 < row.expires <= self.time:
            return None
        return row

    def settled(self, id: bytes) -> SettledRow:
        """The settled occurrences of a transfer that have not expired, ascending by time."""
        rows = self.decision.settled
        row = rows[id] if id in rows else self._state.settled(id)
        if row is None:
            return ()
        return tuple(settled for settled in row if settled.expires > self.time)

    def hold(self, id: bytes) -> HoldRow | None:
        """The hold's row, as long as anything of it is open or capturing."""
        rows = self.decision.holds
        return rows[id] if id in rows else self._state.hold(id)

    def parked(self, account: str, sequence: int) -> ParkedRow | None:
        """The intent parked at this number of the account."""
        rows = self.decision.parked
        key = (account, sequence)
        return rows[key] if key in rows else self._state.parked(account, sequence)

    def put_account(self, id: str, row: AccountRow) -> None:
        """Write an account's row. Its figures are never negative."""
        assert row.debits_pending >= 0
        assert row.debits_posted >= 0
        assert row.credits_posted >= 0
        self.decision.accounts[id] = row

    def put_transfer(self, id: bytes, before: TransferRow | None, row: TransferRow) -> None:
        """Move an intent from its state ``before`` (None: not known) to that of ``row``."""
        assert row.state in TRANSITIONS[before.state if before is not None else None]
        self.decision.transfers[id] = row

    def journal(
        self,
        input: Position,
        kind: Kind,
        outcome: Outcome,
        step: int,
        transfer: bytes | None,
        pending: int = 0,
        account: str | None = None,
        counterparty: str | None = None,
        amount: int | None = None,
        currency: str | None = None,
        reason: str | None = None,
        figures: Figures | None = None,
        entry: tuple[Posting, ...] | None = None,
        origin: bytes | None = None,
        origin_pending: int = 0,
        intent: bytes | None = None,
        first: FirstOutcome | None = None,
        dead_letter: DeadLetter | None = None,
    ) -> None:
        """Write the next journal record of this decision."""
        records = self.decision.records
        self.sequence += 1
        fields = (
            self.sequence,
            self.time,
            self._rules,
            input,
            self.trigger,
            len(records),
            kind,
            outcome,
            step,
            transfer,
            pending,
            account,
            counterparty,
            amount,
            currency,
            reason,
            figures,
            entry,
            origin,
            origin_pending,
            intent,
            first,
            dead_letter,
        )
        records.append(tuple.__new__(JournalRecord, fields))
