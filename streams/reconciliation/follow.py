"""Reads a topic from its start, all partitions, read_committed, and knows how far it has read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.settings import Settings

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10
ATTEMPTS = 6
"""How often Kafka is asked for its topics at the start: it may be starting too."""
"""How long Kafka may take to answer a question."""


class CannotFollow(RuntimeError):
    """A topic is not as it must be; the message says what to do."""


class Read(NamedTuple):
    """What one call read: (offset, key, value) by partition."""

    records: dict[int, list[tuple[int, bytes | None, bytes | None]]]
    ended: set[int]
    """Partitions that were read to their end."""
    read_to: list[int]
    """Offset up to which each partition has been read: aborted records and control records counted."""


class Follower:
    """A consumer of one topic that commits nothing: what was read is kept in memory and read again after a restart."""

    def __init__(self, settings: Settings, topic: str, group: str) -> None:
        self.topic = settings.topic(topic)
        self.partitions = settings.partitions
        self._bootstrap_servers = settings.bootstrap_servers
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "log_level": 2,
                "queued.max.messages.kbytes": 16384,
                "fetch.wait.max.ms": 100,
            }
        )
        self._held_back: set[int] = set()
        self._read_to = [0] * self.partitions

    def start(self) -> None:
        """Begin at the start of every partition.

        Raises CannotFollow where the topic has other partitions, or when Kafka does not answer for a minute.
        """
        count = self._count_partitions()
        if count != self.partitions:
            state = "does not exist" if count == 0 else f"has {count} partitions"
            raise CannotFollow(
                f"the topic {self.topic} {state}, {self.partitions} are configured (TWOFOLD_PARTITIONS); "
                "`twofold topics apply` creates missing topics"
            )
        self._consumer.assign([TopicPartition(self.topic, p, OFFSET_BEGINNING) for p in range(self.partitions)])

    def _count_partitions(self) -> int:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return len(self._consumer.list_topics(self.topic, timeout=ANSWER_SECONDS).topics[self.topic].partitions)
            except KafkaException as error:
                if attempt == ATTEMPTS:
                    message = f"Kafka does not answer: {error}; is TWOFOLD_BOOTSTRAP_SERVERS right?"
                    raise CannotFollow(message) from None
                log.warning("Kafka does not answer yet (%d of %d): %s", attempt, ATTEMPTS, error)
        raise AssertionError("unreachable")

    def read(self, most: int, seconds: float) -> Read:
        """What has arrived, at most that many records, after at most that many seconds.

        Raises KafkaException only if nothing has: what came before an error is never dropped.
        """
        failed: KafkaException | None = None
        read_to = self._read_to = self._read_to.copy()
        result = Read({}, set(), read_to)
        for message in self._consumer.consume(most, seconds):
            error = message.error()
            partition = _partition(message)
            offset = message.offset() or 0
            if error is None:
                result.records.setdefault(partition, []).append((offset, message.key(), message.value()))
                read_to[partition] = offset + 1
                result.ended.discard(partition)
            elif error.code() == KafkaError._PARTITION_EOF:
                result.ended.add(partition)
                read_to[partition] = max(read_to[partition], offset)
            elif error.fatal() or not error.retriable():
                failed = KafkaException(error)
        if failed is not None and not result.records:
            raise failed
        return result

    def ends(self) -> list[int]:
        """The end of every partition, open transactions included. Raises KafkaException."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(self.topic, p): latest for p in range(self.partitions)}
        # A new client each time: one that has seen the broker restart is refused for ever, with a stale leader epoch.
        admin = AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 2})
        answers = admin.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ANSWER_SECONDS
        )
        found = {tp.partition: answer.result().offset for tp, answer in answers.items()}
        return [found[p] for p in range(self.partitions)]

    def hold_back(self, full: Callable[[int], bool]) -> None:
        """Fetch no more of the partitions that are full, and go on with those that no longer are."""
        now = {p for p in range(self.partitions) if full(p)}
        if now != self._held_back:
            self._consumer.pause([TopicPartition(self.topic, p) for p in now - self._held_back])
            self._consumer.resume([TopicPartition(self.topic, p) for p in self._held_back - now])
            self._held_back = now

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()


def _partition(message: Message) -> int:
    partition = message.partition()
    assert partition is not None
    return partition
