"""The payments agent: intents and legs in, journal, legs and dead letters out, tables in between."""

from __future__ import annotations

from collections.abc import Callable

from streams.agents.codec import LedgerCodec
from streams.agents.deadlines import NEVER, Deadlines
from streams.agents.routing import Routes
from streams.agents.tables import table_specs
from streams.agents.turn import Outputs, Turn
from streams.engine.batch import Batch
from streams.engine.table import PartitionTables
from streams.engine.topology import Topology
from streams.ledger.rows import PartitionRow
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, INTENTS, JOURNAL, LEGS


class Payments:
    """The agent's synchronous part. One batch at a time; what it keeps between batches is derived from the tables."""

    def __init__(self, settings: Settings, codec: LedgerCodec) -> None:
        self._settings = settings
        self._codec = codec
        self._outputs = Outputs(
            settings.topic(JOURNAL.name), settings.topic(LEGS.name), settings.topic(DEAD_LETTERS.name)
        )
        self._deadlines: dict[int, Deadlines] = {}
        self._tables: dict[int, PartitionTables] = {}
        self.routes = Routes(settings.partitions)
        self.on_tick: Callable[[int], None] = _nothing
        """Told the partition of every Tick that is read."""
        self.on_owned: Callable[[int], None] = _nothing
        """Told of a partition that this worker has restored."""
        self.on_gone: Callable[[int], None] = _nothing
        """Told of a partition that was taken away."""

    def topology(self) -> Topology:
        """How the engine is to run this agent: on Kafka or in the test driver, the same."""
        settings = self._settings
        return Topology(
            group=settings.group,
            intents=settings.topic(INTENTS.name),
            legs=self._outputs.legs,
            journal=self._outputs.journal,
            tables=table_specs(settings, self._codec),
            handle=self.handle,
            journal_sequence=self._journal_sequence,
            table_sequence=table_sequence,
            on_restored=self._on_restored,
            on_committed=self._on_committed,
            on_aborted=self._on_aborted,
            on_revoked=self._on_revoked,
        )

    def handle(self, batch: Batch) -> None:
        """Decide a batch: legs first, as the engine orders them, then intents."""
        turns: dict[int, Turn] = {}
        for record in batch:
            turn = turns.get(record.partition)
            if turn is None:
                turn = turns[record.partition] = self._turn(batch, record.partition)
            turn.take(record)
        for turn in turns.values():
            turn.finish()

    def _turn(self, batch: Batch, partition: int) -> Turn:
        deadlines = self._deadlines[partition]
        return Turn(batch, partition, self._codec, self.routes, deadlines, self._outputs, self.on_tick)

    def earliest_deadline(self, partition: int) -> int:
        """The partition's earliest deadline, in microseconds of partition time; NEVER where there is none."""
        deadlines = self._deadlines.get(partition)
        return NEVER if deadlines is None else deadlines.earliest

    @property
    def owned(self) -> dict[int, PartitionTables]:
        """The partitions that this worker has, with their tables."""
        return self._tables

    def _journal_sequence(self, value: bytes) -> int:
        return self._codec.decode_journal(value).sequence

    def _on_restored(self, partition: int, tables: PartitionTables) -> None:
        deadlines = Deadlines()
        deadlines.restore(tables.table("holds").items(), tables.table("parked").items())
        self._deadlines[partition] = deadlines
        self._tables[partition] = tables
        self.on_owned(partition)

    def _on_committed(self, batch: Batch) -> None:
        for deadlines in self._deadlines.values():
            deadlines.commit()

    def _on_aborted(self, batch: Batch) -> None:
        for deadlines in self._deadlines.values():
            deadlines.abort()

    def _on_revoked(self, partition: int) -> None:
        self._deadlines.pop(partition, None)
        self._tables.pop(partition, None)
        self.on_gone(partition)


def build_topology(settings: Settings, codec: LedgerCodec) -> Topology:
    """The payments agent's topology, for the engine or the test driver."""
    return Payments(settings, codec).topology()


def table_sequence(tables: PartitionTables) -> int:
    """The journal sequence that a partition's tables have reached; 0 for empty ones."""
    row: PartitionRow | None = tables.table("partition").get(b"")
    return 0 if row is None else row.sequence


def _nothing(partition: int) -> None:
    """Nobody wants to know."""
