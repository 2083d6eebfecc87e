"""Two consumers: one in the group for intents, one without a group for the legs of the same partitions.

Legs have their own queue so that they are drained first. Records are read from the places that the tables hold, never
from the group's offsets. Rebalances arrive as events between batches: ``poll`` is never called with an open
transaction, and a poll in which one arrived returns nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.engine.config import EngineConfig
from streams.engine.errors import Fenced, Halted
from streams.engine.membership import Membership
from streams.engine.positions import Place
from streams.engine.record import Queue, Record
from streams.engine.topology import Topology

log = logging.getLogger("twofold.engine")

IDLE_SECONDS = 0.004
"""How long a poll waits for intents when no leg is there: the longest that a leg which arrives meanwhile waits."""
LEG_BYTES = 64
"""Packed legs count towards a batch's records by this many bytes each."""
LEGS_CHUNK = 16
INTENT_BYTES = 100
"""The least that an intent takes on its topic."""
SETTLED_ERRORS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}
"""Errors that waiting does not mend."""


class Assigned(NamedTuple):
    """Partitions were given to this worker."""

    partitions: list[int]


class Revoked(NamedTuple):
    """Partitions were taken away."""

    partitions: list[int]


Event = Assigned | Revoked


class KafkaSource:
    """Delivers input records. One thread calls it."""

    def __init__(self, config: EngineConfig, topology: Topology, partitions: int) -> None:
        """``partitions``: how many the topics have."""
        self._intents_topic = topology.intents
        self._legs_topic = topology.legs
        self._batch_records = config.batch_records
        self._batch_seconds = config.batch_ms / 1000
        self._legs_bound = config.legs_bound
        self._group = Consumer(_intents_settings(config, topology, partitions), logger=log)
        self._legs = Consumer(_legs_settings(config, topology), logger=log)
        self.membership: Membership | None = None
        self._events: list[Event] = []
        self._intents_placed: set[int] = set()
        self._legs_seen: dict[int, int] = {}
        self._held: set[int] = set()

    def subscribe(self) -> None:
        """Join the group."""
        self._group.subscribe(
            [self._intents_topic], on_assign=self._on_assign, on_revoke=self._on_gone, on_lost=self._on_gone
        )

    def take_events(self) -> list[Event]:
        """Assignments and revocations since the last call, in order."""
        events, self._events = self._events, []
        return events

    def poll(self) -> list[Record]:
        """Legs, then intents: what has arrived, up to the batch's bounds. Raises ``Halted`` and ``Fenced``."""
        legs: list[Record] = []
        intents: list[Record] = []
        wait = IDLE_SECONDS
        deadline = 0.0
        while True:
            new_legs = self._take_legs(self._batch_records - len(intents) - _weight(legs))
            self._hold_intents()
            legs += new_legs
            room = self._batch_records - len(intents) - _weight(legs)
            new_intents = self._take_intents(room, 0 if new_legs else wait)
            intents += new_intents
            if self._events:
                # Consumed before or after partitions changed hands: nobody can tell, so all of it is dropped.
                return []
            now = time.monotonic()
            wait, deadline = 0, deadline or now + self._batch_seconds
            if room <= len(new_intents) or not (new_legs or new_intents) or now >= deadline:
                return legs + intents

    def place(self, queues: Mapping[Queue, Place]) -> None:
        """Read exactly these queues from these places; what was fetched and not delivered is dropped."""
        if self.membership is None:
            return
        if self._held:
            self._group.resume([TopicPartition(self._intents_topic, number) for number in self._held])
            self._held.clear()
        intents = [TopicPartition(*q, place.offset) for q, place in queues.items() if q.topic == self._intents_topic]
        legs = [TopicPartition(*q, place.offset) for q, place in queues.items() if q.topic == self._legs_topic]
        self._group.assign(intents)
        self._legs.assign(legs)
        self._intents_placed = {tp.partition for tp in intents}
        self._legs_seen = {tp.partition: tp.offset for tp in legs}

    def committed(self, queue: Queue, timeout: float) -> int | None:
        """The group's stable committed offset, None if there is none. Raises ``KafkaException`` while it is unstable.

        This consumer is read_committed: one that is not would be told of no offset at all while a transaction is open.
        """
        (found,) = self._group.committed([TopicPartition(*queue)], timeout=timeout)
        if found.error is not None:
            raise KafkaException(found.error)
        return found.offset if found.offset >= 0 else None

    def unread_legs(self) -> dict[int, int]:
        """How many legs records of each partition were not delivered yet, as of the last fetch."""
        unread = {}
        for number, seen in self._legs_seen.items():
            watermarks = self._legs.get_watermark_offsets(TopicPartition(self._legs_topic, number), cached=True)
            unread[number] = max(0, watermarks[1] - seen) if watermarks else 0
        return unread

    def close(self) -> None:
        """Leave the group and close both consumers."""
        self._group.close()
        self._legs.close()

    def _take_legs(self, room: int) -> list[Record]:
        taken: list[Record] = []
        while room > 0:
            chunk = self._take(self._legs, self._legs_topic, LEGS_CHUNK, 0)
            if not chunk:
                break
            taken += chunk
            room -= _weight(chunk)
        return taken

    def _take_intents(self, room: int, wait: float) -> list[Record]:
        """Wait for one, then take what else is there: `consume` of many would wait for all of them."""
        # Without room one is taken all the same: the group is served by this call alone.
        first = self._take(self._group, self._intents_topic, 1, wait if room > 0 else 0)
        return first + self._take(self._group, self._intents_topic, room - 1, 0) if first and room > 1 else first

    def _take(self, consumer: Consumer, topic: str, limit: int, wait: float) -> list[Record]:
        records = []
        for message in consumer.consume(limit, wait):
            error = message.error()
            if error is not None:
                self._on_error(error, message)
                continue
            kind, time_ms = message.timestamp()
            if kind != TIMESTAMP_LOG_APPEND_TIME:
                raise no_append_time(message)
            records.append(
                Record(topic, message.partition() or 0, message.offset() or 0, time_ms, message.key(), message.value())
            )
        if consumer is self._legs:
            for record in records:
                self._legs_seen[record.partition] = record.offset + 1
        return records

    def _hold_intents(self) -> None:
        """Pause the intents of partitions whose own legs wait, so that money on its way arrives first."""
        unread = self.unread_legs()
        hold = {n for n in self._intents_placed - self._held if unread.get(n, 0) > self._legs_bound}
        free = {n for n in self._held if unread.get(n, 0) <= self._legs_bound // 2}
        if hold:
            self._group.pause([TopicPartition(self._intents_topic, number) for number in hold])
        if free:
            self._group.resume([TopicPartition(self._intents_topic, number) for number in free])
        self._held = (self._held | hold) - free

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Nothing is read before the restore: the place to read from is in the tables.
        self.membership = Membership.of(consumer.consumer_group_metadata())
        consumer.assign([])
        self._events.append(Assigned([tp.partition for tp in partitions]))

    def _on_gone(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.membership = None
        consumer.unassign()
        self._legs.assign([])
        self._intents_placed = set()
        self._legs_seen = {}
        self._held.clear()
        self._events.append(Revoked([tp.partition for tp in partitions]))

    def _on_error(self, error: KafkaError, message: Message) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            self._legs_seen[message.partition() or 0] = message.offset() or 0
        elif code == KafkaError._AUTO_OFFSET_RESET:
            raise Halted(
                f"{message.topic()} partition {message.partition()} has no record where the tables want to go on: "
                f"{error.str()}",
                "restore the topic, or rebuild from a verified snapshot (see docs/engine.md)",
            )
        elif error.fatal():
            raise Fenced(f"the consumer ended: {error.str()}")
        elif code in SETTLED_ERRORS:
            raise Halted(f"{message.topic()}: {error.str()}", "twofold topics apply, and check the topic's ACLs")
        else:
            log.warning("consumer: %s", error.str())


def no_append_time(message: Message) -> Halted:
    """The halt for a record that is dated by its producer: retention and partition time would follow its word."""
    return Halted(
        f"a record of {message.topic()} (partition {message.partition()}, offset {message.offset()}) has no broker "
        "append time (message.timestamp.type=LogAppendTime), so its date is whatever its producer said",
        "twofold topics apply, then replay into new topics",
    )


def _weight(legs: list[Record]) -> int:
    """What packed legs count for among a batch's records."""
    return sum(1 + len(record.value or b"") // LEG_BYTES for record in legs)


def _common_settings(config: EngineConfig, topology: Topology) -> dict[str, Any]:
    return {
        **config.clients(),
        "group.id": topology.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        # Where to read is in the tables: a place that the log does not have is an operator's matter.
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
        # A full queue is looked at again this soon: after the default, a second, it would long have run empty.
        "fetch.queue.backoff.ms": 5,
    }


def _intents_settings(config: EngineConfig, topology: Topology, partitions: int) -> dict[str, Any]:
    share = config.batch_records // partitions
    return {
        **_common_settings(config, topology),
        # Under the newer protocol the member epoch moves without a callback, and what was captured is refused later.
        "group.protocol": "classic",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": config.session_timeout_ms,
        "heartbeat.interval.ms": max(100, config.session_timeout_ms // 5),
        "max.poll.interval.ms": max(60_000, config.session_timeout_ms),
        # About two batches ahead at the most, since intents that were read early are settled late: one in the queues,
        # and what one fetch brings on top of it.
        "queued.min.messages": max(1, share),
        "max.partition.fetch.bytes": max(2048, share * INTENT_BYTES),
    }


def _legs_settings(config: EngineConfig, topology: Topology) -> dict[str, Any]:
    return {
        **_common_settings(config, topology),
        # Tells how far the log was read where it ends in control records or in what was aborted.
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": 16384,
    }
