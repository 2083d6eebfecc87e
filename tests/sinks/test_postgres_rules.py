"""What Postgres itself holds: who may do what, what nobody may do, and which rows cannot be."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from sinks.migrate import migrate
from streams.ledger.vocabulary import Input, Kind, Outcome

pytestmark = pytest.mark.stack

APPEND_ONLY = ("accounts", "entries", "postings", "transfer_events")
CHANGING = ("account_balances", "sink_positions")
SCHEMAS = ("ledger_1", "twofold")
VIEWS = ("movements", "derived_balances", "statement_lines", "transfers", "account_states", "trial_balance")
COLUMN = {
    "accounts": "name = ''",
    "entries": "sequence = 99",
    "postings": "amount = 1",
    "transfer_events": "amount = 1",
    "account_balances": "version = 99",
    "sink_positions": "sequence = 99",
    "reconciliation_reports": "breaks = 99",
}
EVENT = (
    "INSERT INTO ledger_1.transfer_events VALUES ({partition}, {sequence}, now(), 1, 'TRANSFER', 'PENDING', 1, NULL, "
    "0, 'a', 'b', {amount}, 'EUR', NULL, {figures}, NULL, 0, 'INTENTS', 0, 0, 0, 'INTENTS', 0, 0, 0, 0)"
)


@pytest.fixture(scope="module")
def ledger(postgres: str) -> str:
    """One migrated database for all tests here, with one entry in it: they change nothing in it."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS rules")
        connection.execute("CREATE DATABASE rules")
    dsn = postgres.rsplit("/", 1)[0] + "/rules"
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO ledger_1.accounts VALUES ('a', 0, 1, 'EUR', '', '', '', '', '{}', now())")
        connection.execute("INSERT INTO ledger_1.account_balances VALUES ('a', 0, 'EUR', 0, 0, 0, 1)")
        connection.execute(EVENT.format(partition=0, sequence=1, amount=5, figures="5, 0, 0"))
        connection.execute(f"INSERT INTO ledger_1.entries VALUES (0, 1, '{'0' * 32}', 'TRANSFER', now())")
        connection.execute(
            "INSERT INTO ledger_1.postings VALUES (0, 1, 0, 'a', 'D', 5, 'EUR'), (0, 1, 1, 'b', 'C', 5, 'EUR')"
        )
        connection.execute("INSERT INTO ledger_1.sink_positions VALUES (0, 1, 7, 70, decode(repeat('ab', 32), 'hex'))")
        connection.execute(
            "INSERT INTO twofold.reconciliation_reports (epoch, verdict, breaks, report) "
            "VALUES (1, 'BALANCED', 0, '{}')"
        )
    return dsn


@pytest.fixture
def owner(ledger: str) -> Iterator[psycopg.Connection]:
    """A connection as the owner (and superuser); what it does is undone."""
    with psycopg.connect(ledger) as connection:
        yield connection
        connection.rollback()


def become(connection: psycopg.Connection, role: str) -> psycopg.Connection:
    connection.execute(f"SET LOCAL ROLE twofold_{role}".encode())
    return connection


def refused(connection: psycopg.Connection, statement: str) -> str | None:
    """The SQLSTATE with which the statement is refused."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    return caught.value.sqlstate


def changes(table: str) -> list[str]:
    name = f"twofold.{table}" if table == "reconciliation_reports" else f"ledger_1.{table}"
    return [f"UPDATE {name} SET {COLUMN[table]}", f"DELETE FROM {name}", f"TRUNCATE {name} CASCADE"]


@pytest.mark.parametrize("number", range(3), ids=["update", "delete", "truncate"])
@pytest.mark.parametrize("table", [*APPEND_ONLY, "reconciliation_reports"])
@pytest.mark.parametrize("role", ["writer", "reader", "reconciler"])
def test_no_role_changes_what_is_append_only(owner: psycopg.Connection, role: str, table: str, number: int) -> None:
    """UPDATE, DELETE and TRUNCATE of an append-only table are denied to every role: 42501."""
    assert refused(become(owner, role), changes(table)[number]) == "42501"


@pytest.mark.parametrize("number", range(3), ids=["update", "delete", "truncate"])
@pytest.mark.parametrize("table", [*APPEND_ONLY, "reconciliation_reports"])
def test_trigger_stops_even_the_owner(owner: psycopg.Connection, table: str, number: int) -> None:
    """The owner, a superuser, changes nothing either, not even as a replica whose triggers are off."""
    owner.execute("SET LOCAL session_replication_role = replica")
    with pytest.raises(errors.InsufficientPrivilege, match=r"is append-only: .* is refused, even to its owner"):
        owner.execute(changes(table)[number].encode())


@pytest.mark.parametrize("statement", [f"SELECT * FROM ledger_1.{table}" for table in APPEND_ONLY])
def test_writer_reads_nothing_of_what_it_appends(owner: psycopg.Connection, statement: str) -> None:
    """The writer may INSERT into the append-only tables: no more."""
    assert refused(become(owner, "writer"), statement) == "42501"


@pytest.mark.parametrize("table", CHANGING)
def test_writer_removes_no_balance_and_no_position(owner: psycopg.Connection, table: str) -> None:
    """The writer may SELECT, INSERT and UPDATE balances and positions: no more."""
    become(owner, "writer").execute(f"SELECT * FROM ledger_1.{table}".encode())
    for statement in changes(table)[1:]:
        with pytest.raises(errors.InsufficientPrivilege), owner.transaction():
            owner.execute(statement.encode())


@pytest.mark.parametrize("table", [*APPEND_ONLY, *CHANGING])
@pytest.mark.parametrize("role", ["reader", "reconciler"])
def test_readers_add_nothing(owner: psycopg.Connection, role: str, table: str) -> None:
    """Readers and the reconciliation agent read every table and may INSERT and UPDATE in none of them."""
    become(owner, role).execute(f"SELECT * FROM ledger_1.{table}".encode())
    for statement in (f"INSERT INTO ledger_1.{table} SELECT * FROM ledger_1.{table}", *changes(table)):
        with pytest.raises(errors.InsufficientPrivilege), owner.transaction():
            owner.execute(statement.encode())


@pytest.mark.parametrize("role", ["reader", "reconciler"])
@pytest.mark.parametrize("view", [*APPEND_ONLY, *CHANGING, *VIEWS])
def test_readers_read_every_view(owner: psycopg.Connection, role: str, view: str) -> None:
    """All of the live epoch is there to read, in the schema twofold and in its own."""
    for schema in SCHEMAS:
        become(owner, role).execute(f"SELECT * FROM {schema}.{view}".encode())


def test_only_the_reconciler_adds_reports(owner: psycopg.Connection) -> None:
    """The reconciliation agent adds reports; the reader reads them; the writer has nothing to do with them."""
    add = "INSERT INTO twofold.reconciliation_reports (epoch, verdict, breaks, report) VALUES (1, 'BREAK', 2, '{}')"
    become(owner, "reconciler").execute(add.encode())
    owner.rollback()
    become(owner, "reader").execute("SELECT * FROM twofold.reconciliation_reports")
    assert refused(owner, add) == "42501"
    owner.rollback()
    assert refused(become(owner, "writer"), add) == "42501"


@pytest.mark.parametrize("role", ["writer", "reader", "reconciler"])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT twofold.go_live(1)",
        "SELECT twofold.publish(1)",
        "CREATE TABLE ledger_1.mine ()",
        "CREATE TABLE twofold.mine ()",
        "ALTER TABLE ledger_1.postings DISABLE TRIGGER ALL",
        "UPDATE twofold.live_epoch SET epoch = 2",
        "DELETE FROM twofold.migrations",
    ],
)
def test_no_role_changes_the_house_itself(owner: psycopg.Connection, role: str, statement: str) -> None:
    """Schemas, triggers, the live epoch and the record of migrations are the owner's."""
    assert refused(become(owner, role), statement) == "42501"


@pytest.mark.parametrize(
    ("why", "rows"),
    [
        ("a lone debit", "(0, 2, 0, 'a', 'D', 5, 'EUR')"),
        ("amounts that differ", "(0, 2, 0, 'a', 'D', 5, 'EUR'), (0, 2, 1, 'b', 'C', 6, 'EUR')"),
        ("two currencies", "(0, 2, 0, 'a', 'D', 5, 'EUR'), (0, 2, 1, 'b', 'C', 5, 'USD')"),
        (
            "two entries that balance only together",
            "(0, 2, 0, 'a', 'D', 5, 'EUR'), (0, 3, 1, 'b', 'C', 5, 'EUR')",
        ),
        ("a line added to an entry that was balanced", "(0, 1, 2, 'a', 'D', 5, 'EUR')"),
        (
            "what passes 64 bits",
            "(0, 2, 0, 'a', 'D', 9223372036854775807, 'EUR'), (0, 2, 1, 'a', 'D', 1, 'EUR'), "
            "(0, 2, 2, 'b', 'C', 1, 'EUR')",
        ),
    ],
)
def test_unbalanced_entry_is_refused(owner: psycopg.Connection, why: str, rows: str) -> None:
    """Debits equal credits in every entry and currency, at the end of the statement, for everybody."""
    owner.execute("SET LOCAL session_replication_role = replica")
    for sequence in (2, 3):
        owner.execute(f"INSERT INTO ledger_1.entries VALUES (0, {sequence}, '{'0' * 32}', 'TRANSFER', now())".encode())
    with pytest.raises(errors.CheckViolation, match="does not balance in"):
        owner.execute(f"INSERT INTO ledger_1.postings VALUES {rows}".encode())


def test_postings_without_an_entry_are_refused(owner: psycopg.Connection) -> None:
    """Balanced lines that belong to no entry are no money."""
    rows = "(0, 9, 0, 'a', 'D', 5, 'EUR'), (0, 9, 1, 'b', 'C', 5, 'EUR')"
    with pytest.raises(errors.ForeignKeyViolation, match="postings of \\(0, 9\\), which is no entry"):
        owner.execute(f"INSERT INTO ledger_1.postings VALUES {rows}".encode())


@pytest.mark.parametrize(
    "change", ["sequence = 6", "kafka_offset = 69", "epoch = 0", "partition = 1", "sequence = 6, kafka_offset = 100"]
)
def test_position_never_goes_back(owner: psycopg.Connection, change: str) -> None:
    """A stored position only advances, whoever updates it; and it stays."""
    with pytest.raises(errors.CheckViolation), owner.transaction():
        owner.execute(f"UPDATE ledger_1.sink_positions SET {change}".encode())
    assert refused(owner, "DELETE FROM ledger_1.sink_positions") == "42501"


@pytest.mark.parametrize(
    "event",
    [
        {"amount": -5, "figures": "5, 0, 0"},
        {"amount": 5, "figures": "-5, 0, 0"},
        {"amount": 5, "figures": "5, NULL, 0"},
        {"amount": 5, "figures": "5, 0, 0", "sequence": 0},
        {"amount": 5, "figures": "5, 0, 0", "partition": -1},
    ],
)
def test_impossible_events_are_refused(owner: psycopg.Connection, event: dict[str, object]) -> None:
    """Money that moves is positive; figures are whole and never negative; sequences start at 1."""
    with pytest.raises(errors.CheckViolation):
        owner.execute(EVENT.format(**{"partition": 0, "sequence": 2, **event}).encode())


def test_a_record_is_there_once(owner: psycopg.Connection) -> None:
    """One row for each (partition, sequence), in entries and in transfer_events."""
    assert refused(owner, EVENT.format(partition=0, sequence=1, amount=5, figures="5, 0, 0")) == "23505"
    owner.rollback()
    assert refused(owner, f"INSERT INTO ledger_1.entries VALUES (0, 1, '{'0' * 32}', 'TRANSFER', now())") == "23505"


@pytest.mark.parametrize(("column", "words"), [("kind", Kind), ("outcome", Outcome), ("input_topic", Input)])
def test_postgres_knows_the_ledgers_words_and_no_others(
    owner: psycopg.Connection, column: str, words: type[Kind | Outcome | Input]
) -> None:
    """The CHECK constraints list the vocabulary of the ledger, so a word that is new there is not forgotten here."""
    (text,) = owner.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s",
        [f"transfer_events_{column}_check"],
    ).fetchall()[0]
    assert {part.split("'")[0] for part in text.split("'")[1::2]} == {str(word) for word in words}
