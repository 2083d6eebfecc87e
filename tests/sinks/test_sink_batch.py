"""A batch made of journal records, without Kafka and Postgres: what it refuses, and what its rows hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from sinks import rows
from sinks.balances import SIGNS
from sinks.batch import Batch
from sinks.errors import FiguresDisagree, JournalGap, Unreadable
from sinks.migrate import migrate
from sinks.positions import SinkPosition, fingerprint
from streams.agents.codec import LedgerCodec
from streams.ledger.intents import OpenAccount
from streams.ledger.journal import Figures, JournalRecord
from streams.ledger.rows import Position
from streams.ledger.vocabulary import Input, Kind, Outcome
from tests.sinks.journals import START, Ledger

CODEC = LedgerCodec.offline()
AT = Position(Input.INTENTS, 0, 5)
LONGEST = 2**63 - 1


@pytest.fixture
def ledger() -> Ledger:
    """A ledger of two partitions with a payer and a payee."""
    ledger = Ledger(2, CODEC.encode_intent)
    ledger.open("payer")
    ledger.open("payee")
    return ledger


def batch_of(records: list[tuple[int, JournalRecord]]) -> Batch:
    batch = Batch({0: SinkPosition(0), 1: SinkPosition(1)}, CODEC.decode_intent)
    for partition, record in records:
        batch.add(partition, 10 + record.sequence, CODEC.encode_journal(record), record)
    return batch


def test_positions_are_those_of_the_last_records(ledger: Ledger) -> None:
    """A batch moves each of its partitions to its last record: sequence, offset and hash."""
    ledger.transfer("payer", "payee", 5, "one")
    batch = batch_of(ledger.records)
    partition, last = ledger.records[-1]
    assert batch.positions[partition] == SinkPosition(
        partition, last.sequence, 10 + last.sequence, fingerprint(CODEC.encode_journal(last))
    )
    assert [old for old, _ in batch.moves] == [SinkPosition(0), SinkPosition(1)]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_gap_inside_a_batch_is_refused(ledger: Ledger, missing: int) -> None:
    """A record that is missing within a batch stops it as one between two batches does."""
    ledger.transfer("payer", "payee", 5, "one")
    mine = [(p, r) for p, r in ledger.records if p == 0]
    del mine[missing]
    if missing == len(mine):
        batch_of(mine)  # the last one is merely not there yet
        return
    with pytest.raises(JournalGap, match=f"sequence {missing + 2} where {missing + 1} is next"):
        batch_of(mine)


def test_figures_that_contradict_each_other_in_a_batch_are_refused(ledger: Ledger) -> None:
    """Each record's figures are the account's last ones plus the record's own amount."""
    ledger.transfer("payer", "payee", 5, "one")
    ledger.move("payer", pending=7)
    ledger.transfer("payer", "payee", 5, "two")
    with pytest.raises(FiguresDisagree, match=r"account payer: .* The journal contradicts itself"):
        batch_of(ledger.records)


def test_balances_change_by_what_the_records_add(ledger: Ledger) -> None:
    """Deltas are those of the records; the version is the account's last record's sequence."""
    ledger.transfer("payer", "payee", 5, "one")
    ledger.refused("payer", "payee", 7, "two")
    ledger.transfer("payer", "payee", 9, "three", upto=1)
    changes = {change.account: change for change in batch_of(ledger.records).changes}
    assert changes["payer"].deltas == (9, 5, 0)
    assert changes["payee"].deltas == (0, 0, 5)
    assert changes["payer"].version == ledger.records[-1][1].sequence


@pytest.mark.parametrize(
    "intent",
    [
        None,
        b"",
        b"\x00\x00\x00\x00\x01",
        CODEC.encode_journal(JournalRecord(1, 0, 1, AT, AT, 0, Kind.TICK, Outcome.TICKED, 0)),
    ],
)
def test_account_that_is_opened_without_its_intent_is_refused(ledger: Ledger, intent: bytes | None) -> None:
    """What an account was opened as comes from its intent; a record without a readable one stops the sink."""
    partition, record = ledger.records[0]
    with pytest.raises(Unreadable, match="opens account payer"):
        batch_of([(partition, record._replace(intent=intent))])


@pytest.fixture(scope="module")
def tables(postgres: str) -> Iterator[psycopg.Connection]:
    """Tables with the columns of the ledger's and no rules, to read packed rows back from; undone afterwards."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS packed")
        connection.execute("CREATE DATABASE packed")
    dsn = postgres.rsplit("/", 1)[0] + "/packed"
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        yield connection


def read_back(connection: psycopg.Connection, table: str, columns: str, packed: bytes) -> list[tuple[object, ...]]:
    """The rows as Postgres understood them."""
    connection.execute(f"CREATE TEMP TABLE p (LIKE ledger_1.{table}) ON COMMIT DROP".encode())
    with connection.cursor().copy(f"COPY p ({columns}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.write(rows.HEADER + packed + rows.TRAILER)
    found = connection.execute(f"SELECT {columns} FROM p".encode()).fetchall()
    connection.rollback()
    return found


FULL = JournalRecord(
    sequence=LONGEST,
    time=START + 123_456,
    rules=1,
    input=Position(Input.LEGS, 3, LONGEST, 7),
    trigger=Position(Input.INTENTS, 4, 0, 0),
    ordinal=2,
    kind=Kind.CAPTURE,
    outcome=Outcome.COMPENSATED,
    step=3,
    transfer=bytes(range(16)),
    pending=8,
    account="ä" * 64,
    counterparty="b:._-",
    amount=LONGEST,
    currency="JPY",
    reason="payee_frozen",
    figures=Figures(1, LONGEST, 3),
    origin=bytes(range(16, 32)),
    origin_pending=9,
)
BARE = JournalRecord(1, 0, 1, AT, AT, 0, Kind.TICK, Outcome.TICKED, 0)


@pytest.mark.stack
def test_packed_row_of_a_full_record_reads_back(tables: psycopg.Connection) -> None:
    """Every column at its extremes means in Postgres what it meant in the record."""
    ((*row,),) = read_back(tables, "transfer_events", rows.TRANSFER_EVENTS, rows.event_row(2, FULL))
    time = row.pop(2)
    assert time.isoformat() == "2025-06-15T15:06:40.123456+00:00"  # type: ignore[attr-defined]
    assert row == [
        *(2, LONGEST, 1, "CAPTURE", "COMPENSATED", 3, uuid.UUID(bytes=bytes(range(16))), 8, "ä" * 64, "b:._-"),
        *(LONGEST, "JPY", "payee_frozen", 1, LONGEST, 3, uuid.UUID(bytes=bytes(range(16, 32))), 9),
        *("LEGS", 3, LONGEST, 7, "INTENTS", 4, 0, 0, 2),
    ]


@pytest.mark.stack
def test_packed_row_of_a_bare_record_reads_back(tables: psycopg.Connection) -> None:
    """A record with nothing but what every record has: the rest is null."""
    ((*row,),) = read_back(tables, "transfer_events", rows.TRANSFER_EVENTS, rows.event_row(0, BARE))
    assert row[7] is None
    assert row[9:18] == [None] * 9
    assert row[2].isoformat() == "1970-01-01T00:00:00+00:00"  # type: ignore[attr-defined]


@pytest.mark.stack
@pytest.mark.parametrize(
    ("asked", "kept"),
    [("nul\x00nul", "nul␀nul"), ("x" * 200_000, "x" * 64 + "…"), ("\x00" * 65, "␀" * 64 + "…"), ("", "")],
)
def test_refused_id_that_postgres_cannot_hold_does_not_stop_the_sink(
    tables: psycopg.Connection, asked: str, kept: str
) -> None:
    """Clients choose what stands in a refused intent: NUL and any length come through, and never look like an id."""
    refused = BARE._replace(kind=Kind.TRANSFER, outcome=Outcome.REJECTED, step=1, account=asked, counterparty=asked)
    refused = refused._replace(currency=asked, reason="invalid_account_id", amount=-LONGEST - 1)
    ((*row,),) = read_back(tables, "transfer_events", rows.TRANSFER_EVENTS, rows.event_row(0, refused))
    assert row[9:14] == [kept, kept, -LONGEST - 1, kept, "invalid_account_id"]


@pytest.mark.stack
def test_packed_account_reads_back(tables: psycopg.Connection) -> None:
    """What an account was opened with, metadata as JSON, with what Postgres's JSON cannot hold made visible."""
    opened = OpenAccount(
        "a", "k", "EUR", "tenant", "o\x00wner", "näme", "type", metadata={"k\x00": '"\\\x00\n', "": "🦊"}
    )
    record = BARE._replace(sequence=7, account="a", kind=Kind.OPEN)
    ((*row,),) = read_back(tables, "accounts", rows.ACCOUNTS, rows.account_row(3, record, opened))
    assert row[:8] == ["a", 3, 7, "EUR", "tenant", "o␀wner", "näme", "type"]
    assert row[8] == {"k␀": '"\\␀\n', "": "🦊"}


CHANGES_NOTHING = {
    (Outcome.APPLIED, kind): (0, 0, 0) for kind in (Kind.OPEN, Kind.SET_LIMITS, Kind.FREEZE, Kind.UNFREEZE, Kind.CLOSE)
}
"""Records that carry figures and change none of them."""


@pytest.mark.stack
@pytest.mark.parametrize(
    ("outcome", "kind", "signs"), [(*pair, signs) for pair, signs in {**SIGNS, **CHANGES_NOTHING}.items()]
)
def test_sink_and_view_agree_on_what_each_record_changes(
    tables: psycopg.Connection, outcome: Outcome, kind: Kind, signs: tuple[int, int, int]
) -> None:
    """The signs by which the sink adds are those of the view ``movements``, for every record that carries figures."""
    tables.execute(
        "INSERT INTO ledger_1.transfer_events VALUES (0, 1, now(), 1, %s, %s, 1, NULL, 0, 'a', 'b', 5, 'EUR', NULL, "
        "9, 9, 9, NULL, 0, 'INTENTS', 0, 0, 0, 'INTENTS', 0, 0, 0, 0)",
        [kind, outcome],
    )
    found = tables.execute("SELECT debits_pending, debits_posted, credits_posted FROM ledger_1.movements").fetchall()
    tables.rollback()
    assert found == [tuple(5 * sign for sign in signs)]
