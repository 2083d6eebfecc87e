"""What a test may do with a whole ledger, whether it runs on the test driver or on Kafka with real workers."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence

from streams.engine.partitioner import partition_of
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Intent, OpenAccount, Transfer
from streams.ledger.journal import Figures, JournalRecord
from streams.ledger.vocabulary import Outcome
from streams.settings import Settings

NOTHING = Figures(0, 0, 0)


class Ledger(ABC):
    """Accounts, intents and what became of them. What is asked is answered from the journal alone."""

    settings: Settings

    def __init__(self) -> None:
        self._keys = 0

    @abstractmethod
    def produce(self, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """Put a record on the intents topic; on its key's partition unless one is given."""

    @abstractmethod
    def encode(self, intent: Intent) -> bytes:
        """The bytes of an intent."""

    @abstractmethod
    def run(self) -> None:
        """Wait until every intent has its outcome and nothing is under way."""

    @abstractmethod
    def journal(self) -> Sequence[JournalRecord]:
        """Every journal record so far, each partition's in order."""

    @abstractmethod
    def restart(self) -> None:
        """Kill the worker and start it again."""

    @abstractmethod
    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Let time pass until something holds; fails if it never does."""

    @abstractmethod
    def send_concurrently(self, shares: Sequence[Sequence[Intent]]) -> None:
        """Each share from a producer of its own, all at once."""

    def key(self) -> str:
        """A fresh idempotency key."""
        self._keys += 1
        return f"key-{self._keys}"

    def send(self, intent: Intent, *, partition: int | None = None) -> bytes:
        """Send an intent as a proper producer does; returns its transfer id."""
        self.produce(intent.account.encode() or None, self.encode(intent), partition)
        return transfer_id(intent.account, intent.idempotency_key)

    def open(self, *accounts: str, minimum: int | None = 0, maximum: int | None = None, currency: str = "EUR") -> None:
        """Open accounts."""
        for account in accounts:
            self.send(OpenAccount(account, "open", currency, minimum_balance=minimum, maximum_balance=maximum))
        self.run()

    def fund(self, account: str, amount: int) -> None:
        """Pay in from an account of the outside world."""
        if "world" not in self.figures():
            self.open("world", minimum=None)
        self.transfer("world", account, amount)
        self.run()

    def transfer(self, payer: str, payee: str, amount: int) -> bytes:
        """Send a transfer; returns its id."""
        return self.send(Transfer(payer, self.key(), payee, amount, "EUR"))

    def at(self, account: str) -> int:
        """The account's partition."""
        return partition_of(account.encode(), self.settings.partitions)

    def elsewhere(self, account: str) -> str:
        """An account id that lives in another partition than ``account`` (any, if there is only one)."""
        names = (f"{account}-{n}" for n in range(1000))
        return next(name for name in names if self.settings.partitions == 1 or self.at(name) != self.at(account))

    def figures(self) -> dict[str, Figures]:
        """Every account's figures: the journal's fold."""
        return {r.account: r.figures for r in self.journal() if r.account is not None and r.figures is not None}

    def balance(self, account: str) -> int:
        """Credits less debits posted."""
        figures = self.figures()[account]
        return figures.credits_posted - figures.debits_posted

    def pending(self, account: str) -> int:
        """Debits pending."""
        return self.figures()[account].debits_pending

    def told(self, id_: bytes) -> list[tuple[Outcome, str | None]]:
        """What the journal says of a transfer, in all partitions: (outcome, reason), by step."""
        about = [record for record in self.journal() if record.transfer == id_]
        return [(record.outcome, record.reason) for record in sorted(about, key=lambda r: r.step)]

    def final(self, id_: bytes) -> tuple[Outcome, str | None]:
        """The last thing that the deciding partition said of an intent."""
        return [(r.outcome, r.reason) for r in self.journal() if r.transfer == id_ and r.step != 2][-1]

    def count(self) -> Counter[tuple[Outcome, str | None]]:
        """How often each outcome was written."""
        return Counter((record.outcome, record.reason) for record in self.journal())

    def must_balance(self) -> None:
        """Nothing is pending, what the accounts have adds up to nothing, and every entry is balanced."""
        figures = self.figures()
        assert {account: f.debits_pending for account, f in figures.items() if f.debits_pending} == {}
        assert sum(f.credits_posted - f.debits_posted for f in figures.values()) == 0
        for record in self.journal():
            sides = Counter[str]()
            for posting in record.entry or ():
                sides[posting.side] += posting.amount
            assert sides["DEBIT"] == sides["CREDIT"]
        self.must_be_contiguous()

    def must_be_contiguous(self) -> None:
        """Each partition's journal numbers are 1, 2, 3, ..."""
        partitions: dict[int, list[int]] = {}
        for record in self.journal():
            partitions.setdefault(record.input.partition, []).append(record.sequence)
        for partition, sequences in partitions.items():
            assert sequences == list(range(1, len(sequences) + 1)), partition


def shares(intents: Sequence[Intent], count: int, seed: int = 1) -> list[list[Intent]]:
    """Deal intents out to that many producers, in a random but repeatable order."""
    dealt = list(intents)
    random.Random(seed).shuffle(dealt)
    return [dealt[n::count] for n in range(count)]
