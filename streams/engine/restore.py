"""Restoring a partition's tables from its changelogs, in an order that a paused or dead predecessor cannot upset.

    committed offsets, once stable ─► ends of changelogs and journal ─► store believed or wiped
        ─► read until those ends ─► last journal record ─► admission ─► delivered

A worker that was paused in its commit can still complete it after it has left the group: ending a transaction checks
no generation. So first wait until the group's offsets are stable (that transaction has then ended, and a later one
is refused), and only then ask where the logs end; the ends include what is still open, and reading waits for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.engine.admission import Found, admit
from streams.engine.cluster import Cluster
from streams.engine.config import EngineConfig
from streams.engine.errors import Fenced, Halted, WorkerHalted
from streams.engine.identity import Identity, Stamp, fresh_stamp
from streams.engine.ports import Probe
from streams.engine.positions import POSITIONS_KEY, Positions
from streams.engine.processor import Partition
from streams.engine.record import Queue
from streams.engine.source import no_append_time
from streams.engine.store.rack import Rack
from streams.engine.table import PartitionTables
from streams.engine.topology import Topology
from streams.engine.trust import reason_to_wipe

log = logging.getLogger("twofold.engine")

COMMITTED_SECONDS = 0.5
CHUNK_RECORDS = 10_000
JOURNAL_LOOK_BACK = 64
PROGRESS_SECONDS = 5.0


@dataclass
class Restoring:
    """A partition on its way."""

    number: int
    tables: PartitionTables
    committed: dict[str, int]
    stamp: Stamp
    starts: dict[Queue, int]
    """First offset of the journal and of each changelog."""
    ends: dict[Queue, int]
    at: dict[Queue, int]
    """The next offset to read."""
    journal_from: int
    """Where reading the journal began: looked further back if no committed record is found from there."""
    journal_last: bytes | None = None
    rows: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    @property
    def behind(self) -> int:
        """How many offsets are still to be read."""
        return sum(max(0, self.ends[queue] - at) for queue, at in self.at.items())

    @property
    def done(self) -> float:
        """The part of the logs that was read, 0 to 1."""
        whole = sum(self.ends[queue] - self.starts[queue] for queue in self.ends)
        return 1.0 if whole <= 0 else max(0.0, 1 - self.behind / whole)


class Restorer:
    """Restores the partitions given to it, a step at a time, so that the group is served in between."""

    def __init__(
        self,
        config: EngineConfig,
        topology: Topology,
        cluster: Cluster,
        identity: Identity,
        rack: Rack,
        committed: Callable[[Queue, float], int | None],
        clock_ms: Callable[[], int],
        probe: Probe,
    ) -> None:
        self._topology = topology
        self._cluster = cluster
        self._identity = identity
        self._rack = rack
        self._committed = committed
        self._clock_ms = clock_ms
        self._probe = probe
        self._consumer = Consumer(_settings(config, topology), logger=log)
        self._tombstones_kept_ms = cluster.tombstones_kept_ms(topology.changelogs)
        self._waiting: list[int] = []
        self._running: dict[int, Restoring] = {}
        self._progress_at = 0.0

    @property
    def active(self) -> bool:
        """Whether any partition is still on its way."""
        return bool(self._waiting or self._running)

    @property
    def progress(self) -> dict[int, float]:
        """The part that is done, by partition on its way."""
        return {**dict.fromkeys(self._waiting, 0.0), **{n: r.done for n, r in self._running.items()}}

    def begin(self, partitions: list[int]) -> None:
        """Partitions were assigned."""
        self._rack.keep(partitions)
        self._waiting += partitions

    def cancel(self, partitions: list[int]) -> None:
        """Partitions were taken away."""
        self._waiting = [number for number in self._waiting if number not in partitions]
        gone = [number for number in partitions if self._running.pop(number, None)]
        if gone:
            self._reseat()

    def step(self, wait: float) -> tuple[list[Partition], dict[int, Halted]]:
        """Go on for about ``wait`` seconds. Returns what is ready, and what must not start."""
        self._start_waiting()
        self._read(wait)
        self._tell()
        ready: list[Partition] = []
        halted: dict[int, Halted] = {}
        finished = [r for r in self._running.values() if r.behind == 0 and self._journal_is_found(r)]
        for restoring in finished:
            del self._running[restoring.number]
            try:
                ready.append(self._admitted(restoring))
            except WorkerHalted:
                raise
            except Halted as halt:
                halted[restoring.number] = halt
        if finished:
            self._reseat()
        return ready, halted

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _start_waiting(self) -> None:
        """Take the partitions whose committed offsets are stable."""
        stable: dict[int, dict[str, int]] = {}
        for number in list(self._waiting):
            try:
                offsets = {
                    topic: self._committed(Queue(topic, number), COMMITTED_SECONDS)
                    for topic in (self._topology.intents, self._topology.legs)
                }
            except KafkaException as failure:
                log.info("partition %d waits for stable offsets: %s", number, failure.args[0].str())
                self._waiting.append(self._waiting.pop(0))
                break
            self._waiting.remove(number)
            stable[number] = {topic: offset for topic, offset in offsets.items() if offset is not None}
        if stable:
            queues = [Queue(t, n) for n in stable for t in (self._topology.journal, *self._topology.changelogs)]
            ends = self._cluster.ends(queues)
            starts = self._cluster.starts(queues)
            for number, committed in stable.items():
                self._running[number] = self._open(number, committed, starts, ends)
            self._reseat()

    def _open(
        self, number: int, committed: dict[str, int], starts: dict[Queue, int], ends: dict[Queue, int]
    ) -> Restoring:
        store = self._rack.open(number)
        raw = store.stamp()
        stamp = None if raw is None else Stamp.decode(raw)
        now = self._clock_ms()
        changelogs = self._topology.changelogs
        first = {topic: starts[Queue(topic, number)] for topic in changelogs}
        last = {topic: ends[Queue(topic, number)] for topic in changelogs}
        wipe = reason_to_wipe(stamp, self._identity, first, last, now, self._tombstones_kept_ms)
        if wipe or stamp is None:
            if stamp is not None:
                log.warning("partition %d: the store is wiped and restored from nothing: %s", number, wipe)
            store.wipe()
            stamp = fresh_stamp(self._identity, changelogs, now)
        at = {Queue(t, number): max(position, first[t]) for t, (_, position) in stamp.changelogs.items()}
        journal = Queue(self._topology.journal, number)
        at[journal] = max(starts[journal], ends[journal] - JOURNAL_LOOK_BACK)
        tables = PartitionTables(number, self._topology.tables, store)
        own_starts = {queue: starts[queue] for queue in at}
        own_ends = {queue: ends[queue] for queue in at}
        return Restoring(number, tables, committed, stamp, own_starts, own_ends, at, at[journal])

    def _read(self, wait: float) -> None:
        messages = self._consumer.consume(CHUNK_RECORDS, wait) if self._running else []
        touched: set[int] = set()
        for message in messages:
            number = message.partition() or 0
            restoring = self._running.get(number)
            if restoring is None:
                continue
            queue = Queue(message.topic() or "", number)
            error = message.error()
            if error is not None:
                self._on_error(error, message)
                restoring.at[queue] = max(restoring.at[queue], message.offset() or 0)
            elif message.timestamp()[0] != TIMESTAMP_LOG_APPEND_TIME:
                raise no_append_time(message)
            elif (message.offset() or 0) >= restoring.at[queue]:
                restoring.at[queue] = (message.offset() or 0) + 1
                if queue.topic == self._topology.journal:
                    restoring.journal_last = message.value()
                    continue
                restoring.rows.append((message.key() or b"", message.value()))
            if queue.topic != self._topology.journal:
                touched.add(number)
        for number in touched:
            self._store(self._running[number])

    def _store(self, restoring: Restoring) -> None:
        changelogs = self._topology.changelogs
        ends = {topic: restoring.at[Queue(topic, restoring.number)] for topic in changelogs}
        restoring.stamp = restoring.stamp.advanced(ends, self._clock_ms())
        restoring.tables.store.apply(restoring.rows, restoring.stamp.encode())
        restoring.rows = []
        self._probe("restoring")

    def _journal_is_found(self, restoring: Restoring) -> bool:
        """Whether the last committed journal record is known; else begins to look further back."""
        journal = Queue(self._topology.journal, restoring.number)
        start = restoring.starts[journal]
        if restoring.journal_last is not None or restoring.journal_from <= start:
            return True
        # Control records and what was aborted may fill the end of the log.
        back = (restoring.ends[journal] - restoring.journal_from) * 8
        restoring.journal_from = restoring.at[journal] = max(start, restoring.ends[journal] - back)
        self._reseat()
        return False

    def _admitted(self, restoring: Restoring) -> Partition:
        number, tables = restoring.number, restoring.tables
        raw = tables.store.get(POSITIONS_KEY)
        last = restoring.journal_last
        sequence = None if last is None else self._topology.journal_sequence(last)
        positions = None if raw is None else Positions.decode(raw)
        found = Found(number, positions, restoring.committed, self._topology.table_sequence(tables), sequence)
        positions = admit(found, self._topology, self._identity)
        log.info("partition %d restored: journal sequence %d, %s", number, sequence or 0, positions.places)
        return Partition(number, tables, positions, restoring.stamp)

    def _reseat(self) -> None:
        at = [(queue, offset) for restoring in self._running.values() for queue, offset in restoring.at.items()]
        self._consumer.assign([TopicPartition(*queue, offset) for queue, offset in at])

    def _tell(self) -> None:
        now = time.monotonic()
        if self.active and now - self._progress_at > PROGRESS_SECONDS:
            self._progress_at = now
            for number, restoring in self._running.items():
                log.info("restoring partition %d: %.0f %%, %d to go", number, 100 * restoring.done, restoring.behind)

    def _on_error(self, error: KafkaError, message: Message) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            return
        if error.fatal():
            raise Fenced(f"the restoring consumer ended: {error.str()}")
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise Halted(
                f"{message.topic()} partition {message.partition()} lost records while it was restored: {error.str()}",
                "start the worker again",
            )
        log.warning("restoring: %s", error.str())


def _settings(config: EngineConfig, topology: Topology) -> dict[str, Any]:
    return {
        **config.clients(),
        "group.id": topology.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        # A log that ends in control records never delivers its last offset: its end shows as an event.
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
    }
