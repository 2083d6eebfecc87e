"""What reconciliation costs: microseconds of CPU for each journal record, without Kafka.

    python bench/reconcile.py [TRANSFERS]

Journals of three records a transfer (PENDING, SETTLED, POSTED) over eight partitions are decoded, folded, checked,
hashed for the comparison with Postgres, and passed by both compared places. The changelog's rows are measured apart.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable

from schemas.catalogue import definition
from streams.agents.codec import LedgerCodec
from streams.engine.partitioner import partition_of
from streams.ledger.journal import Figures, JournalRecord, Posting
from streams.ledger.rows import AccountRow, PartitionRow, Position
from streams.ledger.vocabulary import Input, Kind, Outcome
from streams.reconciliation.books import Books
from streams.reconciliation.follow import Read
from streams.reconciliation.journal import WANTED
from streams.reconciliation.service import calm_collector
from streams.reconciliation.tables import ACCOUNT_FIELDS, ACCOUNTS_TAG, PARTITION_FIELDS, PARTITION_TAG
from streams.reconciliation.wire import HEADER, decoder

PARTITIONS, ACCOUNTS, BATCH = 8, 2_000, 600
START = 1_790_000_000_000_000
CODEC = LedgerCodec.offline()
Records = list[tuple[int, bytes | None, bytes | None]]


class Writer:
    """Writes a consistent journal, and the rows of a changelog with a partition row after each batch."""

    def __init__(self) -> None:
        self.journal: list[Records] = [[] for _ in range(PARTITIONS)]
        self.changelog: list[Records] = [[] for _ in range(PARTITIONS)]
        self.figures: dict[str, Figures] = {}

    def put(self, kind: Kind, outcome: Outcome, account: str, moved: Figures, **fields: object) -> int:
        """One journal record and its account's row; the record's sequence."""
        home = partition_of(account.encode(), PARTITIONS)
        sequence = len(self.journal[home]) + 1
        old = self.figures.get(account, Figures(0, 0, 0))
        new = self.figures[account] = Figures(*(a + b for a, b in zip(old, moved, strict=True)))
        at = Position(Input.INTENTS, home, sequence)
        fields.setdefault("step", 0)
        fields.setdefault("pending", sequence if outcome is Outcome.PENDING else 0)
        record = JournalRecord(
            sequence, START + sequence * 100, 1, at, at, 0, kind, outcome, account=account, figures=new, **fields  # type: ignore[arg-type]
        )  # fmt: skip
        self.journal[home].append((sequence - 1, None, CODEC.encode_journal(record)))
        row = AccountRow("EUR", version=sequence, debits_pending=new[0], debits_posted=new[1], credits_posted=new[2])
        self.row(home, bytes([ACCOUNTS_TAG]) + account.encode(), CODEC.encode_account(row))
        if sequence % BATCH == 0:
            self.end(home)
        return sequence

    def row(self, home: int, key: bytes, value: bytes) -> None:
        """One changelog record."""
        self.changelog[home].append((len(self.changelog[home]), key, value))

    def end(self, home: int) -> None:
        """The partition's own row: the end of a transaction."""
        self.row(home, bytes([PARTITION_TAG]), CODEC.encode_partition(PartitionRow(home, len(self.journal[home]))))

    def transfer(self, payer: str, payee: str, amount: int, id_: bytes) -> None:
        """Three records."""
        terms: dict[str, object] = {"transfer": id_, "amount": amount, "currency": "EUR"}
        kind = Kind.TRANSFER
        pending = self.put(
            kind, Outcome.PENDING, payer, Figures(amount, 0, 0), step=1, counterparty=payee, intent=bytes(120), **terms
        )
        entry = (Posting(payer, "DEBIT", amount, "EUR"), Posting(payee, "CREDIT", amount, "EUR"))
        terms["pending"] = pending
        credited = Figures(0, 0, amount)
        self.put(kind, Outcome.SETTLED, payee, credited, step=2, counterparty=payer, entry=entry, **terms)
        self.put(kind, Outcome.POSTED, payer, Figures(-amount, amount, 0), step=3, counterparty=payee, **terms)


def write(transfers: int) -> Writer:
    """A seeded journal."""
    rnd = random.Random(7)
    writer = Writer()
    names = [f"customer-{number:05d}" for number in range(ACCOUNTS)]
    for name in names:
        opened = Figures(0, 0, 0)
        writer.put(Kind.OPEN, Outcome.APPLIED, name, opened, transfer=rnd.randbytes(16), currency="EUR")
    for _ in range(transfers):
        payer, payee = rnd.sample(names, 2)
        writer.transfer(payer, payee, rnd.randrange(1, 100_000), rnd.randbytes(16))
    for home in range(PARTITIONS):
        writer.end(home)
    return writer


def feed(records: list[Records], take: Callable[[Read], None]) -> float:
    """CPU seconds to take everything, in batches of one partition after the other."""
    reads = [
        Read({p: records[p][at : at + BATCH]}, set(), [0] * PARTITIONS)
        for at in range(0, max(map(len, records)), BATCH)
        for p in range(PARTITIONS)
    ]
    calm_collector()
    begun = time.process_time()
    for read in reads:
        take(read)
    return time.process_time() - begun


def main() -> None:
    """Measure three times and print the best, as JSON."""
    transfers = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    writer = write(transfers)
    journal_records, rows = (sum(map(len, r)) for r in (writer.journal, writer.changelog))
    best: dict[str, float] = {}
    for _ in range(3):
        books = Books(PARTITIONS)
        decoders(books)
        folded = feed(writer.journal, books.take_journal)
        begun = time.process_time()
        for part in books.journal.partitions:
            books.cursors[1].advance(part.number, part.sequence)
        passed = time.process_time() - begun
        compared = feed(writer.changelog, books.take_changelog)
        assert len(books.breaks) == 0, books.breaks.shown()
        assert len(books.journal.transfers) == 0
        found = {
            "fold_us_per_journal_record": (folded + passed) / journal_records * 1e6,
            "compare_us_per_changelog_row": compared / rows * 1e6,
        }
        best = {name: min(value, best.get(name, value)) for name, value in found.items()}
    rate = round(1e6 / best["fold_us_per_journal_record"])
    print(json.dumps({"journal_records": journal_records, **best, "journal_records_per_cpu_second": rate}, indent=2))


def decoders(books: Books) -> None:
    """The decoders of the offline codec's schemas."""
    for target, record, wanted, value in (
        (books.journal.decoders, "JournalRecord", WANTED, CODEC.encode_journal(SAMPLE)),
        (books.tables.decoders[ACCOUNTS_TAG], "AccountRow", ACCOUNT_FIELDS, CODEC.encode_account(AccountRow("EUR"))),
        (
            books.tables.decoders[PARTITION_TAG],
            "PartitionRow",
            PARTITION_FIELDS,
            CODEC.encode_partition(PartitionRow(0)),
        ),
    ):
        target[value[:HEADER]] = decoder(definition(record), wanted)


AT = Position(Input.INTENTS, 0, 0)
SAMPLE = JournalRecord(1, START, 1, AT, AT, 0, Kind.TICK, Outcome.TICKED, 0)

if __name__ == "__main__":
    main()
