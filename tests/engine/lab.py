"""A ledger of the toy's on a real Kafka: its topics, its worker processes, and the checks that nothing was lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.engine.positions import POSITIONS_TAG
from tests.engine.toy import Entry, Toy, check_journal

ROOT = Path(__file__).parents[2]
QUIET: dict[str, Any] = {"log_level": 2}
"""A Kafka that ends or is paused is part of these tests."""
PATIENCE = 90.0
"""How long anything is waited for. Never what is measured."""


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE, every: float = 0.05) -> None:
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, f"waited {patience:.0f} s for: {what}"
        time.sleep(every)


class WorkerProcess:
    """One toy worker."""

    def __init__(self, lab: Lab, slot: int, spec: dict[str, Any]) -> None:
        self._ready = lab.folder / f"ready-{uuid.uuid4().hex[:6]}"
        self.signal_file = lab.folder / f"signal-{uuid.uuid4().hex[:6]}"
        self.log_file = lab.folder / f"worker-{slot}-{uuid.uuid4().hex[:6]}.log"
        whole = {
            "bootstrap": lab.bootstrap,
            "prefix": lab.prefix,
            "partitions": lab.partitions,
            "group": lab.toy.topology.group,
            "slot": slot,
            "store_dir": str(lab.folder / f"stores-{slot}"),
            "ready": str(self._ready),
            "signal": str(self.signal_file),
            **spec,
        }
        with self.log_file.open("w") as log:
            argv = [sys.executable, "-m", "tests.engine.toy_worker", json.dumps(whole)]
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_ready(self) -> WorkerProcess:
        def ready() -> bool:
            assert self.process.poll() is None, f"the worker ended:\n{self.log}"
            return self._ready.exists()

        wait_until(ready, "the worker to be ready")
        return self

    def wait_exit(self) -> int:
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker has not ended:\n{self.log[-3000:]}") from None

    def wait_stopped(self) -> None:
        """Until the worker has stopped itself by SIGSTOP."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", "the worker to stop itself")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.wait_exit()


class Lab:
    """Fresh topics under a prefix of their own."""

    def __init__(self, bootstrap: str, folder: Path, partitions: int = 2, config: dict[str, str] | None = None) -> None:
        self.bootstrap = bootstrap
        self.folder = folder
        self.partitions = partitions
        self.prefix = f"e{uuid.uuid4().hex[:8]}-"
        self.toy = Toy(self.prefix, partitions, group=self.prefix + "group")
        self.admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
        self.sent = 0
        self.workers: list[WorkerProcess] = []
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, **QUIET})
        self.create_topics(self.toy.topology.topics, config)

    def create_topics(self, names: Sequence[str], config: dict[str, str] | None = None) -> None:
        whole = {"message.timestamp.type": "LogAppendTime", **(config or {})}
        topics = [NewTopic(name, self.partitions, 1, config=whole) for name in names]
        for future in self.admin.create_topics(topics).values():
            future.result()

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete, and wait until the names are free again."""
        for future in self.admin.delete_topics(list(names)).values():
            future.result()
        wait_until(lambda: not set(names) & set(self.admin.list_topics(timeout=10).topics), "the topics to be gone")

    def start(self, slot: int = 0, **spec: Any) -> WorkerProcess:
        worker = WorkerProcess(self, slot, spec)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()

    def send(self, count: int, value: bytes = b"add", partition: int | None = None) -> None:
        """Produce intents round-robin over keys (and partitions, unless one is given)."""
        for _ in range(count):
            number = self.sent % self.partitions if partition is None else partition
            key = b"k%d" % (self.sent % 7)
            self._producer.produce(self.toy.topology.intents, value, key, number)
            self.sent += 1
        assert self._producer.flush(30) == 0

    def send_legs(self, partition: int, *values: bytes) -> None:
        for value in values:
            self._producer.produce(self.toy.topology.legs, value, None, partition)
        assert self._producer.flush(30) == 0

    def read(self, topic: str, partition: int, isolation: str = "read_committed") -> list[tuple[int, bytes, Any]]:
        """(offset, key, value) of every record up to the end of the log, as it is now."""
        return list(read_log(self.bootstrap, topic, partition, isolation))

    def journal(self) -> list[Entry]:
        """All partitions' entries, each partition's checked for gaps and repetitions."""
        entries = []
        for number in range(self.partitions):
            values = [value for _, _, value in self.read(self.toy.topology.journal, number)]
            entries += check_journal(values)
        return entries

    def wait_settled(self, records: int | None = None) -> None:
        """Until the journal holds both records of every intent sent (or ``records``)."""
        wanted = 2 * self.sent if records is None else records
        wait_until(lambda: len(self.journal()) >= wanted, f"{wanted} journal records", every=0.3)

    def check(self) -> None:
        """Every input was decided once, and the changelog is the fold of the journal."""
        topology = self.toy.topology
        for number in range(self.partitions):
            entries = check_journal([value for _, _, value in self.read(topology.journal, number)])
            decided = sorted((entry.topic, entry.offset) for entry in entries)
            inputs = [
                (topic, offset)
                for topic in (topology.intents, topology.legs)
                for offset, _, _ in self.read(topic, number)
            ]
            assert decided == sorted(inputs), f"partition {number}: inputs and decisions differ"
            counts: dict[str, int] = {}
            for entry in entries:
                counts[entry.key] = entry.count
            assert self.changelog_counters(number) == counts

    def changelog_counters(self, partition: int) -> dict[str, int]:
        """The counters that a restore from nothing gives."""
        rows: dict[bytes, bytes | None] = {}
        for _, key, value in self.read(self.toy.topology.changelogs[0], partition):
            rows[key] = value
        counters = {
            key[1:].decode(): int.from_bytes(value, "big") for key, value in rows.items() if value and key[0] == 1
        }
        assert bytes((POSITIONS_TAG,)) + b"positions" in rows
        return counters

    def committed_offsets(self) -> dict[tuple[str, int], int]:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.toy.topology.group, **QUIET})
        topics = (self.toy.topology.intents, self.toy.topology.legs)
        wanted = [TopicPartition(topic, number) for topic in topics for number in range(self.partitions)]
        found = {(tp.topic, tp.partition): tp.offset for tp in consumer.committed(wanted, timeout=30)}
        consumer.close()
        return {queue: offset for queue, offset in found.items() if offset >= 0}

    def delete_offsets(self) -> None:
        """Delete the group with its offsets; its members must have left."""

        def deleted() -> bool:
            (future,) = self.admin.delete_consumer_groups([self.toy.topology.group]).values()
            return future.exception() is None

        wait_until(deleted, "the empty group to be deleted")


def read_log(bootstrap: str, topic: str, partition: int, isolation: str) -> Iterator[tuple[int, bytes, Any]]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
            **QUIET,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    until = time.monotonic() + 30
    try:
        while time.monotonic() < until:
            for message in consumer.consume(10_000, 0.05):
                error = message.error()
                if error is None:
                    yield message.offset() or 0, message.key() or b"", message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
        raise AssertionError(f"{topic} {partition} could not be read")
    finally:
        consumer.close()
