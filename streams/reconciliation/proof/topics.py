"""Reads whole topics up to an end that was taken before: what is committed, and nothing that comes later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.settings import Settings

AT_ONCE = 10_000
ANSWER_SECONDS = 15
SILENCE_SECONDS = 30
"""How long a topic that has records may give none before reading it is given up."""

Ends = dict[int, int]


class CannotRead(RuntimeError):
    """A topic cannot be read; the message says what to do."""


class Raw(NamedTuple):
    """One record of a topic."""

    partition: int
    offset: int
    time: int
    """The broker's append time in microseconds."""
    key: bytes | None
    value: bytes | None


class Topics:
    """Reads the topics of one ledger, read_committed, without a consumer group's offsets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = self._new_admin()

    def ends(self, topic: str) -> Ends:
        """Each partition's end for a reader of committed records: open transactions are beyond it."""
        name = self._settings.topic(topic)
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self._ends(name)
            except KafkaException as error:
                if time.monotonic() > until:
                    raise CannotRead(
                        f"Kafka does not tell the ends of {name}: {error.args[0].str()}. Is TWOFOLD_BOOTSTRAP_SERVERS "
                        f"right, is TWOFOLD_PARTITIONS ({self._settings.partitions}) the topic's, "
                        "did `twofold topics apply` run?"
                    ) from None
            # A client that outlives its broker asks with the leader epoch of before for ever: only a new one gets well.
            time.sleep(0.2)
            self._admin = self._new_admin()

    def _ends(self, name: str) -> Ends:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(name, p): latest for p in range(self._settings.partitions)}
        answers = self._admin.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=ANSWER_SECONDS
        )
        return {tp.partition: answer.result().offset for tp, answer in answers.items()}

    def _new_admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._settings.bootstrap_servers, "log_level": 2})

    def read(self, topic: str, ends: Ends, starts: Ends | None = None) -> Iterator[Raw]:
        """Every committed record below ``ends`` (from ``starts``), in offset order within each partition."""
        name = self._settings.topic(topic)
        starts = starts or {}
        open_partitions = {p for p, end in ends.items() if end > starts.get(p, 0)}
        if not open_partitions:
            return
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(name, p, starts.get(p, OFFSET_BEGINNING)) for p in open_partitions])
            yield from self._until(consumer, name, ends, open_partitions)
        finally:
            consumer.close()

    def _until(self, consumer: Consumer, name: str, ends: Ends, reading: set[int]) -> Iterator[Raw]:
        silent = 0.0
        while reading:
            messages = consumer.consume(AT_ONCE, 0.2)
            silent = 0.0 if messages else silent + 0.2
            if silent > SILENCE_SECONDS:
                raise CannotRead(f"{name}: nothing more came from partitions {sorted(reading)} below {ends}")
            for message in messages:
                partition, offset = message.partition(), message.offset()
                assert partition is not None
                assert offset is not None
                error = message.error()
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise CannotRead(f"{name} partition {partition}: {error.str()}")
                    reading.discard(partition)
                    continue
                if offset < ends[partition]:
                    yield Raw(partition, offset, message.timestamp()[1] * 1000, message.key(), message.value())
                if offset >= ends[partition] - 1:
                    reading.discard(partition)

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._settings.bootstrap_servers,
                "group.id": f"{self._settings.topic_prefix}twofold-verify",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 65536,
            }
        )
