"""A whole ledger on the test driver: send intents, run, look at journal and tables. No broker, no registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streams.agents.codec import LedgerCodec
from streams.agents.payments import Payments
from streams.engine.driver import TestDriver
from streams.engine.partitioner import partition_of
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Intent, OpenAccount, Transfer
from streams.ledger.journal import JournalRecord
from streams.ledger.rows import AccountRow, HoldRow
from streams.ledger.vocabulary import Outcome
from streams.settings import Settings

CODEC = LedgerCodec.offline()


class Bank:
    """Accounts, intents and what became of them."""

    def __init__(self, partitions: int = 8, batch_records: int = 4000) -> None:
        self.settings = Settings(partitions=partitions)
        self.payments = Payments(self.settings, CODEC)
        self.topology = self.payments.topology()
        self.driver = TestDriver(self.topology, partitions, batch_records)
        self._keys = 0

    def key(self) -> str:
        """A fresh idempotency key."""
        self._keys += 1
        return f"key-{self._keys}"

    def send(self, intent: Intent, *, partition: int | None = None, key: bytes | None = None) -> bytes:
        """Send an intent as a proper producer does, unless told otherwise; returns its transfer id."""
        if key is None and intent.account:
            key = intent.account.encode()
        self.driver.send(self.topology.intents, key, CODEC.encode_intent(intent), partition)
        return transfer_id(intent.account, intent.idempotency_key)

    def open(self, *accounts: str, minimum: int | None = 0, maximum: int | None = None, currency: str = "EUR") -> None:
        """Open accounts and let that settle."""
        for account in accounts:
            self.send(OpenAccount(account, "open", currency, minimum_balance=minimum, maximum_balance=maximum))
        self.run()

    def fund(self, account: str, amount: int) -> None:
        """Pay in from an account of the outside world."""
        if self.account("world") is None:
            self.open("world", minimum=None)
        self.transfer("world", account, amount)
        self.run()

    def transfer(self, payer: str, payee: str, amount: int) -> bytes:
        """Send a transfer; returns its id."""
        return self.send(Transfer(payer, self.key(), payee, amount, "EUR"))

    def run(self) -> None:
        """Process until nothing is left to read."""
        self.driver.run()

    def pass_time(self, seconds: int) -> None:
        """Let time pass at the broker and the worker, and have every partition see it."""
        self.driver.now_ms += seconds * 1000
        for partition in range(self.settings.partitions):
            self.driver.send(self.topology.intents, None, None, partition)
        self.run()

    def at(self, account: str) -> int:
        """The account's partition."""
        return partition_of(account.encode(), self.settings.partitions)

    def elsewhere(self, account: str) -> str:
        """An account id that lives in another partition than ``account`` (any, if there is only one)."""
        names = (f"{account}-{n}" for n in range(1000))
        return next(name for name in names if self.settings.partitions == 1 or self.at(name) != self.at(account))

    def account(self, account: str) -> AccountRow | None:
        """The account's row as committed."""
        row: AccountRow | None = self.driver.tables(self.at(account)).table("accounts").committed(account)
        return row

    def balance(self, account: str) -> int:
        """Credits less debits posted."""
        row = self.account(account)
        assert row is not None, account
        return row.credits_posted - row.debits_posted

    def pending(self, account: str) -> int:
        """Debits pending."""
        row = self.account(account)
        assert row is not None, account
        return row.debits_pending

    def hold(self, account: str, id_: bytes) -> HoldRow | None:
        """The hold's row as committed."""
        row: HoldRow | None = self.driver.tables(self.at(account)).table("holds").committed(id_)
        return row

    def journal(self, partition: int | None = None) -> Iterator[JournalRecord]:
        """Every journal record, by partition and sequence."""
        for record in self.driver.records(self.topology.journal, partition):
            yield CODEC.decode_journal(record.value or b"")

    def told(self, id_: bytes) -> list[tuple[Outcome, str | None]]:
        """What the journal says of a transfer, in all partitions: (outcome, reason), by step."""
        about = [record for record in self.journal() if record.transfer == id_]
        return [(record.outcome, record.reason) for record in sorted(about, key=lambda r: r.step)]

    def count(self) -> Counter[tuple[Outcome, str | None]]:
        """How often each outcome was written."""
        return Counter((record.outcome, record.reason) for record in self.journal())

    def must_balance(self) -> None:
        """Nothing is pending, and what the accounts have adds up to nothing."""
        accounts = [r for p in range(self.settings.partitions) for r in self.driver.tables(p).table("accounts").items()]
        assert sum(row.debits_pending for _, row in accounts) == 0
        assert sum(row.credits_posted - row.debits_posted for _, row in accounts) == 0
