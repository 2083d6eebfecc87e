"""The state of every input queue of this worker's partitions: where it is, and whether it may be read.

        halt                      pause (back-off, clock)
HALTED <------ readable ---------------------------------> PAUSED
   |   ------>    ^  |  <---------------------------------   |
        retry     |  | commit: place moves forward     its time has come
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streams.engine.batch import Halt
from streams.engine.positions import Place
from streams.engine.record import Queue, Record


class Queues:
    """Places, halts and pauses by queue. Times are milliseconds of the caller's clock."""

    def __init__(self) -> None:
        self._places: dict[Queue, Place] = {}
        self._halts: dict[Queue, Halt] = {}
        self._paused: dict[Queue, int] = {}

    def add(self, partition: int, places: Mapping[str, Place]) -> None:
        """Begin with a partition's queues."""
        for topic, place in places.items():
            self._places[Queue(topic, partition)] = place

    def remove(self, partitions: Iterable[int]) -> None:
        """The partitions were taken away."""
        gone = set(partitions)
        for states in (self._places, self._halts, self._paused):
            for queue in [queue for queue in states if queue.partition in gone]:
                del states[queue]

    def place(self, queue: Queue) -> Place:
        """The next record of a queue."""
        return self._places[queue]

    def move(self, queue: Queue, place: Place) -> None:
        """After a commit."""
        self._places[queue] = place

    def halt(self, queue: Queue, halt: Halt) -> None:
        """Stop a queue until an operator acts."""
        self._halts[queue] = halt

    def retry(self, queue: Queue) -> bool:
        """Let a halted queue be read again; False if it was not halted."""
        return self._halts.pop(queue, None) is not None

    def pause(self, queue: Queue, until_ms: int) -> None:
        """Do not read a queue before that time."""
        self._paused[queue] = until_ms

    def wake(self, now_ms: int) -> bool:
        """End the pauses whose time has come; whether there were any."""
        due = [queue for queue, until in self._paused.items() if until <= now_ms]
        for queue in due:
            del self._paused[queue]
        return bool(due)

    def readable(self) -> dict[Queue, Place]:
        """The queues to read, and where from."""
        return {
            queue: place
            for queue, place in self._places.items()
            if queue not in self._halts and queue not in self._paused
        }

    @property
    def halts(self) -> Mapping[Queue, Halt]:
        """The halted queues."""
        return self._halts

    def wanted(self, records: Iterable[Record]) -> list[Record]:
        """Those records that are next in their queues; what was fetched before a halt, rewind or revoke is left out."""
        readable = self.readable()
        kept = []
        for record in records:
            place = readable.get((record[0], record[1]))  # type: ignore[call-overload]
            if place is None or record.offset < place.offset:
                continue
            if place.index and record.offset == place.offset:
                record = record._replace(index=place.index)
            kept.append(record)
        return kept
