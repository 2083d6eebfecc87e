"""What the real ledger writes, life and trouble, is what the sink and Postgres expect: rules of three authors agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import psycopg
import pytest

from connectors.generator import generate, opening
from sinks import writer
from sinks.batch import decode_batch
from sinks.migrate import migrate
from sinks.positions import read_positions
from streams.agents.codec import LedgerCodec
from streams.agents.payments import Payments
from streams.engine.driver import TestDriver
from streams.ledger.journal import JournalRecord
from streams.settings import Settings

pytestmark = pytest.mark.stack

CODEC = LedgerCodec.offline()
PARTITIONS = 8
WAITS = (90, 90, 10 * 86_400, 60)
"""Seconds that pass at the end: long enough for every gap to time out and for every hold to expire."""


def lived(seed: int, count: int) -> list[tuple[int, int, bytes]]:
    """The journal (partition, offset, value) of a generated life, decided by the real agents without a broker."""
    topology = Payments(Settings(partitions=PARTITIONS), CODEC).topology()
    driver = TestDriver(topology, PARTITIONS)
    for group in (opening(seed, 60), generate(seed, count, 60, trouble=25, partitions=PARTITIONS)):
        for number, made in enumerate(group):
            key, value = made.encoded(CODEC.encode_intent)
            driver.send(topology.intents, key, value, made.partition)
            if number % 100 == 0:
                driver.run()
        driver.run()
    for seconds in WAITS:
        driver.now_ms += seconds * 1000
        for partition in range(PARTITIONS):
            driver.send(topology.intents, None, None, partition)
        driver.run()
    return [(r.partition, r.offset, r.value or b"") for r in driver.records(topology.journal)]


def test_everything_that_the_ledger_writes_is_understood(fresh_database: Callable[[], str]) -> None:
    """A life with holds, captures, reversals, duplicates, gaps and bad records: no figure contradicts another."""
    dsn = fresh_database()
    migrate(dsn)
    messages = lived(seed=7, count=4000)
    with writer.connect(dsn, 1) as connection:
        positions = read_positions(connection, 1, PARTITIONS)
        for start in range(0, len(messages), 700):
            part = messages[start : start + 700]
            batch = decode_batch(positions, part, CODEC.decode_journal, CODEC.decode_intent)
            writer.write(connection, 1, batch)
            positions = batch.positions
    records = [CODEC.decode_journal(value) for *_, value in messages]
    with psycopg.connect(dsn) as connection:
        outcomes = connection.execute(
            "SELECT kind, outcome, count(*) FROM twofold.transfer_events GROUP BY 1, 2"
        ).fetchall()
        assert {(kind, outcome): n for kind, outcome, n in outcomes} == Counter((r.kind, r.outcome) for r in records)
        figures = {r.account: (*r.figures, r.sequence) for r in records if r.figures is not None}
        for table in ("account_balances", "derived_balances"):
            rows = connection.execute(
                f"SELECT account, debits_pending, debits_posted, credits_posted, version FROM twofold.{table}".encode()
            ).fetchall()
            assert {row[0]: row[1:] for row in rows} == figures, table
        check_transfers(connection, records)
        for debits, credits, in_flight in connection.execute(
            "SELECT debits, credits, in_flight FROM twofold.trial_balance"
        ):
            assert (debits, in_flight) == (credits, 0)
    assert {r.outcome for r in records} >= {"REFUSED", "COMPENSATED", "DUPLICATE", "DEAD_LETTERED", "PARKED", "EXPIRED"}


def check_transfers(connection: psycopg.Connection, records: list[JournalRecord]) -> None:
    """The view has one row for each transfer that took a key, in its final state."""
    final = Counter(
        (r.kind, r.outcome)
        for r in records
        if (r.step == 3 and r.outcome in ("POSTED", "COMPENSATED"))
        or (r.step == 1 and r.outcome == "REJECTED" and r.kind != "HOLD" and took_a_key(r))
    )
    rows = connection.execute("SELECT kind, state, count(*) FROM twofold.transfers GROUP BY 1, 2")
    assert {(kind, state): n for kind, state, n in rows.fetchall()} == final


def took_a_key(record: JournalRecord) -> bool:
    reason = record.reason or ""
    return reason != "misrouted" and not reason.startswith("exists_")
