"""Records as the engine delivers them, and the queues they stand in."""

from __future__ import annotations

from typing import NamedTuple


class Queue(NamedTuple):
    """One partition of an input topic: records of a queue are processed strictly in offset order."""

    topic: str
    partition: int


class Record(NamedTuple):
    """One input record. ``key`` and ``value`` are the raw bytes; null stays None."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """The broker's append time."""
    key: bytes | None
    value: bytes | None
    index: int = 0  # type: ignore[assignment]
    """First sub-record still to process (of a packed record that was halted in its middle), else 0."""

    @property
    def queue(self) -> Queue:
        """Where the record stands in line."""
        return Queue(self.topic, self.partition)


class Output(NamedTuple):
    """A record to be produced, on an explicit partition."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None
