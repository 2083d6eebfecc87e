"""One batch, one Postgres transaction: positions first, then the rows, then the balances."""

from __future__ import annotations

from collections.abc import Iterable
from struct import pack

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format

from sinks import rows
from sinks.balances import Change
from sinks.batch import Batch
from sinks.errors import FiguresDisagree
from sinks.migrate import schema_of
from sinks.positions import advance

WRITER_ROLE = "twofold_writer"
ADD_CHANGES = """
UPDATE account_balances b
SET debits_pending = b.debits_pending + c.debits_pending,
    debits_posted  = b.debits_posted + c.debits_posted,
    credits_posted = b.credits_posted + c.credits_posted,
    version        = c.version
FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s) AS c (
    account, debits_pending, debits_posted, credits_posted, before_pending, before_posted, before_credits, version)
WHERE b.account = c.account AND b.version < c.version
  AND b.debits_pending = c.before_pending AND b.debits_posted = c.before_posted
  AND b.credits_posted = c.before_credits
"""
"""Adds what the records say was added, where the figures were what the records say they were."""


class PackedArray:
    """A one-dimensional array in Postgres's binary format: each element with its length before it."""

    element: int
    """OID of the element's type."""

    def __init__(self, count: int, elements: bytes) -> None:
        self.data = (
            pack(">iiiii", 1, 0, self.element, count, 1) + elements if count else pack(">iii", 0, 0, self.element)
        )


class TextArray(PackedArray):
    """``text[]``."""

    element = 25

    def __init__(self, values: list[str]) -> None:
        super().__init__(len(values), b"".join(map(rows.text, values)))


class Int8Array(PackedArray):
    """``bigint[]``."""

    element = 20

    def __init__(self, values: list[int]) -> None:
        interleaved = [8] * (2 * len(values))
        interleaved[1::2] = values
        super().__init__(len(values), pack(">" + "iq" * len(values), *interleaved))


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: PackedArray) -> Buffer:
        return obj.data


class _TextArrayDumper(_PackedDumper):
    oid = 1009


class _Int8ArrayDumper(_PackedDumper):
    oid = 1016


def connect(dsn: str, epoch: int, application: str = "twofold sink") -> psycopg.Connection:
    """A connection that acts as the writer role in the epoch's schema.

    A sink that freezes in mid-transaction holds its partitions' rows: the server ends it after half a minute. Joins in
    the sink's statements go through the primary keys: a plan made while a table was small stays right when it grows.
    """
    given = conninfo_to_dict(dsn).get("options") or ""
    settings = {
        "search_path": schema_of(epoch),
        "idle_in_transaction_session_timeout": "30s",
        "lock_timeout": "40s",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "jit": "off",
    }
    options = " ".join([str(given), *(f"-c {name}={value}" for name, value in settings.items())]).strip()
    keep_alive = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    connection = psycopg.connect(
        make_conninfo(dsn, options=options, application_name=application, tcp_user_timeout=30_000, **keep_alive),
        autocommit=True,
    )
    connection.execute(f"SET ROLE {WRITER_ROLE}".encode())
    connection.adapters.register_dumper(TextArray, _TextArrayDumper)
    connection.adapters.register_dumper(Int8Array, _Int8ArrayDumper)
    return connection


def write(connection: psycopg.Connection, epoch: int, batch: Batch) -> None:
    """Write the batch in one transaction, durable when this returns.

    Raises Overtaken when another sink was faster (nothing is written), FiguresDisagree when an account's figures in
    Postgres are not those that the journal starts from, psycopg.Error when Postgres refuses or the connection is lost:
    then the batch is written whole or not at all, and only the positions tell which.
    """
    with connection.transaction():
        advance(connection, epoch, batch.moves)
        # Entries before postings: the trigger on postings looks for their entry.
        _copy(connection, "transfer_events", rows.TRANSFER_EVENTS, batch.events)
        _copy(connection, "entries", rows.ENTRIES, batch.entries)
        _copy(connection, "postings", rows.POSTINGS, batch.postings)
        _copy(connection, "accounts", rows.ACCOUNTS, batch.accounts)
        _write_balances(connection, batch)


def _copy(connection: psycopg.Connection, table: str, columns: str, packed: list[bytes]) -> None:
    if not packed:
        return
    with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
        copy.write(b"".join((rows.HEADER, *packed, rows.TRAILER)))


def _write_balances(connection: psycopg.Connection, batch: Batch) -> None:
    first: list[Change] = []
    more: list[Change] = []
    for change in batch.changes:
        (first if change.account in batch.opened else more).append(change)
    for change in first:
        if any(change.before):
            raise FiguresDisagree(f"account {change.account} is opened with figures {change.before}, not with zeros")
    _copy(
        connection,
        "account_balances",
        rows.ACCOUNT_BALANCES,
        [rows.balance_row(c.account, c.partition, batch.opened[c.account], c.after, c.version) for c in first],
    )
    if more:
        _add_changes(connection, more)


def _add_changes(connection: psycopg.Connection, changes: list[Change]) -> None:
    deltas = [change.deltas for change in changes]
    numbers = [Int8Array([d[i] for d in deltas]) for i in range(3)]
    numbers += [Int8Array([c.before[i] for c in changes]) for i in range(3)]
    accounts, versions = TextArray([c.account for c in changes]), Int8Array([c.version for c in changes])
    # Planned each time (prepare=False): the arrays' lengths are then known to the planner.
    done = connection.execute(ADD_CHANGES, [accounts, *numbers, versions], prepare=False)
    if done.rowcount != len(changes):
        raise FiguresDisagree(_disagreement(connection, changes))


def _disagreement(connection: psycopg.Connection, changes: Iterable[Change]) -> str:
    for change in changes:
        row = connection.execute(
            "SELECT debits_pending, debits_posted, credits_posted, version FROM account_balances WHERE account = %s",
            [change.account],
        ).fetchone()
        # The statement changed those that agreed, in this very transaction.
        if row is None:
            return f"account {change.account} changes in the journal, but Postgres does not know it"
        if (row[:3], row[3]) != (tuple(change.after), change.version):
            return (
                f"account {change.account}: Postgres holds debits_pending, debits_posted, credits_posted {row[:3]} at "
                f"version {row[3]}; the journal goes on from {change.before} to version {change.version}. Somebody "
                "changed account_balances: run `twofold verify`, and rebuild into a new epoch (docs/postgres.md)."
            )
    return "the accounts of a batch changed while it was written"
