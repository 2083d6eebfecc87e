"""What Postgres holds, all of one REPEATABLE READ snapshot, seen through the views of the live epoch."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from psycopg import IsolationLevel, sql

from streams.settings import Settings

LOUD = "('PENDING', 'SETTLED', 'REFUSED', 'POSTED', 'COMPENSATED', 'EXPIRED', 'APPLIED')"
"""Outcomes whose names and currency are valid, so that Postgres holds them as they are in the journal."""
MICROS = "(extract(epoch FROM time) * 1000000)::bigint"
EVENT_LINE = f"""concat_ws('|', partition, sequence, {MICROS}, rules, kind, outcome, step,
    coalesce(encode(uuid_send(transfer), 'hex'), ''), pending,
    CASE WHEN outcome IN {LOUD} THEN coalesce(account, '') ELSE '' END,
    CASE WHEN outcome IN {LOUD} THEN coalesce(counterparty, '') ELSE '' END,
    coalesce(amount::text, ''),
    CASE WHEN outcome IN {LOUD} THEN coalesce(currency, '') ELSE '' END,
    coalesce(reason, ''), coalesce(debits_pending::text, ''), coalesce(debits_posted::text, ''),
    coalesce(credits_posted::text, ''), coalesce(encode(uuid_send(origin), 'hex'), ''), origin_pending,
    input_topic, input_partition, input_offset, input_leg,
    trigger_topic, trigger_partition, trigger_offset, trigger_leg, ordinal)"""
POSTING_LINE = "concat_ws('|', partition, sequence, line, account, side, amount, currency)"
_PIECES = ", ".join(f"coalesce(sum(('x' || substr(h, {at}, 8))::bit(32)::bigint), 0)" for at in (1, 9, 17, 25))
DIGEST = """SELECT partition, count(*), max(sequence), {pieces}
FROM (SELECT partition, sequence, md5({line}) AS h FROM {table}) AS hashed GROUP BY partition"""


class Digest(NamedTuple):
    """A sum of row hashes (MD5 as a number) modulo 2^128, and how many rows and how far."""

    rows: int = 0
    last: int = 0
    sum: int = 0


class Position(NamedTuple):
    """How far the sink is in one partition."""

    sequence: int
    offset: int
    hash: bytes


class Balance(NamedTuple):
    """An account's figures in Postgres."""

    partition: int
    currency: str
    debits_pending: int
    debits_posted: int
    credits_posted: int
    version: int


class Books(NamedTuple):
    """Postgres at one moment."""

    positions: dict[int, Position]
    balances: dict[str, Balance]
    events: dict[int, Digest]
    postings: dict[int, Digest]
    entries: dict[int, tuple[int, int]]
    """Partition -> (entries, of them with postings)."""
    unbalanced: list[tuple[int, int, str, int]]
    """(partition, sequence, currency, debits - credits) of entries that do not sum to zero."""
    underived: list[tuple[Any, ...]]
    """Accounts whose balance is not the sum of their events: (account, balance's figures, the sums)."""
    totals: dict[str, tuple[int, int]]
    """Currency -> (debits, credits) over all postings."""
    outcomes: dict[tuple[str, str, str], int]
    """(kind, outcome, reason or "") -> number of events."""


UNBALANCED = """SELECT partition, sequence, currency, sum(CASE side WHEN 'D' THEN amount ELSE -amount END)::bigint
FROM twofold.postings GROUP BY partition, sequence, currency
HAVING sum(CASE side WHEN 'D' THEN amount ELSE -amount END) <> 0 ORDER BY partition, sequence LIMIT 10"""
UNDERIVED = """SELECT coalesce(b.account, d.account),
    concat_ws('/', b.partition, b.debits_pending, b.debits_posted, b.credits_posted, b.version),
    concat_ws('/', d.partition, d.debits_pending, d.debits_posted, d.credits_posted, d.version)
FROM twofold.account_balances b FULL JOIN twofold.derived_balances d ON b.account = d.account
WHERE (b.partition, b.debits_pending, b.debits_posted, b.credits_posted, b.version) IS DISTINCT FROM
    (d.partition, d.debits_pending::bigint, d.debits_posted::bigint, d.credits_posted::bigint, d.version) LIMIT 10"""
ENTRIES = """SELECT e.partition, count(*), count(p.sequence) FROM twofold.entries e
LEFT JOIN (SELECT DISTINCT partition, sequence FROM twofold.postings) p USING (partition, sequence) GROUP BY 1"""
TOTALS = """SELECT currency, coalesce(sum(amount) FILTER (WHERE side = 'D'), 0)::text,
    coalesce(sum(amount) FILTER (WHERE side = 'C'), 0)::text FROM twofold.postings
GROUP BY currency ORDER BY currency"""

OUTCOMES = "SELECT kind, outcome, coalesce(reason, ''), count(*) FROM twofold.transfer_events GROUP BY 1, 2, 3"


class CannotReadBooks(RuntimeError):
    """Postgres cannot be read; the message says what to do."""


def read_books(settings: Settings) -> Books:
    """Everything in one snapshot. Raises CannotReadBooks."""
    try:
        with connect(settings) as connection:
            return _read(connection)
    except psycopg.Error as error:
        raise CannotReadBooks(f"Postgres: {error}. Is TWOFOLD_POSTGRES_DSN right, did `twofold migrate` run?") from None


def connect(settings: Settings) -> psycopg.Connection[Any]:
    """A read-only connection whose transactions are snapshots."""
    connection = psycopg.connect(
        settings.postgres_dsn,
        application_name="twofold verify",
        connect_timeout=5,
        options="-c role=twofold_reader -c jit=off -c work_mem=64MB",
    )
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def event_lines(settings: Settings, partition: int, last: int) -> list[tuple[int, str]]:
    """(sequence, line) of one partition's events up to a sequence: to find the one that differs."""
    query = (
        f"SELECT sequence, {EVENT_LINE} FROM twofold.transfer_events WHERE partition = %s AND sequence <= %s ORDER BY 1"
    )
    with connect(settings) as connection:
        return connection.execute(query.encode(), (partition, last)).fetchall()


def posting_lines(settings: Settings, partition: int, last: int) -> list[tuple[int, str]]:
    """The same of its postings."""
    query = f"""SELECT sequence, {POSTING_LINE} FROM twofold.postings
        WHERE partition = %s AND sequence <= %s ORDER BY 1, line"""
    with connect(settings) as connection:
        return connection.execute(query.encode(), (partition, last)).fetchall()


def _read(connection: psycopg.Connection[Any]) -> Books:
    positions = {
        row[0]: Position(row[1], row[2], bytes(row[3]))
        for row in connection.execute("SELECT partition, sequence, kafka_offset, hash FROM twofold.sink_positions")
    }
    balances = {
        row[0]: Balance(*row[1:])
        for row in connection.execute(
            "SELECT account, partition, currency, debits_pending, debits_posted, credits_posted, version "
            "FROM twofold.account_balances"
        )
    }
    entries = {row[0]: (row[1], row[2]) for row in connection.execute(ENTRIES)}
    totals = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(TOTALS)}
    return Books(
        positions,
        balances,
        _digests(connection, "transfer_events", EVENT_LINE),
        _digests(connection, "postings", POSTING_LINE),
        entries,
        connection.execute(UNBALANCED).fetchall(),
        connection.execute(UNDERIVED).fetchall(),
        totals,
        {(kind, outcome, reason): count for kind, outcome, reason, count in connection.execute(OUTCOMES)},
    )


def _digests(connection: psycopg.Connection[Any], table: str, line: str) -> dict[int, Digest]:
    query = sql.SQL(DIGEST).format(
        pieces=sql.SQL(_PIECES),
        line=sql.SQL(line),
        table=sql.Identifier("twofold", table),
    )
    found = {}
    for partition, rows, last, *pieces in connection.execute(query):
        total = sum(int(piece) << shift for piece, shift in zip(pieces, (96, 64, 32, 0), strict=True))
        found[partition] = Digest(rows, last, total % 2**128)
    return found
