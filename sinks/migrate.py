"""Bring a database to the schema that the sink writes: ordered SQL files, each applied once, in one transaction.

``migrations/shared`` is applied once a database (schema ``twofold``), ``migrations/ledger`` once an epoch (schema
``ledger_<epoch>``). A file runs with its own schema first in ``search_path`` and so names its tables unqualified.
What was applied stands in ``twofold.migrations`` with the file's SHA-256: a file that was changed after it was applied
is refused, because the database would then not be what the file says.
"""

from __future__ import annotations

from hashlib import sha256
from importlib import resources
from typing import NamedTuple

import psycopg
from psycopg import sql

SHARED = "twofold"
LOCK = 0x7457_0F01_D000_0001
"""Key of the advisory lock: two runners at once take turns."""

BOOTSTRAP = """
CREATE SCHEMA IF NOT EXISTS twofold;
CREATE TABLE IF NOT EXISTS twofold.migrations (
    schema     text        NOT NULL,
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema, name)
);
"""


class MigrationRefused(Exception):
    """The database and the migration files contradict each other, or an epoch cannot become live."""


class Migration(NamedTuple):
    """One SQL file, for one schema."""

    schema: str
    name: str
    text: str
    sha256: str


class Migrated(NamedTuple):
    """What a run did and what it found done."""

    applied: list[str]
    """``schema/file`` of what was applied now, in order."""
    present: list[str]
    epoch: int
    live_epoch: int


def schema_of(epoch: int) -> str:
    """Name of an epoch's schema."""
    return f"ledger_{epoch}"


def migrations(folder: str, schema: str) -> list[Migration]:
    """The SQL files of a folder in the order of their names."""
    root = resources.files("sinks") / "migrations" / folder
    files = sorted((f for f in root.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    texts = [(f.name, f.read_text(encoding="utf-8")) for f in files]
    return [Migration(schema, name, text, sha256(text.encode()).hexdigest()) for name, text in texts]


def migrate(dsn: str, epoch: int = 1, go_live: bool = False) -> Migrated:
    """Apply what is missing for ``epoch`` as a role that may create roles and schemas; all or nothing.

    The first epoch of a database becomes the live one, the one that the views of schema ``twofold`` show. A later one
    does with ``go_live``, which is refused (MigrationRefused) while it is behind the live one.

    Raises psycopg.Error when the database cannot be reached or refuses.
    """
    wanted = migrations("shared", SHARED) + migrations("ledger", schema_of(epoch))
    with psycopg.connect(dsn) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute(BOOTSTRAP)
        done = _applied(connection)
        _refuse_changed(wanted, done)
        missing = [m for m in wanted if (m.schema, m.name) not in done]
        for migration in missing:
            _apply(connection, migration)
        live = _live_epoch(connection)
        if live is None or (go_live and live != epoch):
            _go_live(connection, epoch)
        elif live == epoch and missing:
            connection.execute("SELECT twofold.publish(%s)", [epoch])
        live = _live_epoch(connection)
    assert live is not None, "the first epoch becomes the live one"
    present = [f"{m.schema}/{m.name}" for m in wanted if m not in missing]
    return Migrated([f"{m.schema}/{m.name}" for m in missing], present, epoch, live)


def _applied(connection: psycopg.Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute("SELECT schema, name, sha256 FROM twofold.migrations")
    return {(schema, name): digest for schema, name, digest in rows}


def _refuse_changed(wanted: list[Migration], done: dict[tuple[str, str], str]) -> None:
    for m in wanted:
        if done.get((m.schema, m.name), m.sha256) != m.sha256:
            raise MigrationRefused(
                f"{m.schema}/{m.name} was changed after it was applied to this database. Put the old file back and "
                "say the change in a new file with the next number, or rebuild into a new epoch (--epoch)."
            )


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    schema = sql.Identifier(migration.schema)
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
    connection.execute(sql.SQL("SET LOCAL search_path = {}, pg_catalog").format(schema))
    connection.execute(migration.text.encode())
    connection.execute("SET LOCAL search_path = pg_catalog")
    connection.execute(
        "INSERT INTO twofold.migrations (schema, name, sha256) VALUES (%s, %s, %s)",
        [migration.schema, migration.name, migration.sha256],
    )


def _live_epoch(connection: psycopg.Connection) -> int | None:
    row = connection.execute("SELECT epoch FROM twofold.live_epoch").fetchone()
    return None if row is None else int(row[0])


def _go_live(connection: psycopg.Connection, epoch: int) -> None:
    try:
        connection.execute("SELECT twofold.go_live(%s)", [epoch])
    except psycopg.errors.ObjectNotInPrerequisiteState as refused:
        message, hint = refused.diag.message_primary, refused.diag.message_hint
        raise MigrationRefused(f"{message}. {hint or ''}") from refused
