"""A small ledger in memory for the tests: partitions, undelivered legs, and checks after every decision."""

from __future__ import annotations

from collections import Counter, deque
from copy import deepcopy

from streams.ledger.decide import decide
from streams.ledger.decision import Decision
from streams.ledger.ids import transfer_id
from streams.ledger.inputs import IntentInput, LedgerInput, LegInput, TickInput, UnreadableInput
from streams.ledger.intents import Intent, OpenAccount, Transfer
from streams.ledger.journal import Figures, JournalRecord
from streams.ledger.legs import Leg
from streams.ledger.memory import MemoryState
from streams.ledger.rows import AccountRow, Position
from streams.ledger.vocabulary import Input, Kind, Outcome

SECOND = 1_000_000
DAY = 86_400
MINUTES = 60
START = 1_700_000_000 * SECOND
MAX = 2**63 - 1


def id_of(intent: Intent) -> bytes:
    """The transfer id that the ledger gives an intent."""
    return transfer_id(intent.account, intent.idempotency_key)


class World:
    """Partitions of one ledger. An account "2:ann" lives in partition 2, one without a number in partition 0.

    Each decision is compared with the fold of the journal before the next one: a test that only looks at outcomes
    still fails when the tables and the journal part.
    """

    def __init__(self, partitions: int = 1) -> None:
        self.states = [MemoryState(number) for number in range(partitions)]
        self.journals: list[list[JournalRecord]] = [[] for _ in range(partitions)]
        self.legs: deque[Leg] = deque()
        """Under way, in the order of sending."""
        self.now = START
        self.last: Decision
        self._offsets: Counter[tuple[Input, int]] = Counter()
        self._folded: dict[str, Figures] = {}

    # given

    def open(self, id: str, balance: int = 0, currency: str = "EUR", **limits: int | None) -> None:
        """Open an account and bring its balance in from an account of the outside world of its partition."""
        self.applied(OpenAccount(id, f"open {id}", currency, **limits))  # type: ignore[arg-type]
        if balance:
            bank = f"{self.home(id)}:bank-{currency}"
            if bank not in self.states[self.home(id)].accounts:
                self.applied(OpenAccount(bank, f"open {bank}", currency, minimum_balance=None))
            assert self.send(Transfer(bank, f"fund {id}", id, balance, currency)).outcome is Outcome.PENDING
            self.deliver()

    # when

    def send(self, intent: Intent, *, misrouted: bool = False, partition: int | None = None) -> JournalRecord:
        """Let the intent's own partition (or another) decide it; its own record is returned, others are in ``last``."""
        home = self.home(intent.account) if partition is None else partition
        position = self._next(Input.INTENTS, home)
        self.decide(home, IntentInput(position, self.now, intent, misrouted))
        (record,) = (
            record for record in self.last.records if record.input == position and record.outcome is not Outcome.EXPIRED
        )
        return record

    def applied(self, intent: Intent) -> JournalRecord:
        """Send an intent that must be applied."""
        record = self.send(intent)
        assert record.outcome is Outcome.APPLIED, record
        return record

    def deliver(self, count: int | None = None) -> list[JournalRecord]:
        """Deliver the legs under way (and those that they cause), or the first ``count``; their records."""
        records = []
        while self.legs and count != 0:
            records.append(self.deliver_leg(self.legs.popleft()))
            count = None if count is None else count - 1
        return records

    def deliver_leg(self, leg: Leg, *, refuse: bool = False) -> JournalRecord:
        """Deliver one leg where it belongs."""
        home = self.home(leg.payee if leg.kind == "CREDIT" else leg.payer)
        self.decide(home, LegInput(self._next(Input.LEGS, home), leg, refuse))
        (record,) = self.last.records
        return record

    def settled(self, intent: Intent) -> JournalRecord:
        """Send an intent that moves money and deliver its legs: it must be posted."""
        record = self.send(intent)
        assert record.outcome is Outcome.PENDING, record
        assert [one.outcome for one in self.deliver()][-1] is Outcome.POSTED
        return record

    def tick(self, partition: int = 0) -> list[JournalRecord]:
        """A Tick at the present time."""
        self.decide(partition, TickInput(self._next(Input.INTENTS, partition), self.now))
        return self.last.records

    def unreadable(self, reason: str = "truncated", partition: int = 0) -> list[JournalRecord]:
        """A record that cannot be decoded."""
        self.decide(partition, UnreadableInput(self._next(Input.INTENTS, partition), self.now, reason, 3, b"\x01" * 32))
        return self.last.records

    def wait(self, seconds: int) -> None:
        """Let the broker's clock go on. No partition knows before its next record of ``payment-intents``."""
        self.now += seconds * SECOND

    def decide_quietly(self, intent: Intent) -> None:
        """Send an intent without the checks, where there are hundreds."""
        home = self.home(intent.account)
        decision = decide(self.states[home], IntentInput(self._next(Input.INTENTS, home), self.now, intent))
        self.states[home].apply(decision)
        self.journals[home] += decision.records
        self._folded.update({r.account: r.figures for r in decision.records if r.account and r.figures})

    def decide(self, partition: int, input: LedgerInput) -> None:
        """Decide, check, apply."""
        state = self.states[partition]
        before = deepcopy(vars(state))
        decision = decide(state, input)
        assert decide(state, input) == decision
        assert vars(state) == before
        state.apply(decision)
        self.last = decision
        self.journals[partition] += decision.records
        self.legs.extend(leg for _, leg in decision.legs)
        self._check_decision(partition, decision)
        self._check_partition(partition)

    # then

    def home(self, account: str) -> int:
        """The partition of an account."""
        number, colon, _ = account.partition(":")
        return int(number) if colon and number.isdigit() else 0

    def account(self, id: str) -> AccountRow:
        """The account's row."""
        return self.states[self.home(id)].accounts[id]

    def figures(self, id: str) -> tuple[int, int, int]:
        """debits_pending, debits_posted, credits_posted."""
        row = self.account(id)
        return row.debits_pending, row.debits_posted, row.credits_posted

    def balance(self, id: str) -> int:
        """What has come less what has gone."""
        row = self.account(id)
        return row.credits_posted - row.debits_posted

    def _next(self, topic: Input, partition: int) -> Position:
        self._offsets[topic, partition] += 1
        return Position(topic, partition, self._offsets[topic, partition] - 1)

    def _check_decision(self, partition: int, decision: Decision) -> None:
        journal = self.journals[partition]
        assert [record.sequence for record in journal] == list(range(1, len(journal) + 1))
        for ordinal, record in enumerate(decision.records):
            assert record.ordinal == ordinal
            if record.figures is not None:
                assert record.account is not None
                self._folded[record.account] = record.figures
                assert self.states[partition].accounts[record.account].version >= record.sequence
            if record.entry is not None:
                debit, credit = record.entry
                assert (debit.side, credit.side) == ("DEBIT", "CREDIT")
                assert (debit.amount, debit.currency) == (credit.amount, credit.currency)

    def _check_partition(self, partition: int) -> None:
        state = self.states[partition]
        pending: Counter[str] = Counter()
        for hold in state.holds.values():
            assert hold.open + hold.capturing + hold.captured + hold.released == hold.amount
            pending[hold.account] += hold.open + hold.capturing
        for row in state.transfers.values():
            if row.state is Outcome.PENDING and row.kind is not Kind.CAPTURE:
                pending[row.intent.account] += row.amount
        for id, account in state.accounts.items():
            assert account.debits_pending == pending[id]
            assert Figures(account.debits_pending, account.debits_posted, account.credits_posted) == self._folded[id]
            assert account.parked == sum(key[0] == id for key in state.parkings)
