"""A batch: what the handler reads and writes between one consume and one commit. One batch is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from streams.engine.record import Output, Queue, Record
from streams.engine.table import PartitionTables


class Halt(NamedTuple):
    """A queue that stops at a record: everything before (offset, index) counts as done."""

    offset: int
    index: int  # type: ignore[assignment]
    reason: str


class Batch:
    """Input records, tables and outputs of one transaction. The handler must be done with it when it returns.

    Iterate over the batch itself: that leaves out the records behind a halt.
    """

    __slots__ = ("_halts", "_retries", "_tables", "outputs", "records")

    def __init__(self, records: list[Record], tables: Mapping[int, PartitionTables]) -> None:
        self.records = records
        """Legs of all partitions first, then intents; per topic and partition in offset order."""
        self.outputs: list[Output] = []
        self._tables = tables
        self._halts: dict[Queue, Halt] = {}
        self._retries: set[Queue] = set()

    def __iter__(self) -> Iterator[Record]:
        for record in self.records:
            if not self._halts or (record.topic, record.partition) not in self._halts:
                yield record

    def tables(self, partition: int) -> PartitionTables:
        """The tables of a partition that this worker owns. Raises KeyError for another's."""
        return self._tables[partition]

    def emit(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> None:
        """Produce a record in this batch's transaction."""
        self.outputs.append(Output(topic, partition, value, key))

    def halt(self, record: Record, index: int, reason: str) -> None:
        """Stop the record's queue before its sub-record ``index``; sub-records below it count as done.

        Other queues go on. The queue is delivered again from there after :meth:`retry` or a restart.
        """
        self._halts.setdefault(record.queue, Halt(record.offset, index, reason))

    def retry(self, topic: str, partition: int) -> None:
        """Deliver a halted queue again, once this batch is committed. Does nothing for one that is not halted."""
        self._retries.add(Queue(topic, partition))

    @property
    def halts(self) -> Mapping[Queue, Halt]:
        """The queues that this batch stopped."""
        return self._halts

    @property
    def retries(self) -> frozenset[Queue]:
        """The queues to deliver again."""
        return frozenset(self._retries)

    @property
    def partitions(self) -> Collection[int]:
        """The partitions that have records in this batch."""
        return self._tables.keys()
