"""What people ask of the ledger in Postgres, read under the read-only role from the views of the live epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

READER_ROLE = "twofold_reader"

Row = dict[str, Any]
"""One row of a view, by column name: what is printed or written as JSON, nothing else."""

ACCOUNT = """
SELECT a.id, s.status, s.currency, s.balance, s.debits_pending, s.debits_posted, s.credits_posted, s.version,
       a.tenant, a.owner, a.name, a.type, a.metadata, a.opened_at, a.partition
FROM twofold.accounts a JOIN twofold.account_states s ON s.account = a.id
WHERE a.id = %s
"""
# A payer's records lie in one partition and a payee's in another, so their times and sequences do not order them. The
# occurrences of an id come one after the other, and the steps of one do.
LIFECYCLE = """
SELECT time, partition, sequence, step, kind, outcome, account, counterparty, amount, currency, reason, pending,
       debits_pending, debits_posted, credits_posted, origin, input_topic, input_partition, input_offset
FROM twofold.transfer_events
WHERE transfer = %s
ORDER BY CASE WHEN step > 1 THEN pending ELSE sequence END, step, sequence
"""
POSTINGS = """
SELECT p.partition, p.sequence, p.line, p.account, p.side, p.amount, p.currency
FROM twofold.entries e JOIN twofold.postings p USING (partition, sequence)
WHERE (e.partition, e.sequence) IN (
    SELECT partition, sequence FROM twofold.transfer_events WHERE transfer = %s AND outcome = 'SETTLED')
ORDER BY 1, 2, 3
"""
STATEMENT = """
SELECT time, sequence, transfer, kind, side, counterparty, amount, change, balance
FROM twofold.statement_lines
WHERE account = %s AND time >= coalesce(%s::timestamptz, '-infinity') AND time < coalesce(%s::timestamptz, 'infinity')
ORDER BY sequence
"""
BALANCE_BEFORE = """
SELECT balance FROM twofold.statement_lines WHERE account = %s AND time < %s ORDER BY sequence DESC LIMIT 1
"""


class NotThere(LookupError):
    """Postgres does not know the account or transfer (yet)."""


@contextmanager
def reading(dsn: str) -> Iterator[psycopg.Connection[Row]]:
    """A read-only snapshot of the ledger as the role of readers."""
    with psycopg.connect(
        make_conninfo(dsn, application_name="twofold", connect_timeout=5), row_factory=dict_row
    ) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(f"SET LOCAL ROLE {READER_ROLE}".encode())
        yield connection


def account(connection: psycopg.Connection[Row], id: str) -> Row:
    """An account with its figures (minor units) and status. Raises NotThere."""
    row = connection.execute(ACCOUNT, [id]).fetchone()
    if row is None:
        raise NotThere(f"there is no account {id} in Postgres: it was never opened, or the sink has not come to it yet")
    return row


def lifecycle(connection: psycopg.Connection[Row], transfer: UUID) -> tuple[list[Row], list[Row]]:
    """Every journal record of a transfer id in the order of its steps, and its postings. Raises NotThere."""
    events = connection.execute(LIFECYCLE, [transfer]).fetchall()
    if not events:
        raise NotThere(
            f"there is no transfer {transfer} in Postgres: no intent gave this id, or the sink has not come to it yet"
        )
    return events, connection.execute(POSTINGS, [transfer]).fetchall()


def statement(
    connection: psycopg.Connection[Row], id: str, start: datetime | None, end: datetime | None
) -> tuple[int, list[Row]]:
    """The balance before the lines from ``start`` up to, not including, ``end``; and the lines. Raises NotThere."""
    account(connection, id)
    lines = connection.execute(STATEMENT, [id, start, end]).fetchall()
    if lines:
        return lines[0]["balance"] - lines[0]["change"], lines
    before = connection.execute(BALANCE_BEFORE, [id, start]).fetchone() if start is not None else None
    return (0 if before is None else before["balance"]), lines
