"""What is read from Postgres: positions and rows of one REPEATABLE READ snapshot, and the reports that are added.

Everything here blocks and runs in a thread of its own. The append-only tables are hashed by Postgres, over the same
lines of text that :mod:`streams.reconciliation.blocks` makes of the journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.types.json import Jsonb

from streams.reconciliation.blocks import NAMELESS, Digests, Range
from streams.settings import Settings

ROLE = "twofold_reconciler"
TIMEOUT_SECONDS = 60
"""A statement that takes longer is given up; the next round tries again."""

TIME = "encode(timestamptz_send(time), 'hex')"
"""Microseconds since 2000, 64 bits: the fastest exact text of a time."""
_NAMELESS = ", ".join(f"'{outcome.decode()}'" for outcome in sorted(NAMELESS))
EVENT_LINE = f"""concat_ws('|', sequence, {TIME}, kind, outcome, step,
    coalesce(encode(uuid_send(transfer), 'hex'), ''), pending, coalesce(amount::text, ''), coalesce(reason, ''),
    CASE WHEN debits_pending IS NULL THEN '||' ELSE concat_ws('|', debits_pending, debits_posted, credits_posted) END,
    CASE WHEN outcome IN ({_NAMELESS}) THEN '||'
    ELSE concat_ws('|', coalesce(account, ''), coalesce(counterparty, ''), coalesce(currency, '')) END)"""
ENTRY_LINE = f"concat_ws('|', sequence, encode(uuid_send(transfer), 'hex'), kind, {TIME})"
POSTING_LINE = "concat_ws('|', sequence, account, side, amount, currency)"
TABLES = (
    ("transfer_events", EVENT_LINE, "sequence"),
    ("entries", ENTRY_LINE, "sequence"),
    ("postings", POSTING_LINE, "sequence, line"),
)
"""The append-only tables: name, line of text of a row, order of the rows."""

_DIGESTS = ", ".join(
    f"(SELECT md5(coalesce(string_agg({line}, E'\\n' ORDER BY {order}), '')) FROM {table} "
    "WHERE partition = r.p AND sequence BETWEEN r.a AND r.b)"
    for table, line, order in TABLES
)
DIGESTS = (
    f"SELECT {_DIGESTS} FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) WITH ORDINALITY AS r(p, a, b, n) ORDER BY n"
)

BALANCE = (
    "SELECT account, partition, currency, version, debits_pending, debits_posted, credits_posted FROM account_balances "
)
SUMS = """SELECT currency, count(*), sum(debits_pending)::text, sum(debits_posted)::text, sum(credits_posted)::text
FROM account_balances GROUP BY currency"""
_BEYOND = ", ".join(
    f"(SELECT min(sequence) FROM {table} t WHERE t.partition = p.partition AND t.sequence > coalesce(s.sequence, 0))"
    for table, _, _ in TABLES
)
BEYOND = f"""SELECT p.partition, {_BEYOND}
FROM generate_series(0, %s - 1) AS p(partition) LEFT JOIN sink_positions s USING (partition)"""


class Balance(NamedTuple):
    """A row of account_balances."""

    account: str
    partition: int
    currency: str
    version: int
    debits_pending: int
    debits_posted: int
    credits_posted: int


class Wanted(NamedTuple):
    """What to read in a snapshot."""

    changed: list[str]
    """Accounts whose balances changed since the last snapshot."""
    after: str
    """Where the sweep of the balances goes on."""
    most: int
    """How many rows the sweep reads."""
    ranges: list[Range]
    """Ranges of the append-only tables to hash."""
    sums: bool
    """Whether to sum over all balances."""


class Found(NamedTuple):
    """What was there."""

    changed: list[Balance]
    swept: list[Balance]
    digests: list[Digests]
    sums: dict[str, tuple[int, int, int, int]] | None
    """By currency: accounts, debits_pending, debits_posted, credits_posted."""
    beyond: list[tuple[str, int, int]]
    """(table, partition, sequence) of rows beyond the sink's position: the first of each table and partition."""


class Ledger:
    """The sink's tables of one epoch, read under the reconciler's role."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: psycopg.Connection[Any] | None = None

    def begin(self) -> dict[int, int]:
        """Begin a snapshot; gives the sink's positions (journal sequence by partition) in it. Raises psycopg.Error."""
        connection = self._connected()
        connection.rollback()
        rows = connection.execute("SELECT partition, sequence FROM sink_positions").fetchall()
        return dict(rows)

    def read(self, wanted: Wanted) -> Found:
        """Read what is wanted in the snapshot, and end it. Raises psycopg.Error."""
        connection = self._connected()
        changed: list[Balance] = []
        if wanted.changed:
            rows = connection.execute(BALANCE + "WHERE account = ANY(%s)", (wanted.changed,)).fetchall()
            changed = [Balance(*row) for row in rows]
        sweep = connection.execute(
            BALANCE + "WHERE account > %s ORDER BY account LIMIT %s", (wanted.after, wanted.most)
        )
        swept = [Balance(*row) for row in sweep]
        sums = None
        if wanted.sums:
            sums = {
                currency: (count, int(pending), int(debits), int(credits))
                for currency, count, pending, debits, credits in connection.execute(SUMS)
            }
        found = Found(changed, swept, self._digests(wanted.ranges), sums, self._beyond())
        connection.rollback()
        return found

    def lines(self, table: str, line: str, order: str, part: Range) -> list[bytes]:
        """The lines of one table and range themselves."""
        query = f"SELECT {line} FROM {table} WHERE partition = %s AND sequence BETWEEN %s AND %s ORDER BY {order}"
        rows = self._connected().execute(query.encode(), (part.partition, part.first, part.last)).fetchall()
        return [row[0].encode() for row in rows]

    def report(self, verdict: str, breaks: int, report: dict[str, Any]) -> None:
        """Add a report to twofold.reconciliation_reports. Raises psycopg.Error."""
        connection = self._connected()
        connection.rollback()
        connection.execute("SET TRANSACTION READ WRITE")
        connection.execute(
            "INSERT INTO twofold.reconciliation_reports (epoch, verdict, breaks, report) VALUES (%s, %s, %s, %s)",
            (self._settings.sink_epoch, verdict, breaks, Jsonb(report)),
        )
        connection.commit()

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Drop the connection if the work within fails: the next work makes a new one."""
        try:
            yield
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(
                self._settings.postgres_dsn,
                application_name="twofold reconcile",
                connect_timeout=5,
                options=f"-c statement_timeout={TIMEOUT_SECONDS}s -c jit=off",
            )
            schema = sql.Identifier(f"ledger_{self._settings.sink_epoch}")
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ROLE)))
            connection.execute(sql.SQL("SET search_path TO {}").format(schema))
            connection.commit()
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            self._connection = connection
        return self._connection

    def _digests(self, ranges: Sequence[Range]) -> list[Digests]:
        if not ranges:
            return []
        columns = ([r.partition for r in ranges], [r.first for r in ranges], [r.last for r in ranges])
        return [Digests(*row) for row in self._connected().execute(DIGESTS.encode(), columns).fetchall()]

    def _beyond(self) -> list[tuple[str, int, int]]:
        rows = self._connected().execute(BEYOND.encode(), (self._settings.partitions,)).fetchall()
        return [
            (TABLES[n][0], partition, sequence)
            for partition, *firsts in rows
            for n, sequence in enumerate(firsts)
            if sequence is not None
        ]
