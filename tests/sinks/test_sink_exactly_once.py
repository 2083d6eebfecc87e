"""A journal record is in Postgres exactly once, whatever is killed, cut, doubled or put back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import sinks.sink
import sinks.source
from sinks import writer
from sinks.batch import Batch, decode_batch
from sinks.errors import Overtaken
from sinks.positions import SinkPosition, read_positions
from sinks.source import GROUP
from tests.sinks.cutting_proxy import CuttingProxy
from tests.sinks.house import PARTITIONS, PATIENCE_S, House

pytestmark = pytest.mark.stack

STATEMENTS_OF_A_BATCH = 4 + 3 * 4 + 2
"""Of the cut test: positions of four partitions, four COPYs (query, data, end) and an UPDATE, COMMIT."""


def live(house: House, accounts: int, transfers: int) -> None:
    """A journal with as many transfers, produced."""
    for _ in house.ledger.life(accounts, transfers):
        pass
    house.produce()


def test_journal_arrives_whole(house: House) -> None:
    """Every record of the journal is in Postgres, once, with its entry, and the balances are what they sum to."""
    live(house, accounts=20, transfers=500)
    house.drain(batch=200)
    house.check_books()


def test_killed_sink_loses_and_repeats_nothing(house: House, registry: str, tmp_path: Path) -> None:
    """kill -9 of the sink's process, again and again under load: the next one goes on where Postgres is."""
    live(house, accounts=50, transfers=8000)
    total = len(house.ledger.records)
    command = [sys.executable, "-m", "twofold", "sink", "--batch", "100"]
    environment = {
        **os.environ,
        "TWOFOLD_BOOTSTRAP_SERVERS": house.kafka,
        "TWOFOLD_REGISTRY_URL": registry,
        "TWOFOLD_POSTGRES_DSN": house.dsn,
        "TWOFOLD_TOPIC_PREFIX": house.prefix,
        "TWOFOLD_DATA_DIR": str(tmp_path),
    }
    for part in (1, 2, 3):
        process = subprocess.Popen(command, env=environment)
        house.wait_until_sunk(total * part // 4)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    process = subprocess.Popen(command, env=environment)
    house.wait_until_sunk()
    announced = tmp_path / "workers" / "sink.json"
    assert json.loads(announced.read_text())["pid"] == process.pid
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert not announced.exists()
    house.check_books()


def test_killed_postgres_loses_and_repeats_nothing(house: House, services: Any) -> None:
    """kill -9 of Postgres under load: the sink reconnects and goes on from what the database recovered."""
    live(house, accounts=50, transfers=6000)
    total = len(house.ledger.records)
    running = house.start_sink(batch=100)
    for part in (1, 2):
        house.wait_until_sunk(total * part // 4)
        services.kill("postgres")
        services.start("postgres")
    house.wait_until_sunk()
    running.stop()
    assert running.sink.progress.reconnects >= 2
    house.check_books()


@pytest.mark.parametrize("answered", [False, True], ids=["unsent", "answer lost"])
def test_connection_lost_at_every_statement_loses_and_repeats_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """The n-th connection is cut at the sink's n-th statement, COMMIT included: before it, or before its answer."""
    monkeypatch.setattr(sinks.sink, "LONGEST_PAUSE_S", 0.01)
    live(house, accounts=12, transfers=220)
    where = conninfo_to_dict(house.dsn)
    host, port = str(where["host"]), int(str(where["port"]))
    proxy = CuttingProxy(host, port, cut_at=lambda connection: connection, answered=answered)
    dsn = make_conninfo(house.dsn, host="127.0.0.1", port=proxy.port, sslmode="disable", gssencmode="disable")
    running = house.start_sink(batch=30, dsn=dsn)
    house.wait_until_sunk()
    running.stop()
    proxy.close()
    assert proxy.cuts[0] == "startup"
    # Positions, four COPYs and two COMMITs lie in one connection's life: more cuts than statements of a whole batch.
    assert {"query", "execute", "copy data", "copy end"} <= set(proxy.cuts)
    assert len(proxy.cuts) > STATEMENTS_OF_A_BATCH
    house.check_books()


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_two_sinks_on_one_partition_write_each_record_once(house: House, isolation: str) -> None:
    """Two sinks over the same partitions: each batch is won by one of them; together they lose and repeat nothing.

    In a serializable database the slower one gets 40001 instead of finding no row, and tries again.
    """
    with psycopg.connect(house.dsn, autocommit=True) as owner:
        name = conninfo_to_dict(house.dsn)["dbname"]
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'".encode())
    first, second = house.start_sink(batch=37), house.start_sink(batch=53)
    house.wait_until(lambda: bool(first.ready and second.ready))
    for _ in range(5):
        live_more(house, 300)
        house.wait_until_sunk()
    first.stop()
    second.stop()
    done = (first.sink.progress, second.sink.progress)
    assert sum(progress.overtaken + progress.reconnects for progress in done) > 0
    assert sum(progress.records for progress in done) == len(house.ledger.records)
    house.check_books()


def test_deadlock_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres ends the sink's transaction to break a deadlock (40P01): the batch is written again, once."""
    monkeypatch.setattr(sinks.source, "LINGER_S", 1.0)  # so that one batch has records of all partitions
    lock = "SELECT 1 FROM ledger_1.sink_positions WHERE partition = %s FOR UPDATE"
    live_more(house, 20)
    house.drain()
    with psycopg.connect(house.dsn) as other:
        other.execute("SET deadlock_timeout = '60s'")  # so that the sink is the one who finds it, and gives way
        other.execute(lock, [1])
        running = house.start_sink()
        live_more(house, 20)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        house.wait_until(lambda: bool(house.query(waiting)))
        other.execute(lock, [0])
        other.rollback()
    house.wait_until_sunk()
    running.stop()
    assert running.sink.progress.reconnects == 1
    house.check_books()


def test_aborted_journal_records_are_not_written(house: House) -> None:
    """What a worker wrote and took back never was: only committed records are read."""
    live_more(house, 20)
    house.produce_and_abort([(p, r._replace(sequence=10_000)) for p, r in house.ledger.records])
    live_more(house, 20)
    house.drain()
    house.check_books()


def test_offsets_of_a_consumer_group_mean_nothing(house: House) -> None:
    """Group offsets at the journal's end, under the very name that the sink's consumer bears, skip nothing."""
    live_more(house, 20)
    ends = [TopicPartition(house.topic, p, 10_000) for p in range(PARTITIONS)]
    stranger = Consumer({"bootstrap.servers": house.kafka, "group.id": GROUP})
    stranger.commit(offsets=ends, asynchronous=False)
    stranger.close()
    house.drain()
    house.check_books()


def live_more(house: House, transfers: int) -> None:
    """More transfers in the same journal, produced."""
    house.lives += 1
    for _ in house.ledger.life(accounts=10, transfers=transfers, seed=house.lives):
        pass
    house.produce()


def prepared(house: House, upto: int, start: dict[int, SinkPosition]) -> Batch:
    """A batch of the ledger's first records."""
    messages = [(p, n, house.codec.encode_journal(r)) for n, (p, r) in enumerate(house.ledger.records[:upto])]
    return decode_batch(start, messages, house.codec.decode_journal, house.codec.decode_intent)


def test_slower_of_two_sinks_writes_nothing(house: House) -> None:
    """The first statement of a batch finds no position to move when another sink was faster: all of it is undone."""
    for _ in house.ledger.life(accounts=4, transfers=10):
        pass
    with writer.connect(house.dsn, 1) as fast, writer.connect(house.dsn, 1) as slow:
        start = read_positions(fast, 1, PARTITIONS)
        writer.write(fast, 1, prepared(house, 34, start))
        with pytest.raises(Overtaken):
            writer.write(slow, 1, prepared(house, 34, start))
        with pytest.raises(Overtaken):
            writer.write(slow, 1, prepared(house, 20, start))
    house.check_books(house.ledger.records[:34])


def test_frozen_sink_that_wakes_writes_nothing_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that was frozen in mid-transaction past the server's patience wakes, and repeats nothing."""
    for _ in house.ledger.life(accounts=4, transfers=10):
        pass
    batch: Callable[[dict[int, SinkPosition]], Batch] = lambda start: prepared(house, 34, start)  # noqa: E731
    with writer.connect(house.dsn, 1) as frozen, writer.connect(house.dsn, 1) as other:
        start = read_positions(frozen, 1, PARTITIONS)
        frozen.execute("SET idle_in_transaction_session_timeout = '200ms'")
        writes = writer._write_balances

        def write_balances_after_a_long_sleep(connection: psycopg.Connection, rest: Batch) -> None:
            if connection is frozen:
                writer.write(other, 1, batch(start))
            writes(connection, rest)

        monkeypatch.setattr(writer, "_write_balances", write_balances_after_a_long_sleep)
        with pytest.raises(sinks.sink.TRIED_AGAIN):
            writer.write(frozen, 1, batch(start))
    house.check_books()


def test_postgres_put_back_to_an_older_copy_catches_up(house: House) -> None:
    """The database is replaced, under a running sink, by an older copy: the sink notices and writes the rest."""
    live_more(house, 500)
    house.drain(batch=200)
    name = str(conninfo_to_dict(house.dsn)["dbname"])
    maintenance = make_conninfo(house.dsn, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}_old TEMPLATE {name}".encode())
        live_more(house, 500)
        running = house.start_sink(batch=200)
        house.wait_until_sunk()
        server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false".encode())
        server.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [name])
        server.execute(f"DROP DATABASE {name}".encode())
        server.execute(f"ALTER DATABASE {name}_old RENAME TO {name}".encode())
    live_more(house, 100)
    house.wait_until_sunk()
    running.stop()
    house.check_books()


def test_killed_kafka_loses_and_repeats_nothing(house: House, services: Any) -> None:
    """kill -9 of Kafka under a running sink: it waits, and goes on where it was."""
    live_more(house, 300)
    running = house.start_sink(batch=100)
    house.wait_until_sunk()
    services.kill("kafka")
    services.start("kafka")
    house.reconnect()
    live_more(house, 300)
    house.wait_until_sunk()
    running.stop()
    house.check_books()


def test_sink_that_starts_before_its_topic_waits_for_it(house: House) -> None:
    """A journal that cannot be read yet is no halt: the sink asks again, each time with a client that knows nothing."""
    late = house.topic + "-late"
    running = house.start_sink(topic=late)
    house.wait_until(lambda: running.sink.progress.reconnects >= 2)
    house.create_topic(late)
    for _ in house.ledger.life(accounts=4, transfers=10):
        pass
    house.produce(house.ledger.records, topic=late)
    house.wait_until_sunk(len(house.ledger.records))
    running.stop()
    house.check_books()
