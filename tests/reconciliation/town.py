"""A ledger whose journal and tables are written to real Kafka by hand: consistent, until a test breaks it.

The decisions are the ledger's own; what the engine does around them (one transaction a batch, rows beside records,
legs delivered once they are committed) is done here in the open, so that a test can abort, delay or forge any of it.
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Iterable

from confluent_kafka import Producer

from streams.agents.codec import LedgerCodec
from streams.engine.partitioner import partition_of
from streams.ledger.decide import decide
from streams.ledger.decision import Decision
from streams.ledger.inputs import IntentInput, LedgerInput, LegInput, TickInput
from streams.ledger.intents import Capture, Freeze, Hold, Intent, OpenAccount, Release, Reverse, Transfer, Unfreeze
from streams.ledger.journal import JournalRecord
from streams.ledger.legs import Leg
from streams.ledger.memory import MemoryState
from streams.ledger.rows import AccountRow, Position
from streams.ledger.vocabulary import Input, Kind, Outcome
from streams.settings import Settings
from streams.topics import ACCOUNTS_CHANGELOG, JOURNAL

START = 1_700_000_000_000_000
ACCOUNTS_TAG, PARTITION_TAG = b"\x02", b"\x01"


class Batch:
    """What one transaction of a partition writes."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.journal: list[JournalRecord] = []
        self.accounts: dict[str, AccountRow] = {}
        self.legs: list[tuple[str, Leg]] = []


class Town:
    """Partitions, accounts, and one transactional producer for each of two workers."""

    def __init__(self, settings: Settings, codec: LedgerCodec, seed: int = 1) -> None:
        self.settings = settings
        self.codec = codec
        self.random = random.Random(seed)
        self.states = [MemoryState(number) for number in range(settings.partitions)]
        self.intents: list[deque[Intent | None]] = [deque() for _ in self.states]
        self.legs: list[deque[Leg]] = [deque() for _ in self.states]
        self.accounts: list[str] = []
        self.records: list[list[JournalRecord]] = [[] for _ in self.states]
        """The committed journal, by partition."""
        self.aborted = 0
        self._offset = 0
        self._key = 0
        self._producers = [self._producer() for _ in range(2)]

    # given

    def open(self, count: int, balance: int = 100_000) -> None:
        """Open accounts, fund them from a world without a minimum, and let everything settle."""
        for currency in ("EUR", "JPY"):
            self.send(OpenAccount(f"world-{currency}", "open", currency, minimum_balance=None))
        for number in range(count):
            currency = "JPY" if number % 5 == 0 else "EUR"
            name = f"{currency}-{number:04d}"
            self.accounts.append(name)
            self.send(OpenAccount(name, "open", currency))
        self.settle()
        for name in self.accounts:
            self.send(Transfer(f"world-{name[:3]}", f"fund {name}", name, balance, name[:3]))
        self.settle()

    def transfer(self, amount: int = 500, upto: Outcome | None = None) -> JournalRecord:
        """One transfer between two accounts of a currency that are in different partitions; its PENDING."""
        payer, payee = self.pair()
        self.send(Transfer(payer, self.key(), payee, amount, payer[:3]))
        self.run(self.home(payer))
        record = self.records[self.home(payer)][-1]
        assert record.outcome is Outcome.PENDING
        return record

    def pair(self) -> tuple[str, str]:
        """Two accounts of EUR in different partitions."""
        euros = [name for name in self.accounts if name[:3] == "EUR"]
        while True:
            payer, payee = self.random.sample(euros, 2)
            if self.home(payer) != self.home(payee):
                return payer, payee

    def live(self, intents: int) -> None:
        """Queue intents of every kind, good and bad."""
        for _ in range(intents):
            self.send(self._some_intent())

    def _some_intent(self) -> Intent:
        r = self.random
        account, other = r.sample(self.accounts, 2)
        currency = account[:3] if r.random() < 0.97 else "USD"
        what = r.choices(
            ("transfer", "hold", "capture", "release", "reverse", "freeze", "unfreeze", "nobody"),
            (60, 8, 10, 4, 8, 1, 4, 2),
        )[0]
        state = self.states[self.home(account)]
        holds = [(id_, h) for id_, h in list(state.holds.items()) if h.account == account]
        hold = r.choice(holds)[0] if holds else bytes(16)
        if what == "hold":
            return Hold(
                account, self.key(), r.randint(1, 5_000), currency, payee=other, expires_in_seconds=r.randint(1, 60)
            )
        if what == "capture":
            return Capture(account, self.key(), hold, r.choice((None, r.randint(1, 3_000))), payee=other)
        if what == "release":
            return Release(account, self.key(), hold, r.choice((None, r.randint(1, 3_000))))
        if what == "reverse":
            settled = list(state.settlements)
            return Reverse(account, self.key(), r.choice(settled) if settled else bytes(16), r.choice((None, 10)))
        if what in ("freeze", "unfreeze"):
            return (Freeze if what == "freeze" else Unfreeze)(account, self.key())
        return Transfer(account, self.key(), "nobody" if what == "nobody" else other, r.randint(0, 40_000), currency)

    # when

    def send(self, intent: Intent) -> None:
        """Queue an intent at its account's partition."""
        intent = self.codec.decode_intent(self.codec.encode_intent(intent))
        self.intents[self.home(intent.account)].append(intent)

    def settle(self) -> None:
        """Process and commit until nothing is under way."""
        while self.busy():
            for partition in range(len(self.states)):
                self.run(partition)

    def pass_time(self, seconds: int = 100) -> None:
        """Let time pass, with a Tick in every partition."""
        self._offset += seconds * 5
        for queue in self.intents:
            queue.append(None)
        self.settle()

    def busy(self) -> bool:
        """Whether something is still to be processed."""
        return any(self.intents) or any(self.legs)

    def run(self, partition: int, most: int = 200, abort: float = 0.0) -> None:
        """One batch of a partition, committed; with the chance ``abort`` the transaction is aborted before, once."""
        batch = self.decide(partition, most)
        if not batch.journal:
            return
        if self.random.random() < abort:
            self.write(batch)
            self._producers[partition % 2].abort_transaction()
            self.aborted += 1
        self.write(batch)
        self.commit(batch)

    def decide(self, partition: int, most: int = 200) -> Batch:
        """Decide what is queued, legs first; nothing is written yet."""
        batch = Batch(partition)
        legs, intents = self.legs[partition], self.intents[partition]
        for _ in range(most):
            self._offset += 1
            if legs:
                self._take(batch, LegInput(Position(Input.LEGS, partition, self._offset), legs.popleft()))
            elif intents:
                intent = intents.popleft()
                position = Position(Input.INTENTS, partition, self._offset)
                time = START + self._offset * 200_000
                self._take(batch, TickInput(position, time) if intent is None else IntentInput(position, time, intent))
            else:
                break
        return batch

    def _take(self, batch: Batch, input: LedgerInput) -> None:
        state = self.states[batch.partition]
        decision: Decision = decide(state, input)
        state.apply(decision)
        batch.journal += decision.records
        batch.accounts |= decision.accounts
        batch.legs += decision.legs

    def write(self, batch: Batch) -> None:
        """Begin the transaction and write the batch, records and rows in a mixed order."""
        producer = self._producers[batch.partition % 2]
        producer.begin_transaction()
        codec, p = self.codec, batch.partition
        rows = [(ACCOUNTS_TAG + name.encode(), codec.encode_account(row)) for name, row in batch.accounts.items()]
        row = self.states[p].row._replace(sequence=batch.journal[-1].sequence)
        rows.insert(self.random.randint(0, len(rows)), (PARTITION_TAG, codec.encode_partition(row)))
        for key, value in rows:
            self.put(producer, ACCOUNTS_CHANGELOG.name, p, value, key)
        for record in batch.journal:
            self.put(producer, JOURNAL.name, p, codec.encode_journal(record))
        producer.flush()

    def commit(self, batch: Batch) -> None:
        """Commit what was written; only now do its legs travel."""
        self._producers[batch.partition % 2].commit_transaction()
        self.records[batch.partition] += batch.journal
        for account, leg in batch.legs:
            self.legs[self.home(account)].append(leg)

    # broken on purpose

    def forge(self, partition: int, *records: JournalRecord) -> None:
        """Journal records that no decision gave, with the partition's row moved to fit; the tables know nothing."""
        batch = Batch(partition)
        batch.journal = list(records)
        self.write(batch)
        self.commit(batch)

    def send_row_ahead(self, partition: int, ahead: int) -> None:
        """The partition's own row at a sequence that its journal has not."""
        row = self.states[partition].row
        producer = self._producers[partition % 2]
        producer.begin_transaction()
        value = self.codec.encode_partition(row._replace(sequence=row.sequence + ahead))
        self.put(producer, ACCOUNTS_CHANGELOG.name, partition, value, PARTITION_TAG)
        producer.commit_transaction()

    def write_journal_alone(self, batch: Batch) -> None:
        """A batch's journal records without its rows."""
        producer = self._producers[batch.partition % 2]
        producer.begin_transaction()
        for record in batch.journal:
            self.put(producer, JOURNAL.name, batch.partition, self.codec.encode_journal(record))
        self.commit(batch)

    def forge_row(self, account: str, row: AccountRow | None) -> None:
        """A row of the accounts table that no decision gave; None: a tombstone."""
        producer = self._producers[0]
        producer.begin_transaction()
        value = None if row is None else self.codec.encode_account(row)
        self.put(producer, ACCOUNTS_CHANGELOG.name, self.home(account), value, ACCOUNTS_TAG + account.encode())
        producer.commit_transaction()

    # small things

    def put(
        self, producer: Producer, topic: str, partition: int, value: bytes | None, key: bytes | None = None
    ) -> None:
        """Append one record."""
        producer.produce(self.settings.topic(topic), value, key, partition=partition)

    def home(self, account: str) -> int:
        """The partition of an account."""
        return partition_of(account.encode(), self.settings.partitions)

    def key(self) -> str:
        """An idempotency key that was not used yet."""
        self._key += 1
        return f"key {self._key}"

    def find(self, outcome: Outcome, kind: Kind = Kind.TRANSFER) -> tuple[int, JournalRecord]:
        """The partition and record of the last one with this outcome."""
        every = [(p, r) for p, records in enumerate(self.records) for r in records]
        return next((p, r) for p, r in reversed(every) if r.outcome is outcome and r.kind is kind)

    def count(self) -> int:
        """How many records the journal has."""
        return sum(len(records) for records in self.records)

    def _producer(self) -> Producer:
        producer = Producer(
            {
                "bootstrap.servers": self.settings.bootstrap_servers,
                "transactional.id": uuid.uuid4().hex,
                "transaction.timeout.ms": 10_000,
                "log_level": 2,
            }
        )
        producer.init_transactions()
        return producer


def outcomes(records: Iterable[JournalRecord]) -> set[str]:
    """The outcomes that occur."""
    return {record.outcome for record in records}
