"""``twofold migrate``: idempotent, one at a time, all or nothing; epochs beside each other, one of them live."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from click.testing import CliRunner

import sinks.migrate
from connectors.cli import main
from sinks.migrate import Migration, MigrationRefused, migrate

pytestmark = pytest.mark.stack

PACKED_HASH = "decode(repeat('ab', 32), 'hex')"


def test_migrating_again_changes_nothing(fresh_database: Callable[[], str]) -> None:
    """What was applied once is found, not applied again."""
    dsn = fresh_database()
    first = migrate(dsn)
    again = migrate(dsn)
    assert first.applied
    assert first.present == []
    assert again.applied == []
    assert again.present == first.applied
    assert (again.epoch, again.live_epoch) == (1, 1)


def test_two_runners_at_once_apply_each_file_once(fresh_database: Callable[[], str]) -> None:
    """Runners take turns: one applies all, the other finds it done."""
    dsn = fresh_database()
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: migrate(dsn), range(4)))
    assert sorted(len(run.applied) for run in done)[:3] == [0, 0, 0]
    assert len({tuple(run.applied or run.present) for run in done}) == 1


def test_file_that_changed_after_it_was_applied_is_refused(
    fresh_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database would not be what the file says."""
    dsn = fresh_database()
    migrate(dsn)
    unchanged = sinks.migrate.migrations

    def changed(folder: str, schema: str) -> list[Migration]:
        return [m._replace(sha256="0" * 64) for m in unchanged(folder, schema)]

    monkeypatch.setattr(sinks.migrate, "migrations", changed)
    with pytest.raises(MigrationRefused, match=r"twofold/0001_roles.sql was changed after it was applied"):
        migrate(dsn)


def test_broken_file_leaves_nothing_behind(fresh_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """All files of a run are applied in one transaction."""
    dsn = fresh_database()
    unchanged = sinks.migrate.migrations

    def with_a_broken_one(folder: str, schema: str) -> list[Migration]:
        return [*unchanged(folder, schema), Migration(schema, "9999_broken.sql", "SELECT broken", "")]

    monkeypatch.setattr(sinks.migrate, "migrations", with_a_broken_one)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        migrate(dsn)
    with psycopg.connect(dsn) as connection:
        left = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ 'ledger|twofold'").fetchall()
    assert left == []


def positions(dsn: str, epoch: int, *sequences: int) -> None:
    """Put an epoch's partitions at these sequences."""
    with psycopg.connect(dsn) as connection:
        for partition, sequence in enumerate(sequences):
            connection.execute(
                f"INSERT INTO ledger_{epoch}.sink_positions VALUES (%s, %s, %s, %s, {PACKED_HASH}) "
                "ON CONFLICT (partition) DO UPDATE SET sequence = excluded.sequence".encode(),
                [partition, epoch, sequence, sequence],
            )


def shown(dsn: str) -> list[tuple[object, ...]]:
    """What the views of the schema twofold show of the positions."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT partition, epoch, sequence FROM twofold.sink_positions ORDER BY partition"
        ).fetchall()


def test_rebuilt_epoch_that_is_behind_does_not_go_live(fresh_database: Callable[[], str]) -> None:
    """No reader ever sees the ledger go back: every partition must be at or past the live one."""
    dsn = fresh_database()
    migrate(dsn)
    migrate(dsn, epoch=2)
    positions(dsn, 1, 5, 9)
    positions(dsn, 2, 6, 8)
    with pytest.raises(
        MigrationRefused, match=r"partition 1 is at 8, the live one at 9. Let a sink with TWOFOLD_SINK_"
    ):
        migrate(dsn, epoch=2, go_live=True)
    assert shown(dsn) == [(0, 1, 5), (1, 1, 9)]
    positions(dsn, 2, 6, 9)
    assert migrate(dsn, epoch=2, go_live=True).live_epoch == 2
    assert shown(dsn) == [(0, 2, 6), (1, 2, 9)]


def test_old_epoch_is_fenced_when_another_goes_live(fresh_database: Callable[[], str]) -> None:
    """The old epoch's positions get the new one's number, so its sinks' next statement moves nothing."""
    dsn = fresh_database()
    migrate(dsn)
    migrate(dsn, epoch=2)
    positions(dsn, 1, 5)
    positions(dsn, 2, 5)
    migrate(dsn, epoch=2, go_live=True)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT epoch, sequence FROM ledger_1.sink_positions").fetchall() == [(2, 5)]


def test_command_says_what_it_did(fresh_database: Callable[[], str]) -> None:
    """``twofold migrate`` names each file; ``--json`` gives the same as data."""
    dsn = fresh_database()
    first = CliRunner().invoke(main, ["migrate", "--postgres-dsn", dsn])
    assert first.exit_code == 0
    assert "applied  ledger_1/0001_tables.sql" in first.output
    assert "live epoch: 1" in first.output
    again = CliRunner().invoke(main, ["migrate", "--postgres-dsn", dsn, "--json"])
    found = json.loads(again.output)
    assert found["applied"] == []
    assert "ledger_1/0004_grants.sql" in found["present"]


def test_command_without_postgres_says_what_to_do() -> None:
    """Nothing listens there: exit code 1 and the way out."""
    done = CliRunner().invoke(main, ["migrate", "--postgres-dsn", "postgresql://postgres@127.0.0.1:1/none"])
    assert done.exit_code == 1
    assert "Start it (twofold up) or set TWOFOLD_POSTGRES_DSN" in done.output
