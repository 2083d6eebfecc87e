"""The batch protocol, over ports: the same code runs on Kafka and in the test driver.

poll ──► handle ──► encode ──► outbox.commit ──► store ──► hooks
          │  │                    │    │
          │  │ Unavailable        │    └ Fenced: the worker ends; nothing is rewound after a commit was asked for
          │  └──────► drop, back off, read again ◄── Aborted
          └ any other exception: drop, split in halves, down to the one record that raises; its queue halts
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streams.engine.batch import Batch, Halt
from streams.engine.errors import Aborted, EngineError, Fenced, Unavailable
from streams.engine.identity import Stamp
from streams.engine.metrics import Metrics
from streams.engine.ports import Outbox, Probe, Source, no_probe
from streams.engine.positions import POSITIONS_KEY, Place, Positions
from streams.engine.queues import Queues
from streams.engine.record import Queue, Record
from streams.engine.table import Change, PartitionTables
from streams.engine.topology import Topology

log = logging.getLogger("twofold.engine")

FIRST_BACK_OFF_MS = 100
LONGEST_BACK_OFF_MS = 10_000
CLOCK_PAUSE_MS = 5_000
"""How long a queue rests that is ahead of this worker's clock before the clock is asked again."""


@dataclass
class Partition:
    """A restored partition."""

    number: int
    tables: PartitionTables
    positions: Positions
    stamp: Stamp


class Processor:
    """Runs batches for the partitions admitted to it. One thread calls it."""

    def __init__(
        self,
        topology: Topology,
        source: Source,
        outbox: Outbox,
        clock_ms: Callable[[], int],
        handle: Callable[[Batch], None] | None = None,
        probe: Probe = no_probe,
        metrics: Metrics | None = None,
    ) -> None:
        self.topology = topology
        self.queues = Queues()
        self.partitions: dict[int, Partition] = {}
        self.metrics = metrics or Metrics()
        self._tables: dict[int, PartitionTables] = {}
        self._source = source
        self._outbox = outbox
        self._clock_ms = clock_ms
        self._handle = handle or topology.handle
        self._probe = probe
        self._back_off: dict[Queue, int] = {}

    def admit(self, partitions: Sequence[Partition]) -> None:
        """Begin to process restored partitions."""
        for partition in partitions:
            self.partitions[partition.number] = partition
            self._tables[partition.number] = partition.tables
            self.queues.add(partition.number, partition.positions.places)
            if self.topology.on_restored:
                self.topology.on_restored(partition.number, partition.tables)
        self._reseat()

    def revoke(self, partitions: Sequence[int]) -> None:
        """The partitions are no longer this worker's. Nothing of them is in flight: batches end before a poll."""
        self.queues.remove(partitions)
        for number in partitions:
            if self.partitions.pop(number, None) is None:
                continue
            del self._tables[number]
            if self.topology.on_revoked:
                self.topology.on_revoked(number)

    def step(self) -> bool:
        """One turn: poll and process. Whether anything was processed."""
        self.wake()
        records = self.queues.wanted(self._source.poll())
        ahead = self._ahead(records)
        if ahead:
            records = [r for r in records if r.queue not in ahead or r.offset < ahead[r.queue].offset]
        if records:
            self.process(records)
        if ahead:
            self._await_clock(ahead)
        return bool(records)

    def wake(self) -> None:
        """Read the queues again whose pause is over."""
        if self.queues.wake(self._clock_ms()):
            self._reseat()

    def process(self, records: list[Record]) -> None:
        """Process records: in one transaction, or in as many as it takes to isolate one that cannot be processed."""
        pieces = [records]
        while pieces:
            piece = self.queues.wanted(pieces.pop())
            if not piece:
                continue
            batch = self._batch(piece)
            try:
                started = time.perf_counter()
                self._handle(batch)
                handled = time.perf_counter()
                self._commit(batch)
                self.metrics.handle_seconds += handled - started
                self.metrics.commit_seconds += time.perf_counter() - handled
            except Unavailable as away:
                self._drop(batch)
                self._rest(batch, away.queue, away.reason)
                return
            except Aborted as aborted:
                self._drop(batch)
                self._rest(batch, None, str(aborted))
                return
            except EngineError:
                raise
            except Exception as error:
                self._drop(batch)
                pieces.extend(self._isolate(piece, error))

    def _batch(self, records: list[Record]) -> Batch:
        # Only the tables of partitions that have records here: what the batch writes is what it commits or drops.
        return Batch(records, {number: self._tables[number] for number in {record[1] for record in records}})

    def _isolate(self, piece: list[Record], error: Exception) -> list[list[Record]]:
        """What to try next, last first: two halves, or nothing when the one record that raises was found."""
        if len(piece) > 1:
            self.metrics.splits += 1
            log.warning("a batch of %d records raised %r: trying its halves", len(piece), error)
            middle = len(piece) // 2
            return [piece[middle:], piece[:middle]]
        record = piece[0]
        log.error("the handler raised for %s", record[:3], exc_info=error)
        self._halt(record.queue, Halt(record.offset, record.index, f"the handler raised {error!r}"))
        self._reseat()
        return []

    def _commit(self, batch: Batch) -> None:
        places = self._places_after(batch)
        moved = self._moved(batch, places)
        changes = self._changes(batch, moved)
        ends: Mapping[Queue, int] = {}
        if batch.outputs or changes:
            offsets = {queue: place.offset for queue, place in places.items()}
            ends = self._outbox.commit(batch.outputs, changes, offsets)
        try:
            self._store(changes, moved, ends)
            self._finish(batch, places)
        except Exception as error:
            # The batch is committed: to repeat it would decide it twice. A restart restores what is missing here.
            raise Fenced(f"the worker failed after a commit, and restores at its next start: {error!r}") from error

    def _store(self, changes: dict[int, list[Change]], moved: dict[int, Positions], ends: Mapping[Queue, int]) -> None:
        now = self._clock_ms()
        for number, written in changes.items():
            partition = self.partitions[number]
            new = {queue.topic: end for queue, end in ends.items() if queue.partition == number}
            stamp = partition.stamp.advanced(new, now)
            partition.tables.commit(written, stamp.encode())
            partition.stamp = stamp
            partition.positions = moved[number]
        self._probe("store_written")

    def _finish(self, batch: Batch, places: dict[Queue, Place]) -> None:
        for queue, place in places.items():
            self.queues.move(queue, place)
            self._back_off.pop(queue, None)
        self.metrics.committed(len(batch.records), len(batch.outputs))
        for queue, halt in batch.halts.items():
            self._halt(queue, halt)
        resumed = [queue for queue in batch.retries if self.queues.retry(queue)]
        self.metrics.halts = {queue: halt.reason for queue, halt in self.queues.halts.items()}
        if self.topology.on_committed:
            self.topology.on_committed(batch)
        if batch.halts or resumed:
            self._reseat()

    def _places_after(self, batch: Batch) -> dict[Queue, Place]:
        last = {(record[0], record[1]): record[2] for record in batch.records}
        places = {Queue(*queue): Place(offset + 1) for queue, offset in last.items()}
        for queue, halt in batch.halts.items():
            places[queue] = Place(halt.offset, halt.index)
        return places

    def _moved(self, batch: Batch, places: dict[Queue, Place]) -> dict[int, Positions]:
        """The positions of the batch's partitions after it."""
        moved = {}
        times = self._times(batch, places)
        for number in batch.partitions:
            positions = self.partitions[number].positions
            new = {queue.topic: place for queue, place in places.items() if queue.partition == number}
            time_ms = max(positions.time_ms, times.get(number, 0))
            moved[number] = positions._replace(places={**positions.places, **new}, time_ms=time_ms)
        return moved

    def _times(self, batch: Batch, places: dict[Queue, Place]) -> dict[int, int]:
        """By partition, the largest append time of the batch's intents, those behind a halt left out."""
        times: dict[int, int] = {}
        intents = self.topology.intents
        for record in batch.records:
            number = record[1]
            if record[3] > times.get(number, 0) and record[0] == intents:
                queue = Queue(intents, number)
                if queue not in batch.halts or record[2] < places[queue].offset:
                    times[number] = record[3]
        return times

    def _changes(self, batch: Batch, moved: dict[int, Positions]) -> dict[int, list[Change]]:
        """All rows to be written, the input positions among them, by partition; empty if there are none."""
        changes: dict[int, list[Change]] = {}
        for number in batch.partitions:
            partition = self.partitions[number]
            rows = partition.tables.changes()
            if moved[number] != partition.positions:
                rows.append((self.topology.positions_changelog, POSITIONS_KEY, moved[number].encode()))
            if rows:
                changes[number] = rows
        return changes

    def _halt(self, queue: Queue, halt: Halt) -> None:
        self.queues.halt(queue, halt)
        self.metrics.halts = {queue: halt.reason for queue, halt in self.queues.halts.items()}
        log.error(
            "HALTED %s partition %d at offset %d, sub-record %d: %s. Its other queues and all other partitions go on; "
            "see docs/engine.md for the repair",
            queue.topic,
            queue.partition,
            halt.offset,
            halt.index,
            halt.reason,
        )

    def _rest(self, batch: Batch, queue: Queue | None, reason: str) -> None:
        """Back off: one queue, or all queues of the batch."""
        queues = [queue] if queue is not None else list({record.queue for record in batch.records})
        now = self._clock_ms()
        for each in queues:
            wait = min(self._back_off.get(each, FIRST_BACK_OFF_MS // 2) * 2, LONGEST_BACK_OFF_MS)
            self._back_off[each] = wait
            self.queues.pause(each, now + wait)
        log.warning("dropped a batch of %d records, reading again after a pause: %s", len(batch.records), reason)
        self._reseat()

    def _drop(self, batch: Batch) -> None:
        self.metrics.aborted += 1
        for number in batch.partitions:
            self._tables[number].drop()
        if self.topology.on_aborted:
            self.topology.on_aborted(batch)

    def _ahead(self, records: list[Record]) -> dict[Queue, Record]:
        """By queue, the first intent that is dated further ahead of this worker's clock than is believable."""
        limit = self._clock_ms() + self.topology.max_ahead_ms
        intents = self.topology.intents
        return {r.queue: r for r in reversed(records) if r.timestamp_ms > limit and r.topic == intents}

    def _await_clock(self, ahead: dict[Queue, Record]) -> None:
        """Pause: an append time moves the partition's time, which expires holds and keys and can never go back."""
        for queue, record in ahead.items():
            self.queues.pause(queue, self._clock_ms() + CLOCK_PAUSE_MS)
            log.error(
                "PAUSED %s partition %d: the record at offset %d was appended at %d ms, more than %d ms ahead of this "
                "worker's clock. Check the clocks of broker and worker",
                *queue,
                record.offset,
                record.timestamp_ms,
                self.topology.max_ahead_ms,
            )
        self._reseat()

    def _reseat(self) -> None:
        self._source.place(self.queues.readable())
