"""How fast the sink writes a journal to Postgres, and how far that is from a bare COPY of the same rows.

    python -m bench.sink [--transfers 100000] [--batch 10000]

Starts its own Kafka and Postgres, produces a journal of that many transfers (three records each, one with an entry),
then lets one sink write it. The bare COPY puts the same packed rows into tables without index, constraint or trigger.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from threading import Thread

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from infra.stack import Services
from sinks import rows
from sinks.batch import decode_batch
from sinks.migrate import migrate
from sinks.positions import SinkPosition
from sinks.sink import BATCH_RECORDS, Sink
from sinks.source import JournalSource
from streams.agents.codec import LedgerCodec
from streams.topics import JOURNAL
from tests.sinks.journals import Ledger

PARTITIONS = 8
ACCOUNTS = 2000
TABLES = {
    "transfer_events": rows.TRANSFER_EVENTS,
    "entries": rows.ENTRIES,
    "postings": rows.POSTINGS,
}
Message = tuple[int, int, bytes]


def make_journal(codec: LedgerCodec, transfers: int) -> list[Message]:
    """The journal's values with partition and offset."""
    ledger = Ledger(PARTITIONS, codec.encode_intent)
    for _ in ledger.life(ACCOUNTS, transfers):
        pass
    return [(p, r.sequence - 1, codec.encode_journal(r)) for p, r in ledger.records]


def produce(bootstrap_servers: str, messages: list[Message]) -> None:
    """Put the journal into a fresh topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.create_topics([NewTopic(JOURNAL.name, PARTITIONS, 1, config=JOURNAL.config)]).values():
        future.result()
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 20, "enable.idempotence": True})
    for partition, _, value in messages:
        while True:
            try:
                producer.produce(JOURNAL.name, value, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def sink_all(services: Services, codec: LedgerCodec, records: int, batch: int) -> tuple[float, float]:
    """Seconds, and seconds of this process's CPU, that one sink takes from its start to the last record."""
    source = JournalSource(services.bootstrap_servers, JOURNAL.name)
    sink = Sink(services.postgres_dsn, 1, source, codec, batch)
    started, cpu = time.perf_counter(), time.process_time()
    thread = Thread(target=sink.run)
    thread.start()
    while sink.progress.records < records:
        time.sleep(0.01)
    taken = time.perf_counter() - started, time.process_time() - cpu
    sink.stop()
    thread.join()
    source.close()
    return taken


def bare_copy(dsn: str, codec: LedgerCodec, messages: list[Message], batch: int) -> float:
    """Seconds that COPY alone takes for the same packed rows, in transactions of the same size."""
    position = {p: SinkPosition(p) for p in range(PARTITIONS)}
    batches = []
    for start in range(0, len(messages), batch):
        made = decode_batch(position, messages[start : start + batch], codec.decode_journal, codec.decode_intent)
        position = made.positions
        batches.append({"transfer_events": made.events, "entries": made.entries, "postings": made.postings})
    seconds = 0.0
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(f"CREATE TABLE bare_{table} (LIKE ledger_1.{table})".encode())
        for packed in batches:
            started = time.perf_counter()
            with connection.transaction():
                for table, columns in TABLES.items():
                    with connection.cursor().copy(f"COPY bare_{table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
                        copy.write(b"".join((rows.HEADER, *packed[table], rows.TRAILER)))
            seconds += time.perf_counter() - started
    return seconds


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--transfers", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=BATCH_RECORDS)
    wanted = parser.parse_args()
    codec = LedgerCodec.offline()
    messages = make_journal(codec, wanted.transfers)
    with (
        tempfile.TemporaryDirectory(prefix="twofold-bench-") as data,
        Services(data, only={"kafka", "postgres"}) as services,
    ):
        migrate(services.postgres_dsn)
        produce(services.bootstrap_servers, messages)
        seconds, cpu = sink_all(services, codec, len(messages), wanted.batch)
        bare = bare_copy(services.postgres_dsn, codec, messages, wanted.batch)
    print(f"{wanted.transfers:,} transfers, {len(messages):,} journal records, batches of {wanted.batch:,}")
    print(f"sink       {wanted.transfers / seconds:10,.0f} transfers/s  {len(messages) / seconds:10,.0f} records/s")
    print(f"  its CPU  {cpu / wanted.transfers * 1e6:10.1f} µs a transfer ({cpu / seconds:.0%} of a core)")
    print(f"bare COPY  {wanted.transfers / bare:10,.0f} transfers/s  {len(messages) / bare:10,.0f} records/s")
    print(f"ratio      {bare / seconds:10.2f}")


if __name__ == "__main__":
    main()
