"""The test driver: the same agents, tables, batches and restores with no broker, in memory, deterministically.

    driver = TestDriver(topology, partitions=2)
    driver.send(topology.intents, b"alice", b"...")
    driver.run()
    driver.records(topology.journal)

It runs the engine's own batch protocol; only Kafka is replaced. Crashes happen at the protocol's named points.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice

from streams.engine.admission import Found, admit
from streams.engine.errors import Aborted
from streams.engine.identity import Identity, Stamp, fresh_stamp
from streams.engine.metrics import Metrics
from streams.engine.partitioner import partition_of
from streams.engine.positions import POSITIONS_KEY, Place, Positions
from streams.engine.processor import Partition, Processor
from streams.engine.record import Output, Queue, Record
from streams.engine.store.interface import Store
from streams.engine.store.memory import MemoryStore
from streams.engine.table import Change, PartitionTables
from streams.engine.topology import Topology


class Crashed(BaseException):
    """The worker died at a named point. Not an Exception: nothing may catch it on the way out."""


class TestDriver:
    """One worker and its broker. Append times are ``now_ms`` unless given; ``now_ms`` is also the worker's clock."""

    __test__ = False  # Not a test case, whatever its name says.

    def __init__(self, topology: Topology, partitions: int = 1, batch_records: int = 4000) -> None:
        self.topology = topology
        self.identity = Identity("driver", {topic: f"id-{topic}" for topic in topology.topics}, partitions)
        self.batch_records = batch_records
        self.now_ms = 1_700_000_000_000
        self.logs: dict[Queue, list[Record]] = defaultdict(list)
        """What the broker holds: every committed record by topic and partition."""
        self.offsets: dict[Queue, int] = {}
        """The group's committed offsets."""
        self.points: list[str] = []
        """Every named point that was passed."""
        self._stores: dict[int, MemoryStore] = {}
        self._crash_at: str | None = None
        self._reading: dict[Queue, int] = {}
        self._abort: str | None = None
        self.processor = self._new_processor()
        self.assign(range(partitions))

    # --- the outside ---

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Record:
        """Append a record; the partition is murmur2(key) unless given."""
        if partition is None:
            partition = partition_of(key or b"", self.identity.partitions)
        return self._append(topic, partition, key, value, timestamp_ms)

    def run(self, batches: int | None = None) -> int:
        """Process until nothing readable is left, or that many batches; returns how many records that were."""
        before = self.metrics.records
        for _ in range(batches) if batches is not None else iter(int, 1):
            if not self._waiting():
                break
            self.processor.step()
        return self.metrics.records - before

    def records(self, topic: str, partition: int | None = None) -> list[Record]:
        """A topic's committed records, of one partition or of all in partition order."""
        numbers = range(self.identity.partitions) if partition is None else (partition,)
        return [record for number in numbers for record in self.logs[Queue(topic, number)]]

    def tables(self, partition: int) -> PartitionTables:
        """The tables of a partition as last committed."""
        return self.processor.partitions[partition].tables

    @property
    def metrics(self) -> Metrics:
        """The engine's counters since the last start."""
        return self.processor.metrics

    # --- faults ---

    def crash_at(self, point: str) -> None:
        """Let :meth:`run` raise :class:`Crashed` when it next passes a named point; then :meth:`restart`."""
        self._crash_at = point

    def abort_next(self, reason: str = "abort asked for by the test") -> None:
        """Let the next transaction be aborted by the broker."""
        self._abort = reason

    def restart(self, wipe: bool = False) -> None:
        """Start the worker anew, from its stores or (``wipe``) from the changelogs alone."""
        self._crash_at = None
        if wipe:
            self._stores.clear()
        self.processor = self._new_processor()
        self.assign(range(self.identity.partitions))

    def revoke(self, partitions: Sequence[int]) -> None:
        """Take partitions away."""
        self.processor.revoke(partitions)
        self.place(self.processor.queues.readable())

    def assign(self, partitions: Sequence[int]) -> None:
        """Give partitions: each is restored and asked the same questions as on Kafka. Raises ``Halted``."""
        self.processor.admit([self._restore(number) for number in partitions])

    def rebalance(self) -> None:
        """Take everything away and give it back, as an eager group does whenever a worker comes or goes."""
        owned = sorted(self.processor.partitions)
        self.revoke(owned)
        self.assign(owned)

    # --- the engine's ports ---

    def poll(self) -> list[Record]:
        """Source: the next records, legs of all partitions first."""
        found: list[Record] = []
        for topic in (self.topology.legs, self.topology.intents):
            for queue in sorted(queue for queue in self._reading if queue.topic == topic):
                start = self._reading[queue]
                fetched = list(islice(self.logs[queue], start, start + self.batch_records - len(found)))
                self._reading[queue] = start + len(fetched)
                found += fetched
        return found

    def place(self, queues: Mapping[Queue, Place]) -> None:
        """Source: read these queues."""
        self._reading = {queue: place.offset for queue, place in queues.items()}

    def commit(
        self, outputs: Sequence[Output], changes: Mapping[int, Sequence[Change]], offsets: Mapping[Queue, int]
    ) -> Mapping[Queue, int]:
        """Outbox: append all, or nothing."""
        assert offsets, "a commit without offsets would not be fenced"
        self._probe("produced")
        self._probe("offsets_sent")
        if self._abort is not None:
            reason, self._abort = self._abort, None
            raise Aborted(reason)
        for output in outputs:
            self._append(output.topic, output.partition, output.key, output.value, None)
        ends = {}
        for number, rows in changes.items():
            for changelog, key, value in rows:
                self._append(changelog, number, key, value, None)
                ends[Queue(changelog, number)] = len(self.logs[Queue(changelog, number)])
        self.offsets.update(offsets)
        self._probe("committed")
        return ends

    # --- inside ---

    def _new_processor(self) -> Processor:
        return Processor(self.topology, self, self, lambda: self.now_ms, probe=self._probe)

    def _waiting(self) -> bool:
        self.processor.wake()
        readable = self.processor.queues.readable()
        return any(place.offset < len(self.logs[queue]) for queue, place in readable.items())

    def _probe(self, point: str) -> None:
        self.points.append(point)
        if point == self._crash_at:
            raise Crashed(point)

    def _append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, timestamp_ms: int | None
    ) -> Record:
        log = self.logs[Queue(topic, partition)]
        time = self.now_ms if timestamp_ms is None else timestamp_ms
        record = Record(topic, partition, len(log), time, key, value)
        log.append(record)
        return record

    def _restore(self, number: int) -> Partition:
        store = self._stores.setdefault(number, MemoryStore())
        raw = store.stamp()
        changelogs = self.topology.changelogs
        stamp = fresh_stamp(self.identity, changelogs, self.now_ms) if raw is None else Stamp.decode(raw)
        for topic in changelogs:
            log = self.logs[Queue(topic, number)]
            rows = [(record.key or b"", record.value) for record in log[stamp.changelogs[topic][1] :]]
            stamp = stamp.advanced({topic: len(log)}, self.now_ms)
            store.apply(rows, stamp.encode())
            self._probe("restoring")
        tables = PartitionTables(number, self.topology.tables, store)
        return Partition(number, tables, self._admitted(number, tables, store), stamp)

    def _admitted(self, number: int, tables: PartitionTables, store: Store) -> Positions:
        journal = self.logs[Queue(self.topology.journal, number)]
        last = self.topology.journal_sequence(journal[-1].value or b"") if journal else None
        committed = {queue.topic: offset for queue, offset in self.offsets.items() if queue.partition == number}
        raw = store.get(POSITIONS_KEY)
        positions = None if raw is None else Positions.decode(raw)
        found = Found(number, positions, committed, self.topology.table_sequence(tables), last)
        return admit(found, self.topology, self.identity)
