"""``twofold verify`` on real Kafka and Postgres: passes what is right, and names what was tampered with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from streams.reconciliation.proof.topics import Topics
from streams.settings import Settings
from streams.topics import ACCOUNTS_CHANGELOG, JOURNAL
from tests.harness.live import LiveLedger, assert_invariants

pytestmark = [pytest.mark.slow, pytest.mark.stack]
ACCOUNT_TAG = 2


@pytest.fixture(scope="module")
def settings(kafka: str, registry: str, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A ledger that has lived: workers and sink are stopped, everything is drained."""
    name = "verify"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    settings = Settings(
        bootstrap_servers=kafka,
        registry_url=registry,
        postgres_dsn=postgres.rsplit("/", 1)[0] + f"/{name}",
        data_dir=tmp_path_factory.mktemp("verify"),
        topic_prefix=f"{name}-",
        group=name,
        partitions=4,
    )
    with LiveLedger(settings, workers=1, others=["sink"]) as ledger:
        ledger.open_accounts(11, 60)
        ledger.send(ledger.traffic(11, 800, 60))
        assert_invariants(settings, drained=False)
        ledger.wait_until_drained()
    return settings


def verify(settings: Settings, *more: str) -> tuple[int, dict[int, dict[str, Any]]]:
    """Run the command: exit code, and verdicts by number."""
    done = subprocess.run(
        [sys.executable, "-m", "twofold", "verify", "--json", *more],
        env={**os.environ, **settings.to_env()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, {verdict["number"]: verdict for verdict in json.loads(done.stdout)["verdicts"]}


def broken(settings: Settings, *more: str) -> dict[int, str]:
    """What does not hold, with the first example."""
    code, verdicts = verify(settings, *more)
    faults = {number: verdict["detail"] for number, verdict in verdicts.items() if not verdict["holds"]}
    assert code == (1 if faults else 0)
    return faults


def change(settings: Settings, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
    """Write into a topic as nobody may."""
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    producer.produce(settings.topic(topic), value, key, partition)
    assert producer.flush(30) == 0


def execute(settings: Settings, statement: str, *values: object) -> None:
    """Run a statement as the superuser, with triggers off."""
    with psycopg.connect(settings.postgres_dsn) as connection:
        for table in ("transfer_events", "postings"):
            connection.execute(f"ALTER TABLE ledger_1.{table} DISABLE TRIGGER USER")
        connection.execute(statement.encode(), values)
        for table in ("transfer_events", "postings"):
            connection.execute(f"ALTER TABLE ledger_1.{table} ENABLE TRIGGER USER")


@pytest.fixture
def undo() -> Iterator[list[Callable[[], None]]]:
    """What puts the books right again after a test."""
    undos: list[Callable[[], None]] = []
    yield undos
    for action in undos:
        action()


def test_an_honest_ledger_is_told_to_hold(settings: Settings) -> None:
    """Exit code 0, also for every row compared one by one, and when nothing may be under way but parked intents."""
    assert broken(settings) == {}
    assert broken(settings, "--deep") == {}


def test_a_tampered_balance_is_named(settings: Settings, undo: list[Callable[[], None]]) -> None:
    """One unit more in account_balances: the account is named, beside what the journal gives."""
    name = "UPDATE ledger_1.account_balances SET credits_posted = credits_posted + %s WHERE account = %s"
    with psycopg.connect(settings.postgres_dsn) as connection:
        row = connection.execute("SELECT min(account) FROM twofold.account_balances").fetchone()
    assert row is not None
    execute(settings, name, 1, row[0])
    undo.append(lambda: execute(settings, name, -1, row[0]))
    faults = broken(settings)
    assert row[0] in faults[3]


def test_a_tampered_event_is_named_with_its_place(settings: Settings, undo: list[Callable[[], None]]) -> None:
    """One changed field of one row in 128 bits of digest: found, and shown with topic, partition and offset."""
    statement = "UPDATE ledger_1.transfer_events SET ordinal = ordinal + %s WHERE partition = 1 AND sequence = 7"
    execute(settings, statement, 1)
    undo.append(lambda: execute(settings, statement, -1))
    faults = broken(settings)
    assert set(faults) == {8}
    assert "(sequence 7)" in faults[8]
    assert "verify-journal[1] offset" in faults[8]


def test_a_lone_posting_is_named(settings: Settings, undo: list[Callable[[], None]]) -> None:
    """A debit without its credit."""
    statement = "UPDATE ledger_1.postings SET amount = amount + %s WHERE (partition, sequence, line) = " + (
        "(SELECT partition, sequence, line FROM ledger_1.postings ORDER BY 1, 2, 3 LIMIT 1)"
    )
    execute(settings, statement, 5)
    undo.append(lambda: execute(settings, statement, -5))
    assert {2, 8} <= set(broken(settings))


def test_a_tampered_table_is_named(settings: Settings, undo: list[Callable[[], None]]) -> None:
    """An account's row in the changelog takes the place of another's: the row is named with its offset."""
    topics = Topics(settings)
    rows: dict[int, dict[bytes, bytes]] = {}
    for raw in topics.read(ACCOUNTS_CHANGELOG.name, topics.ends(ACCOUNTS_CHANGELOG.name)):
        if raw.key and raw.key[0] == ACCOUNT_TAG and raw.value:
            rows.setdefault(raw.partition, {})[raw.key] = raw.value
    partition, accounts = next(iter(rows.items()))
    (key, right), (_, wrong) = list(accounts.items())[:2]
    change(settings, ACCOUNTS_CHANGELOG.name, partition, key, wrong)
    undo.append(lambda: change(settings, ACCOUNTS_CHANGELOG.name, partition, key, right))
    faults = broken(settings)
    assert {3, 8} <= set(faults)
    assert f"verify-accounts-changelog[{partition}] offset" in faults[3]


def test_a_repeated_journal_record_is_named(settings: Settings, tmp_path: Path) -> None:
    """The same record twice in the journal: the sequence is not contiguous. Last, for it cannot be undone."""
    topics = Topics(settings)
    last = list(topics.read(JOURNAL.name, topics.ends(JOURNAL.name)))[-1]
    assert last.value is not None
    change(settings, JOURNAL.name, last.partition, last.key, last.value)
    assert "expected" in broken(settings)[7]
