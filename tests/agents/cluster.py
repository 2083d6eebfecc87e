"""A whole ledger on real Kafka, with real worker processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.registry import Registry
from streams import admin
from streams.agents.codec import LedgerCodec
from streams.ledger.intents import Intent
from streams.ledger.journal import JournalRecord
from streams.ledger.vocabulary import Input, Outcome
from streams.settings import Settings
from streams.topics import INTENTS, JOURNAL
from tests.agents.ledgers import Ledger

PATIENCE_S = 90.0


class Cluster(Ledger):
    """Topics of its own on the tests' Kafka, and worker processes that end with the test."""

    def __init__(
        self, kafka: str, registry: str, prefix: str, data: Path, partitions: int = 4, workers: int = 1
    ) -> None:
        super().__init__()
        self.settings = Settings(
            bootstrap_servers=kafka,
            registry_url=registry,
            data_dir=data,
            topic_prefix=f"{prefix}-",
            group=prefix,
            partitions=partitions,
        )
        admin.apply(self.settings)
        Registry(registry).register_all(self.settings.topic_prefix)
        self.codec = LedgerCodec.connect(registry, self.settings.topic_prefix)
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self._acknowledged: set[tuple[int, int]] = set()
        self._producer = self._new_producer()
        self._journal: dict[int, list[JournalRecord]] = {p: [] for p in range(partitions)}
        self._reader = self._new_reader()
        for slot in range(workers):
            self.start(slot)

    # --- processes ---

    def start(self, slot: int = 0) -> None:
        """Start a worker in a slot and wait until it is ready."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log(slot).open("ab") as log:
            self.workers[slot] = subprocess.Popen(
                [sys.executable, "-m", "twofold", "worker", "--slot", str(slot)],
                env={**os.environ, **self.settings.to_env()},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._until(lambda: self._presence(slot).get("pid") == self.workers[slot].pid, f"worker {slot} is ready")

    def log(self, slot: int) -> Path:
        """The file that a worker's output goes to."""
        return self.settings.data_dir / f"worker-{slot}.log"

    def kill(self, slot: int = 0) -> None:
        """kill -9."""
        self.workers[slot].kill()
        self.workers.pop(slot).wait()

    def restart(self) -> None:
        """Kill every worker and start it again."""
        for slot in list(self.workers):
            self.kill(slot)
            self.start(slot)

    def stop(self) -> None:
        """End all that was started."""
        for process in self.workers.values():
            process.terminate()
        for process in self.workers.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._reader.close()

    def view(self, path: str, slot: int = 0) -> tuple[int, Any]:
        """What a worker's web view answers: (status, JSON)."""
        url = f"http://127.0.0.1:{self._presence(slot)['port']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def status(self, path: str, slot: int = 0) -> int:
        """The HTTP status that a worker answers a path with."""
        url = f"http://127.0.0.1:{self._presence(slot)['port']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    def _presence(self, slot: int) -> dict[str, Any]:
        path = self.settings.data_dir / "workers" / f"{slot}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    # --- intents ---

    def produce(self, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """Produce, acknowledged by all."""
        self._put(self._producer, key, value, partition)
        assert self._producer.flush(30) == 0

    def _put(self, producer: Producer, key: bytes | None, value: bytes | None, partition: int | None) -> None:
        where = -1 if partition is None else partition
        producer.produce(self.settings.topic(INTENTS.name), value, key, where, self._delivered)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self._acknowledged.add((partition, offset))

    def encode(self, intent: Intent) -> bytes:
        """The bytes of an intent."""
        return self.codec.encode_intent(intent)

    def send_concurrently(self, shares: Sequence[Sequence[Intent]]) -> None:
        """Each share from a producer and a thread of its own."""
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(self._send_share, shares))

    def _send_share(self, intents: Sequence[Intent]) -> None:
        producer = self._new_producer()
        for intent in intents:
            self._put(producer, intent.account.encode(), self.encode(intent), None)
            producer.poll(0)
        assert producer.flush(30) == 0

    def _new_producer(self) -> Producer:
        return Producer({"bootstrap.servers": self.settings.bootstrap_servers, "partitioner": "murmur2_random"})

    # --- outcomes ---

    def run(self) -> None:
        """Wait until every acknowledged intent is journalled and no transfer is under way."""
        self._until(self._is_drained, "every intent has its outcome")

    def _is_drained(self) -> bool:
        records = self.journal()
        inputs = {(r.input.partition, r.input.offset) for r in records if r.input.topic is Input.INTENTS}
        if self._acknowledged - inputs:
            return False
        begun = {(r.transfer, r.pending) for r in records if r.outcome is Outcome.PENDING}
        ended = {(r.transfer, r.pending) for r in records if r.outcome in (Outcome.POSTED, Outcome.COMPENSATED)}
        return begun == ended

    def journal(self) -> Sequence[JournalRecord]:
        """Every committed journal record so far."""
        while messages := self._reader.consume(10_000, 0.1):
            for message in messages:
                assert message.error() is None, message.error()
                self._journal[message.partition() or 0].append(self.codec.decode_journal(message.value() or b""))
        return [record for records in self._journal.values() for record in records]

    def _new_reader(self) -> Consumer:
        reader = Consumer(
            {
                "bootstrap.servers": self.settings.bootstrap_servers,
                "group.id": f"{self.settings.group}-test",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
            }
        )
        topic = self.settings.topic(JOURNAL.name)
        reader.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in self._journal])
        return reader

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait, in real time."""
        self._until(holds, "what the test waits for")

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not holds():
            for slot, process in self.workers.items():
                code = process.poll()
                assert code is None, f"worker {slot} ended with {code}:\n{self.log(slot).read_text()[-3000:]}"
            assert time.monotonic() < until, f"waited in vain until {what}:\n{self._logs()}"
            time.sleep(0.02)

    def _logs(self) -> str:
        return "\n".join(self.log(slot).read_text()[-2000:] for slot in self.workers)
