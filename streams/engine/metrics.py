"""What the engine counts, for sensors and views."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.engine.record import Queue


@dataclass
class Metrics:
    """Counters since the start, and the present state. Written by the engine's thread, read by any."""

    batches: int = 0
    records: int = 0
    """Input records of committed batches."""
    outputs: int = 0
    """Records produced by committed batches, without changelogs."""
    aborted: int = 0
    """Batches dropped: by an exception of the handler, by something that was away, or by an aborted transaction."""
    splits: int = 0
    """Batches cut in halves to isolate a record that the handler cannot process."""
    swept: int = 0
    """Expired rows removed from stores."""
    commit_seconds: float = 0.0
    """Time spent in producing and committing, in all."""
    handle_seconds: float = 0.0
    """Time spent waiting for the handler, in all."""
    halts: dict[Queue, str] = field(default_factory=dict)
    """Reasons by halted queue."""
    halted_partitions: dict[int, str] = field(default_factory=dict)
    """Partitions that could not start, with the reason and the repair."""
    restoring: dict[int, float] = field(default_factory=dict)
    """Partitions being restored: the part that is done, 0 to 1."""
    partitions: tuple[int, ...] = ()
    """The partitions being processed."""
    state: str = "starting"
    """starting, running, stopped, halted or fenced."""

    def committed(self, records: int, outputs: int) -> None:
        """Count a batch."""
        self.batches += 1
        self.records += records
        self.outputs += outputs
