"""What a stream application is to the engine: its topics, its tables and one function that handles a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams.engine.batch import Batch
from streams.engine.positions import POSITIONS_TAG
from streams.engine.table import PartitionTables, TableSpec

TWO_HOURS_MS = 2 * 3_600_000


@dataclass(frozen=True)
class Topology:
    """Topics are full names. Inputs, journal and changelogs have the same number of partitions."""

    group: str
    intents: str
    """The subscribed input: its partitions are what workers share out."""
    legs: str
    """The co-partitioned input: partition p is read by whoever owns intents p, and before its intents."""
    journal: str
    """Written on the deciding partition; every committed batch of a partition leaves its last sequence there."""
    tables: tuple[TableSpec[Any, Any], ...]
    handle: Callable[[Batch], None]
    """Synchronous. Reads and writes the batch's tables, emits records; awaits and asks nothing outside."""
    journal_sequence: Callable[[bytes], int]
    """The sequence that a journal value carries."""
    table_sequence: Callable[[PartitionTables], int]
    """The sequence of the last journal record according to the tables, 0 for none."""
    max_ahead_ms: int = TWO_HOURS_MS
    """A record appended further ahead of this worker's clock pauses its queue: a delay, not a decision."""
    on_restored: Callable[[int, PartitionTables], None] | None = None
    """After a partition's tables are complete and before its first batch: build indices here."""
    on_committed: Callable[[Batch], None] | None = None
    """After a batch is committed and in the store."""
    on_aborted: Callable[[Batch], None] | None = None
    """After a batch was dropped: what was derived from it must go too."""
    on_revoked: Callable[[int], None] | None = None
    """After a partition was taken away."""

    def __post_init__(self) -> None:
        tags = [table.tag for table in self.tables]
        if len(set(tags)) != len(tags) or POSITIONS_TAG in tags or not all(0 < tag < 255 for tag in tags):
            raise ValueError(f"table tags must be distinct and from 1 to 254, not {tags}")

    @property
    def changelogs(self) -> tuple[str, ...]:
        """The changelog topics, each once, in the tables' order."""
        return tuple(dict.fromkeys(table.changelog for table in self.tables))

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that must have the common number of partitions."""
        return (self.intents, self.legs, self.journal, *self.changelogs)

    @property
    def positions_changelog(self) -> str:
        """Where the engine keeps the input positions: beside the first table."""
        return self.tables[0].changelog
