"""A whole ledger on the test driver. No broker, no registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from streams.agents.codec import LedgerCodec
from streams.agents.payments import Payments
from streams.engine.driver import TestDriver
from streams.ledger.intents import Intent
from streams.ledger.journal import JournalRecord
from streams.ledger.rows import AccountRow, HoldRow
from streams.settings import Settings
from tests.agents.ledgers import Ledger

CODEC = LedgerCodec.offline()


class Bank(Ledger):
    """The ledger in memory: time passes when the test says so."""

    def __init__(self, partitions: int = 8, batch_records: int = 4000, codec: LedgerCodec = CODEC) -> None:
        super().__init__()
        self.settings = Settings(partitions=partitions)
        self.payments = Payments(self.settings, codec)
        self.topology = self.payments.topology()
        self.driver = TestDriver(self.topology, partitions, batch_records)

    def produce(self, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """Append to the intents."""
        self.driver.send(self.topology.intents, key, value, partition)

    def encode(self, intent: Intent) -> bytes:
        """The bytes of an intent."""
        return CODEC.encode_intent(intent)

    def run(self) -> None:
        """Process until nothing is left to read."""
        self.driver.run()

    def journal(self) -> Sequence[JournalRecord]:
        """Every journal record, by partition and sequence."""
        return [CODEC.decode_journal(r.value or b"") for r in self.driver.records(self.topology.journal)]

    def restart(self) -> None:
        """A new worker, which restores from the changelogs."""
        self.driver.restart(wipe=True)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Seconds pass, with a Tick in each."""
        for _ in range(200):
            if holds():
                return
            self.pass_time(1)
        raise AssertionError("it never came to be")

    def send_concurrently(self, shares: Sequence[Sequence[Intent]]) -> None:
        """One of each producer in turn, with the worker at work in between."""
        for number, round_ in enumerate(zip_longest(*shares)):
            for intent in round_:
                if intent is not None:
                    self.send(intent)
            if number % 5 == 0:
                self.driver.run(batches=1)

    def pass_time(self, seconds: int) -> None:
        """Let time pass at the broker and the worker, and have every partition see it."""
        self.driver.now_ms += seconds * 1000
        for partition in range(self.settings.partitions):
            self.produce(None, None, partition)
        self.run()

    def account(self, account: str) -> AccountRow | None:
        """The account's row as committed."""
        row: AccountRow | None = self.driver.tables(self.at(account)).table("accounts").committed(account)
        return row

    def hold(self, account: str, id_: bytes) -> HoldRow | None:
        """The hold's row as committed."""
        row: HoldRow | None = self.driver.tables(self.at(account)).table("holds").committed(id_)
        return row
