"""Journals made by hand for the sink's tests: what a ledger with no limits writes, record by record.

A :class:`Ledger` keeps its accounts' figures, so every journal it writes is consistent; tests break it on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from streams.ledger.ids import transfer_id
from streams.ledger.intents import OpenAccount
from streams.ledger.journal import Figures, JournalRecord, Posting
from streams.ledger.rows import Position
from streams.ledger.vocabulary import Input, Kind, Outcome

START = 1_750_000_000_000_000
"""Partition time of the first record, in microseconds."""


@dataclass
class Ledger:
    """Writes journal records in the order of its calls; ``records`` holds (partition, record)."""

    partitions: int
    encode_intent: Callable[[OpenAccount], bytes]
    records: list[tuple[int, JournalRecord]] = field(default_factory=list)
    figures: dict[str, Figures] = field(default_factory=dict)
    homes: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Partition and currency of each account."""
    _sequences: dict[int, int] = field(default_factory=dict)
    _inputs: int = 0

    def write(self, partition: int, kind: Kind, outcome: Outcome, step: int, **fields: object) -> JournalRecord:
        """The next record of a partition."""
        sequence = self._sequences.get(partition, 0) + 1
        self._sequences[partition] = sequence
        self._inputs += 1
        at = Position(Input.LEGS if step > 1 else Input.INTENTS, partition, self._inputs)
        record = JournalRecord(sequence, START + self._inputs, 1, at, at, 0, kind, outcome, step, **fields)  # type: ignore[arg-type]
        self.records.append((partition, record))
        return record

    def open(self, account: str, currency: str = "EUR", partition: int | None = None, **more: object) -> JournalRecord:
        """Open an account."""
        home = len(self.homes) % self.partitions if partition is None else partition
        intent = OpenAccount(account, f"open {account}", currency, **more)  # type: ignore[arg-type]
        self.homes[account] = (home, currency)
        self.figures[account] = Figures(0, 0, 0)
        return self.write(
            home,
            Kind.OPEN,
            Outcome.APPLIED,
            0,
            transfer=transfer_id(account, intent.idempotency_key),
            account=account,
            currency=currency,
            figures=self.figures[account],
            intent=self.encode_intent(intent),
        )

    def move(self, account: str, pending: int = 0, posted: int = 0, credited: int = 0) -> Figures:
        """Change an account's figures."""
        a, b, c = self.figures[account]
        self.figures[account] = Figures(a + pending, b + posted, c + credited)
        return self.figures[account]

    def transfer(self, payer: str, payee: str, amount: int, key: str, upto: int = 3) -> bytes:
        """A transfer's steps 1 to ``upto``. Returns its id."""
        return self.steps(payer, payee, amount, key, Outcome.SETTLED, upto)

    def refused(self, payer: str, payee: str, amount: int, key: str) -> bytes:
        """A transfer that its payee refuses."""
        return self.steps(payer, payee, amount, key, Outcome.REFUSED, 3)

    def steps(self, payer: str, payee: str, amount: int, key: str, answer: Outcome, upto: int) -> bytes:
        """The three steps of a transfer, or the first ones of them."""
        home, currency = self.homes[payer]
        there, _ = self.homes[payee]
        settled = answer is Outcome.SETTLED
        common = {"transfer": transfer_id(payer, key), "amount": amount, "currency": currency}
        mine = {**common, "account": payer, "counterparty": payee}
        theirs = {**common, "account": payee, "counterparty": payer}
        reason = None if settled else "payee_frozen"
        pending = self._sequences.get(home, 0) + 1
        self.write(home, Kind.TRANSFER, Outcome.PENDING, 1, pending=pending, figures=self.move(payer, amount), **mine)
        if upto > 1 and settled:
            entry = (Posting(payer, "DEBIT", amount, currency), Posting(payee, "CREDIT", amount, currency))
            figures = self.move(payee, credited=amount)
            self.write(there, Kind.TRANSFER, answer, 2, pending=pending, figures=figures, entry=entry, **theirs)
        elif upto > 1:
            self.write(there, Kind.TRANSFER, answer, 2, pending=pending, reason=reason, **theirs)
        if upto > 2:
            figures = self.move(payer, -amount, posted=amount if settled else 0)
            end = Outcome.POSTED if settled else Outcome.COMPENSATED
            self.write(home, Kind.TRANSFER, end, 3, pending=pending, figures=figures, reason=reason, **mine)
        return bytes(common["transfer"])  # type: ignore[arg-type]

    def life(self, accounts: int, transfers: int, seed: int = 1) -> Iterator[int]:
        """Open accounts, then transfer between them; yields the number of records after each transfer."""
        random = Random(seed)
        names = [f"acc-{seed}-{n}" for n in range(accounts)]
        for name in names:
            self.open(name)
        for n in range(transfers):
            payer, payee = random.sample(names, 2)
            (self.refused if random.random() < 0.05 else self.transfer)(payer, payee, random.randint(1, 10**6), f"{n}")
            yield len(self.records)
