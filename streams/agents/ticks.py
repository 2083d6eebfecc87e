"""Ticks: records with null key and value that move the time of a partition in which nobody asks for anything.

The owner of a partition writes one when it takes the partition over, and then only when a deadline is due; never a
second one before it has read the first. Ticks are outside the batches' transactions: a lost or repeated one decides
nothing by itself, and a forged one is a record like any other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import RLock
from time import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

logger = logging.getLogger(__name__)

INTERVAL_S = 0.25
"""How often the owner looks whether a deadline is due."""


class Ticks:
    """The Ticks of the partitions of one worker, written by a producer of its own (idempotent, no transaction)."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        earliest: Callable[[int], int],
        now: Callable[[], int] = lambda: int(time() * 1_000_000),
    ) -> None:
        """``earliest`` gives a partition's earliest deadline and ``now`` the time, both in microseconds."""
        self._servers = bootstrap_servers
        self._topic = topic
        self._earliest = earliest
        self._now = now
        self._producer: Producer | None = None
        self._owned: set[int] = set()
        self._fresh: set[int] = set()
        self._outstanding: set[int] = set()
        # The engine's thread says what is owned and seen; the timer writes in the event loop's.
        self._lock = RLock()

    def assigned(self, partition: int) -> None:
        """The worker has taken the partition over."""
        with self._lock:
            self._owned.add(partition)
            self._fresh.add(partition)

    def revoked(self, partition: int) -> None:
        """The worker has the partition no more."""
        with self._lock:
            for partitions in (self._owned, self._fresh, self._outstanding):
                partitions.discard(partition)

    def seen(self, partition: int) -> None:
        """A Tick of the partition was read."""
        with self._lock:
            self._outstanding.discard(partition)

    def wanted(self) -> list[int]:
        """The partitions that need a Tick now."""
        now = self._now()
        with self._lock:
            return [p for p in sorted(self._owned - self._outstanding) if p in self._fresh or self._earliest(p) <= now]

    def write(self) -> None:
        """Write the Ticks that are wanted. Does not wait: a Tick that cannot be delivered is wanted again."""
        for partition in self.wanted():
            with self._lock:
                self._fresh.discard(partition)
                self._outstanding.add(partition)
            try:
                self._connected().produce(self._topic, partition=partition, on_delivery=self._delivered)
            except (BufferError, KafkaException) as error:
                self._want_again(partition, str(error))
        if self._producer is not None:
            self._producer.poll(0)

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {"bootstrap.servers": self._servers, "enable.idempotence": True, "message.timeout.ms": 10_000}
            )
        return self._producer

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        partition = message.partition()
        if error is not None and partition is not None:
            self._want_again(partition, error.str())

    def _want_again(self, partition: int, why: str) -> None:
        logger.warning("a tick for partition %d was not delivered: %s", partition, why)
        with self._lock:
            self._outstanding.discard(partition)
            if partition in self._owned:
                self._fresh.add(partition)

    def close(self) -> None:
        """Wait a moment for what is under way, and let go of the producer."""
        if self._producer is not None:
            self._producer.flush(2)
            self._producer = None
