"""The pieces of reconciliation, without any service."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import definition
from streams.agents import tables as ledger_tables
from streams.agents.codec import LedgerCodec
from streams.ledger.journal import Figures, JournalRecord, Posting
from streams.ledger.rows import AccountRow, PartitionRow, Position
from streams.ledger.vocabulary import Input, Kind, Outcome
from streams.reconciliation.accounts import POSTGRES, Account, Cursor
from streams.reconciliation.blocks import BLOCK, Blocks
from streams.reconciliation.books import Books
from streams.reconciliation.breaks import KINDS, SHOWN, Breaks
from streams.reconciliation.follow import Read
from streams.reconciliation.journal import WANTED
from streams.reconciliation.tables import ACCOUNT_FIELDS, ACCOUNTS_TAG, PARTITION_FIELDS, PARTITION_TAG
from streams.reconciliation.transfers import PENDING, POSTED, SETTLED, Transfers
from streams.reconciliation.wire import HEADER, UnreadableRecord, decoder
from streams.settings import Settings

CODEC = LedgerCodec.offline()
DECODE = decoder(definition("JournalRecord"), WANTED)

longs = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=200)
positions = st.builds(Position, st.sampled_from(Input), st.integers(0, 2**31 - 1), longs, st.integers(0, 2**31 - 1))
postings = st.builds(Posting, texts, st.sampled_from(("DEBIT", "CREDIT")), longs, texts)
records = st.builds(
    JournalRecord,
    sequence=longs,
    time=longs,
    rules=st.integers(0, 9),
    input=positions,
    trigger=positions,
    ordinal=st.integers(0, 10_000),
    kind=st.sampled_from(Kind),
    outcome=st.sampled_from(Outcome),
    step=st.integers(0, 3),
    transfer=st.none() | st.binary(min_size=16, max_size=16),
    pending=longs,
    account=st.none() | texts,
    counterparty=st.none() | texts,
    amount=st.none() | longs,
    currency=st.none() | texts,
    reason=st.none() | texts,
    figures=st.none() | st.builds(Figures, longs, longs, longs),
    entry=st.none() | st.lists(postings, max_size=4).map(tuple),
    origin=st.none() | st.binary(min_size=16, max_size=16),
    origin_pending=longs,
    intent=st.none() | st.binary(max_size=300),
    first=st.none(),
    dead_letter=st.none(),
)


def as_bytes(value: Any) -> Any:
    """What the decoder gives for a value of the ledger."""
    if isinstance(value, str):
        return value.encode()
    return tuple(as_bytes(item) for item in value) if isinstance(value, tuple) else value


@given(records)
def test_the_decoder_gives_what_was_written(record: JournalRecord) -> None:
    """Every wanted field of every record, whatever is in it."""
    assert DECODE(CODEC.encode_journal(record)) == tuple(as_bytes(getattr(record, name)) for name in WANTED)


AFTER_THE_ENTRY = 5
"""Bytes of the fields after the entry, where all of them are absent."""


def test_the_decoder_refuses_a_record_that_ends_too_early() -> None:
    """No record is guessed from a part of one."""
    entry = (Posting("ann", "DEBIT", 5, "EUR"), Posting("bob", "CREDIT", 5, "EUR"))
    whole = CODEC.encode_journal(record(300, Outcome.SETTLED, Kind.TRANSFER, transfer=bytes(16), entry=entry))
    assert DECODE(whole[:-AFTER_THE_ENTRY])[0] == 300
    for length in range(HEADER, len(whole) - AFTER_THE_ENTRY):
        with pytest.raises(UnreadableRecord):
            DECODE(whole[:length])


def test_the_tags_are_those_of_the_tables() -> None:
    """Reconciliation shares no code with the tables: what it knows of their keys is held here."""
    tags = {spec.name: spec.tag for spec in ledger_tables.table_specs(Settings(), CODEC)}
    assert (tags["partition"], tags["accounts"]) == (PARTITION_TAG, ACCOUNTS_TAG)


def record(sequence: int, outcome: Outcome = Outcome.APPLIED, kind: Kind = Kind.OPEN, **fields: Any) -> JournalRecord:
    """A journal record of partition 0."""
    at = Position(Input.INTENTS, 0, sequence)
    return JournalRecord(sequence, sequence, 1, at, at, 0, kind, outcome, fields.pop("step", 0), **fields)


def opened(sequence: int, account: str) -> JournalRecord:
    """The OPEN of an account."""
    return record(sequence, transfer=bytes(16), account=account, currency="EUR", figures=Figures(0, 0, 0))


class Desk:
    """Books of one partition, fed by hand."""

    def __init__(self) -> None:
        self.books = Books(1)
        journal, tables = self.books.journal, self.books.tables
        sample = record(1, Outcome.TICKED, Kind.TICK)
        journal.decoders[CODEC.encode_journal(sample)[:HEADER]] = DECODE
        for tag, name, fields, value in (
            (ACCOUNTS_TAG, "AccountRow", ACCOUNT_FIELDS, CODEC.encode_account(AccountRow("EUR"))),
            (PARTITION_TAG, "PartitionRow", PARTITION_FIELDS, CODEC.encode_partition(PartitionRow(0))),
        ):
            tables.decoders[tag][value[:HEADER]] = decoder(definition(name), fields)
        self._offset = 0

    def journal(self, *records: JournalRecord) -> None:
        """Read journal records."""
        values: list[tuple[int, bytes | None, bytes | None]] = [
            (record.sequence, None, CODEC.encode_journal(record)) for record in records
        ]
        self.books.take_journal(Read({0: values}, set(), [records[-1].sequence + 1]))

    def rows(self, *rows: tuple[str, AccountRow] | int, ended: bool = False) -> None:
        """Read table rows; a number is the partition's own row."""
        found: list[tuple[int, bytes | None, bytes | None]] = []
        for row in rows:
            self._offset += 1
            if isinstance(row, int):
                key, value = bytes([PARTITION_TAG]), CODEC.encode_partition(PartitionRow(0, row))
            else:
                key, value = bytes([ACCOUNTS_TAG]) + row[0].encode(), CODEC.encode_account(row[1])
            found.append((self._offset, key, value))
        self.books.take_changelog(Read({0: found}, {0} if ended else set(), [self._offset]))

    def kinds(self) -> set[str]:
        """The breaks that stand."""
        return {b.kind for b in self.books.breaks.shown()}


def test_a_row_that_compaction_removed_is_no_break() -> None:
    """Only the newest row of a key is left in a compacted changelog, beside partition rows of the past."""
    desk = Desk()
    desk.journal(
        opened(1, "ann"), record(2, kind=Kind.FREEZE, account="ann", figures=Figures(0, 0, 0)), opened(3, "bob")
    )
    desk.rows(1, ("bob", AccountRow("EUR", version=3)), 3)
    desk.books.waves.questions({})
    assert desk.books.tables.suspects()
    desk.rows(("ann", AccountRow("EUR", version=2)), ended=True)
    assert not desk.books.tables.suspects()
    assert desk.kinds() == set()


def test_rows_of_a_transaction_may_stand_on_either_side_of_its_partition_row() -> None:
    """Only the next transaction, or the end, says that a transaction's rows are complete."""
    desk = Desk()
    desk.journal(opened(1, "ann"), opened(2, "bob"), opened(3, "cid"))
    desk.rows(("ann", AccountRow("EUR", version=1)), 2)
    assert desk.books.tables.position(0) == 0
    desk.rows(("bob", AccountRow("EUR", version=2)), ("cid", AccountRow("EUR", version=3)), 3)
    assert desk.books.tables.position(0) == 2
    desk.rows(ended=True)
    assert desk.books.tables.position(0) == 3
    assert desk.kinds() == set()
    assert not desk.books.tables.suspects()


def test_rows_wait_for_a_journal_that_is_read_later() -> None:
    """The changelog may be read ahead of the journal: that is no row from nowhere."""
    desk = Desk()
    desk.rows(("ann", AccountRow("EUR", version=1)), 1, ended=True)
    desk.journal(opened(1, "ann"))
    desk.books.catch_up()
    assert desk.books.tables.position(0) == 1
    assert desk.kinds() == set()


def test_an_effect_read_before_its_cause_is_no_break_until_all_was_read() -> None:
    """Partitions are read side by side; only what never had a cause is a break."""
    breaks = Breaks(lambda: 0)
    transfers = Transfers(breaks)
    terms = (5, b"EUR", b"ann", b"bob")
    transfers.take(SETTLED, (b"t", 1), terms, 1, 7)
    transfers.take(SETTLED, (b"u", 1), terms, 1, 8)
    asked = list(transfers.uncaused)
    transfers.take(PENDING, (b"t", 1), terms, 0, 1)
    transfers.never_caused(asked)
    assert [(b.kind, b.sequence) for b in breaks.shown()] == [("step_without_cause", 8)]
    transfers.take(POSTED, (b"t", 1), terms, 0, 2)
    assert len(transfers) == 0


def test_a_place_that_is_too_far_behind_is_not_compared_until_it_has_caught_up() -> None:
    """What is kept is bounded; the place is blind meanwhile, never wrong."""
    cursor = Cursor(POSTGRES, 1, longest_queue=10)
    account = Account(b"ann", 0, b"EUR")
    for sequence in range(1, 13):
        cursor.queues[0].append((sequence, account, (sequence, (0, 0, sequence))))
        cursor.bound(0)
    assert len(cursor.queues[0]) <= 10
    assert not cursor.comparable(0, 3)
    assert cursor.blind[0]
    assert cursor.comparable(0, 12)
    cursor.advance(0, 12)
    assert account.at[POSTGRES] == (12, (0, 0, 12))
    assert cursor.sums[b"EUR"].credits_posted == 12


def test_a_block_has_the_same_digest_however_it_is_cut() -> None:
    """The tail of the journal and, later, the full block that it becomes a part of."""
    blocks, same = Blocks(0), Blocks(0)
    lines = [DECODE(CODEC.encode_journal(opened(n, f"a{n}"))) for n in range(1, BLOCK + 3)]
    for n, line in enumerate(lines[:5]):
        blocks.add(line, n)
    for n, line in enumerate(lines[:3]):
        same.add(line, n)
    cut, whole = blocks.tail(3), same.tail(3)
    assert cut is not None
    assert cut == whole
    for n, line in enumerate(lines[5:], 5):
        blocks.add(line, n)
    assert blocks.full(BLOCK + 2) == 1
    assert blocks.full(BLOCK - 1) == 0
    assert (blocks.block(0).first, blocks.block(0).last) == (1, BLOCK)
    assert blocks.tail(BLOCK) is None
    tail = blocks.tail(BLOCK + 2)
    assert tail is not None
    assert (tail.first, tail.last, tail.offset) == (BLOCK + 1, BLOCK + 2, BLOCK)


def test_a_report_lists_a_bounded_number_of_breaks_and_counts_all() -> None:
    """A journal that is wrong from end to end fills neither memory nor the topic."""
    breaks = Breaks(lambda: 0)
    for sequence in range(1, 20_001):
        breaks.add("journal_gap", 0, sequence=sequence, expected="", found="")
    assert len(breaks) == 20_000
    assert len(breaks.shown()) == SHOWN


def test_every_kind_of_break_is_documented() -> None:
    """docs/reconciliation.md has every kind, with its meaning and what to do."""
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "reconciliation.md").read_text()
    for kind in KINDS.values():
        assert f"| `{kind.code}` | {kind.meaning} |" in page, kind.code
