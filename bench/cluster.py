"""A ledger to measure: services, topics, schemas and one real worker process, all of its own."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import psutil
from confluent_kafka import Consumer, IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from infra.stack import Services
from schemas.registry import Registry
from streams import admin
from streams.agents.codec import LedgerCodec
from streams.ledger.intents import Intent
from streams.settings import Settings
from streams.topics import INTENTS, JOURNAL

PATIENCE_S = 300.0


@dataclasses.dataclass
class Cluster:
    """Where things are, and the processes to look at."""

    settings: Settings
    codec: LedgerCodec
    broker: psutil.Process | None
    """None for services that were there before."""

    def produce(self, intents: Iterable[tuple[str, bytes]]) -> int:
        """Put encoded intents on the topic, (account, value) each, as a plain Kafka producer does; how many."""
        producer = Producer(
            {
                "bootstrap.servers": self.settings.bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 500_000,
            }
        )
        topic, count = self.settings.topic(INTENTS.name), 0
        for account, value in intents:
            while True:
                try:
                    producer.produce(topic, value, account.encode())
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
        producer.flush()
        return count

    def journal_end(self) -> int:
        """How many journal positions are readable by a read_committed consumer, transaction markers counted."""
        ask = {TopicPartition(self.settings.topic(JOURNAL.name), p): OffsetSpec.latest() for p in self.partitions}  # type: ignore[no-untyped-call]
        answers = self._admin.list_offsets(ask, isolation_level=IsolationLevel.READ_COMMITTED)
        return sum(future.result(30).offset for future in answers.values())

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.settings.bootstrap_servers})

    @property
    def partitions(self) -> range:
        """The ledger's partitions."""
        return range(self.settings.partitions)

    def journal_reader(self) -> Consumer:
        """A read_committed consumer at the start of every journal partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.settings.bootstrap_servers,
                "group.id": "bench",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        topic = self.settings.topic(JOURNAL.name)
        consumer.assign([TopicPartition(topic, p, 0) for p in self.partitions])
        return consumer

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        """One real worker process, ready; stopped at the end."""
        log = (self.settings.data_dir / "worker.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "twofold", "worker", "--slot", "0"],
            env={**os.environ, **self.settings.to_env()},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(lambda: (self.settings.data_dir / "workers" / "0.json").exists(), process)
            yield psutil.Process(process.pid)
        except BaseException:
            print((self.settings.data_dir / "worker.log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def wait_for(holds: object, process: subprocess.Popen[bytes] | None = None) -> None:
    """Poll until ``holds()``; raises if the process ends first or patience does."""
    assert callable(holds)
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if process is not None and process.poll() is not None:
            raise SystemExit(f"the worker ended with exit code {process.returncode}")
        if time.monotonic() > until:
            raise SystemExit("waited too long")
        time.sleep(0.05)


@contextmanager
def cluster(partitions: int = 8, **more: object) -> Iterator[Cluster]:
    """Topics and schemas of its own, on services of its own or on those that TWOFOLD_BOOTSTRAP_SERVERS names."""
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder:
        if "TWOFOLD_BOOTSTRAP_SERVERS" in os.environ:
            yield _prepared(Settings.from_env(), None, Path(folder), partitions, more)
            return
        with Services(Path(folder) / "stack", only={"kafka", "registry"}) as services:
            given = Settings(bootstrap_servers=services.bootstrap_servers, registry_url=services.registry_url)
            yield _prepared(given, services.pid("kafka"), Path(folder), partitions, more)


def _prepared(given: Settings, broker: int | None, data: Path, partitions: int, more: dict[str, object]) -> Cluster:
    name = f"bench{uuid.uuid4().hex[:8]}"
    settings = dataclasses.replace(
        given,
        topic_prefix=f"{name}-",
        group=name,
        data_dir=data,
        partitions=partitions,
        **more,  # type: ignore[arg-type]
    )
    admin.apply(settings)
    Registry(settings.registry_url).register_all(settings.topic_prefix)
    codec = LedgerCodec.connect(settings.registry_url, settings.topic_prefix)
    return Cluster(settings, codec, None if broker is None else psutil.Process(broker))


def encoded(codec: LedgerCodec, intents: Iterable[Intent]) -> Iterator[tuple[str, bytes]]:
    """Intents as :meth:`Cluster.produce` wants them."""
    for intent in intents:
        yield intent.account, codec.encode_intent(intent)
