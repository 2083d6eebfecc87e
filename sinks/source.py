"""The journal topic, read from where Postgres says: never from group offsets.

Before anything new is read, the record *at* each stored offset is read again and compared with what Postgres remembers
of it. A journal that was put in another's place (a restored or rebuilt Kafka, the wrong cluster) is told from a journal
that merely went on, even if its offsets and sequences would fit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from sinks.batch import unreadable
from sinks.errors import Forked, SinkHalted
from sinks.positions import SinkPosition, fingerprint
from streams.ledger.journal import JournalRecord

Record = tuple[int, int, bytes]
"""partition, offset, value"""

GROUP = "twofold-sink-has-no-group"
"""librdkafka wants a name; no offset is ever committed under it or read from it."""
LINGER_S = 0.02
"""How long a batch gathers records while fewer than it may hold have arrived."""
VERIFY_S = 15.0
"""How long a broker that has just started may take to show a record that it has."""
REBUILD = (
    "If this is the right cluster, the database has to be rebuilt from its journal: `twofold migrate --epoch N`, a "
    "sink with TWOFOLD_SINK_EPOCH=N, then `twofold migrate --epoch N --live` (docs/postgres.md). If it is not, check "
    "TWOFOLD_BOOTSTRAP_SERVERS and TWOFOLD_TOPIC_PREFIX."
)


class JournalAway(Exception):
    """Kafka does not answer, or the topic cannot be read now: try again later."""


class JournalSource:
    """A read_committed consumer without a group's life, assigned to every partition of the journal."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.topic = topic
        self._bootstrap_servers = bootstrap_servers
        self._consumer = self._open()

    def _open(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap_servers,
                "group.id": GROUP,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "queued.max.messages.kbytes": 32_768,
                "log_level": 2,
            }
        )

    def reopen(self) -> None:
        """Forget what the client knew: after a broker's restart it can keep a stale leader epoch for ever."""
        self._consumer.close()
        self._consumer = self._open()

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def partitions(self) -> int:
        """How many partitions the journal has. Raises JournalAway without an answer or without the topic."""
        try:
            topic = self._consumer.list_topics(self.topic, timeout=10).topics[self.topic]
        except KafkaException as error:
            raise JournalAway(f"Kafka does not answer: {error}") from None
        if topic.error is not None or not topic.partitions:
            raise JournalAway(f"there is no topic {self.topic}: run `twofold topics apply`")
        return len(topic.partitions)

    def go_to(self, positions: Mapping[int, SinkPosition], decode: Callable[[bytes], JournalRecord]) -> None:
        """Verify each position against the journal, then read on after it.

        Raises Forked when the journal is not the one that the positions were written from, JournalAway when that
        cannot be known now.
        """
        self._assign(positions, verify=True)
        waiting = {p.partition: p for p in positions.values() if p.sequence}
        deadline = time.monotonic() + VERIFY_S
        while waiting:
            for partition, offset, value in self._consume(1, 0.2):
                expected = waiting.pop(partition, None)
                if expected is not None:
                    _compare(self.topic, expected, offset, value, decode)
            if waiting and time.monotonic() > deadline:
                self._give_up(next(iter(waiting.values())))
        self._assign(positions, verify=False)

    def _assign(self, positions: Mapping[int, SinkPosition], verify: bool) -> None:
        starts = []
        for position in positions.values():
            if position.sequence and verify:
                self._check_bounds(position)
                starts.append(TopicPartition(self.topic, position.partition, position.offset))
            elif not verify:
                start = position.offset + 1 if position.sequence else OFFSET_BEGINNING
                starts.append(TopicPartition(self.topic, position.partition, start))
        try:
            self._consumer.assign(starts)
        except KafkaException as error:
            raise JournalAway(f"the journal cannot be read: {error}") from None

    def _check_bounds(self, position: SinkPosition) -> None:
        """Refuse an offset below the journal's start at once, and one above its end after some patience."""
        deadline = time.monotonic() + VERIFY_S
        while True:
            low, end = self._bounds(position.partition)
            if position.offset < low:
                raise Forked(
                    f"{_told(position)}, but journal partition {position.partition} starts at offset {low}: it is "
                    f"another journal, or it was trimmed. {REBUILD}"
                )
            if position.offset < end:
                return
            if time.monotonic() > deadline:
                raise Forked(
                    f"{_told(position)}, but journal partition {position.partition} ends at offset {end}: Postgres is "
                    f"ahead of this Kafka, which lost records or is another one. {REBUILD}"
                )
            time.sleep(0.2)

    def _bounds(self, partition: int) -> tuple[int, int]:
        """The first offset and the last stable one."""
        try:
            found = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), timeout=10)
        except KafkaException as error:
            raise JournalAway(f"Kafka does not answer: {error}") from None
        if found is None:
            raise JournalAway("Kafka does not answer: no watermarks")
        return found

    def _give_up(self, position: SinkPosition) -> None:
        low, end = self._bounds(position.partition)
        if low <= position.offset < end:
            raise JournalAway(f"journal partition {position.partition} gives nothing at offset {position.offset}")
        raise Forked(f"{_told(position)}, but the journal now spans {low} to {end}. {REBUILD}")

    def read(self, most: int, wait_s: float) -> list[Record]:
        """What has arrived: up to ``most`` records, each partition's in offset order; waits for the first one.

        Raises JournalAway, or SinkHalted when the records that are next are no longer there.
        """
        first = self._consume(1, wait_s)
        return first + self._consume(most - 1, LINGER_S) if first and most > 1 else first

    def _consume(self, most: int, wait_s: float) -> list[Record]:
        try:
            messages = self._consumer.consume(most, wait_s)
        except KafkaException as error:
            raise JournalAway(f"the journal cannot be read: {error}") from None
        return [_record(message) for message in messages]


def _record(message: Message) -> Record:
    error = message.error()
    if error is not None:
        _raise(message, error)
    partition, offset, value = message.partition(), message.offset(), message.value()
    assert partition is not None, "a consumed message has a partition"
    assert offset is not None, "a consumed message has an offset"
    if value is None:
        raise SinkHalted(f"journal partition {partition}, offset {offset} is empty: no worker writes that")
    return partition, offset, bytes(value)


def _raise(message: Message, error: KafkaError) -> None:
    if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
        raise Forked(
            f"journal partition {message.partition()}: offset {message.offset()} is not there any more "
            f"({error.str()}). The journal was trimmed or replaced while it was read. {REBUILD}"
        )
    raise JournalAway(f"the journal cannot be read: {error.str()}")


def _compare(
    topic: str, expected: SinkPosition, offset: int, value: bytes, decode: Callable[[bytes], JournalRecord]
) -> None:
    try:
        sequence = decode(value).sequence
    except (ValueError, LookupError) as error:
        raise unreadable(expected.partition, offset, error) from error
    if (sequence, offset, fingerprint(value)) == (expected.sequence, expected.offset, expected.hash):
        return
    raise Forked(
        f"{_told(expected)}, but what topic {topic} holds there (offset {offset}, sequence {sequence}) is another "
        f"record: this Kafka is not the one that the database was written from. {REBUILD}"
    )


def _told(position: SinkPosition) -> str:
    return (
        f"Postgres holds partition {position.partition} up to sequence {position.sequence} at offset {position.offset}"
    )
