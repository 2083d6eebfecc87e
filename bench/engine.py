"""What the engine itself costs for each transfer-sized unit, the handler left out.

    python -m bench.engine --bootstrap-servers HOST:PORT --units 200000

A unit is one intent in, and three journal records and four table rows out (with their changelog records), in batches
of 4,000, one transaction a batch, on a real Kafka. The rows are bytes, so nothing is encoded. CPU seconds are those of
the engine's thread (without the handler's), and of the whole process with librdkafka's threads.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
import time
import uuid
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.engine.batch import Batch
from streams.engine.config import EngineConfig
from streams.engine.table import TableSpec
from streams.engine.topology import Topology
from streams.engine.worker import EngineWorker

PARTITIONS = 8
JOURNAL_RECORD = bytes(200)
ROW = bytes(100)
INTENT = bytes(150)


class Units:
    """The handler: writes what a transfer's three steps write, and times itself."""

    def __init__(self, prefix: str) -> None:
        self.seconds = 0.0
        self.handled = 0
        self.sequence = 0
        specs = [
            TableSpec(name, tag, prefix + changelog, bytes, bytes, bytes, bytes)
            for tag, (name, changelog) in enumerate(
                [
                    ("accounts", "accounts-changelog"),
                    ("open", "accounts-changelog"),
                    ("final", "transfers-changelog"),
                    ("settled", "transfers-changelog"),
                ],
                1,
            )
        ]
        self.topology = Topology(
            prefix + "group",
            prefix + "payment-intents",
            prefix + "transfer-legs",
            prefix + "journal",
            tuple(specs),
            self.handle,
            lambda value: 0,
            lambda tables: 0,
        )

    def handle(self, batch: Batch) -> None:
        started = time.thread_time()
        journal = self.topology.journal
        for record in batch:
            tables = batch.tables(record.partition)
            id = self.handled.to_bytes(16, "big")
            self.handled += 1
            key = record.key or b""
            final = tables.table("final")
            if tables.table("accounts").get(key) is not None:
                final.get(id)
            tables.table("accounts").put(key, ROW)
            tables.table("open").put(id, ROW)
            final.put(id, ROW)
            tables.table("settled").put(id, ROW)
            for _ in range(3):
                batch.emit(journal, record.partition, JOURNAL_RECORD, id)
        self.seconds += time.thread_time() - started


def prepare(bootstrap: str, units: Units, count: int) -> None:
    """Create the topics and produce the intents."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"message.timestamp.type": "LogAppendTime"}
    for future in admin.create_topics(
        [NewTopic(t, PARTITIONS, 1, config=config) for t in units.topology.topics]
    ).values():
        future.result()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": 10_000_000})
    for n in range(count):
        producer.produce(units.topology.intents, INTENT, b"account-%d" % (n % 10_000), n % PARTITIONS)
    producer.flush()


def measure(bootstrap: str, count: int, store: str) -> dict[str, object]:
    """Process all units and return the figures."""
    units = Units(f"bench{uuid.uuid4().hex[:8]}-")
    prepare(bootstrap, units, count)
    folder = Path(tempfile.mkdtemp())
    ready = threading.Event()
    worker = EngineWorker(units.topology, EngineConfig(bootstrap, store=store, store_dir=folder), on_ready=ready.set)
    cpu: dict[str, float] = {}

    def run() -> None:
        worker.run()
        cpu["thread"] = time.thread_time()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    began, process = time.perf_counter(), time.process_time()
    while units.handled < count:
        time.sleep(0.05)
    seconds, process = time.perf_counter() - began, time.process_time() - process
    worker.stop()
    thread.join()
    shutil.rmtree(folder)
    return {
        "store": store,
        "units": count,
        "units_per_second": round(count / seconds),
        "engine_thread_us": round((cpu["thread"] - units.seconds) / count * 1e6, 1),
        "handler_us": round(units.seconds / count * 1e6, 1),
        "process_us": round((process - units.seconds) / count * 1e6, 1),
        "batches": worker.metrics.batches,
        "commit_ms_per_batch": round(worker.metrics.commit_seconds / max(1, worker.metrics.batches) * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--units", type=int, default=200_000)
    parser.add_argument("--store", choices=["disk", "memory"], action="append")
    given = parser.parse_args()
    for store in given.store or ["memory", "disk"]:
        print(json.dumps(measure(given.bootstrap_servers, given.units, store)))


if __name__ == "__main__":
    main()
