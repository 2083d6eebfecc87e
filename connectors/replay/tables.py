"""Rebuild a partition's tables: decide its inputs again, in the order that its journal recorded.

    journal ──► order of triggers ──► inputs in that order ──► the worker's own agent, in memory ──► rows
                                                                      │
                                     every decision is compared with the journal's, field by field

Nothing is written until all decisions agree, so a replay with other rules, or over topics that have lost records,
changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from connectors.replay.reading import ReplayError, read_partition
from connectors.replay.verdicts import VerdictCodec
from streams.agents.payments import Payments
from streams.engine.identity import Identity, fresh_stamp
from streams.engine.ports import Outbox, Source
from streams.engine.positions import START, Place, Positions
from streams.engine.processor import Partition, Processor
from streams.engine.record import Output, Queue, Record
from streams.engine.store.memory import MemoryStore
from streams.engine.table import Change, PartitionTables
from streams.engine.topology import Topology
from streams.ledger.journal import JournalRecord
from streams.ledger.vocabulary import Input, Kind
from streams.settings import Settings

AT_ONCE = 2_000
"""Inputs decided as one batch. Any number gives the same rows."""

Progress = Callable[[int], None]
"""Told how many journal records were compared so far."""


class Rebuilt(NamedTuple):
    """What a partition's tables hold, by changelog topic and raw key, and how many decisions it took."""

    partition: int
    rows: dict[tuple[str, bytes], bytes]
    records: int
    changelogs: tuple[str, ...]
    own_key: bytes
    """Raw key of the partition's own row: it says how far the tables are, so it is written last."""


class _NoSource(Source):
    """Inputs are handed to the processor one by one, not polled."""

    def poll(self) -> list[Record]:
        return []

    def place(self, queues: Mapping[Queue, Place]) -> None:
        """The journal's order decides what comes next."""


class _Comparison(Outbox):
    """Takes what the agent emits: journal records are compared with the recorded ones, rows are kept."""

    def __init__(self, journal: str, codec: VerdictCodec) -> None:
        self.expected: deque[tuple[bytes, JournalRecord]] = deque()
        self.rows: dict[tuple[str, bytes], bytes] = {}
        self.records = 0
        self._journal = journal
        self._codec = codec

    def commit(
        self, outputs: Sequence[Output], changes: Mapping[int, Sequence[Change]], offsets: Mapping[Queue, int]
    ) -> Mapping[Queue, int]:
        for output in outputs:
            if output.topic == self._journal:
                self._compare(output.value or b"")
        for written in changes.values():
            for changelog, key, value in written:
                if value is None:
                    self.rows.pop((changelog, key), None)
                else:
                    self.rows[changelog, key] = value
        return {}

    def _compare(self, value: bytes) -> None:
        decided = self._codec.decode_journal(value)
        if not self.expected:
            raise Disagreement(f"the rules decide one record more than the journal has: {decided}")
        raw, recorded = self.expected.popleft()
        if value != raw and decided != recorded:
            names = [name for name in decided._fields if getattr(decided, name) != getattr(recorded, name)]
            raise Disagreement(
                f"at journal sequence {recorded.sequence} the rules decide otherwise in {', '.join(names)}: "
                f"recorded {recorded}, now {decided}"
            )
        self.records += 1


class Disagreement(BaseException):
    """Not an Exception on its way through the batch protocol, which would isolate a handler's bug and go on."""


def rebuild(settings: Settings, identity: Identity, partition: int, progress: Progress | None = None) -> Rebuilt:
    """The rows of a partition's tables as its journal implies. Raises ReplayError at the first disagreement."""
    codec = VerdictCodec.following(settings.registry_url, settings.topic_prefix)
    payments = Payments(settings, codec)
    topology = payments.topology()
    comparison = _Comparison(topology.journal, codec)
    processor = Processor(topology, _NoSource(), comparison, clock_ms=lambda: 1 << 62)
    processor.admit([_empty(partition, topology, identity)])
    inputs = _Inputs(settings, topology, partition)
    try:
        for batch, records in _batches(_journal(settings, topology, codec, partition)):
            codec.learn(record for _, record in records)
            comparison.expected.extend(records)
            processor.process([inputs.take(*trigger) for trigger in batch])
            if comparison.expected:
                raise Disagreement(f"the rules no longer decide {comparison.expected[0][1]}")
            if progress is not None:
                progress(comparison.records)
    except Disagreement as fault:
        raise ReplayError(f"partition {partition}: {fault}") from None
    (own,) = (spec for spec in topology.tables if spec.name == "partition")
    return Rebuilt(partition, comparison.rows, comparison.records, topology.changelogs, bytes((own.tag,)))


def _empty(partition: int, topology: Topology, identity: Identity) -> Partition:
    ids = {topic: identity.topic_ids[topic] for topic in (topology.intents, topology.legs)}
    places = {topology.intents: START, topology.legs: START}
    return Partition(
        partition,
        PartitionTables(partition, topology.tables, MemoryStore()),
        Positions(topology.group, identity.partitions, ids, places),
        fresh_stamp(identity, topology.changelogs, 0),
    )


Trigger = tuple[Input, int, int]
"""Topic, offset, and the first leg that is processed of a packed record."""
Recorded = tuple[bytes, JournalRecord]


def _journal(settings: Settings, topology: Topology, codec: VerdictCodec, partition: int) -> Iterator[Recorded]:
    expected = 1
    for record in read_partition(settings.bootstrap_servers, topology.journal, partition):
        value = record.value or b""
        decoded = codec.decode_journal(value)
        if decoded.sequence != expected:
            raise ReplayError(
                f"journal partition {partition} offset {record.offset}: sequence {decoded.sequence}, "
                f"expected {expected}: the journal has lost records; restore the topic from a copy"
            )
        expected += 1
        yield value, decoded


def _batches(journal: Iterator[Recorded]) -> Iterator[tuple[list[Trigger], list[Recorded]]]:
    """Inputs in the journal's order, cut after a Resolve: it lets a halted queue be read again, from the next batch."""
    triggers: list[Trigger] = []
    records: list[Recorded] = []
    for (topic, offset), group in groupby(journal, key=lambda each: (each[1].trigger.topic, each[1].trigger.offset)):
        run = list(group)
        triggers.append((topic, offset, run[0][1].trigger.leg))
        records.extend(run)
        resolved = any(record.kind is Kind.RESOLVE for _, record in run)
        if resolved or len(triggers) >= AT_ONCE:
            yield triggers, records
            triggers, records = [], []
    if triggers:
        yield triggers, records


class _Inputs:
    """Both input queues of a partition, read forward as the journal asks for their records."""

    def __init__(self, settings: Settings, topology: Topology, partition: int) -> None:
        self._partition = partition
        self._topics = {Input.INTENTS: topology.intents, Input.LEGS: topology.legs}
        self._readers = {
            input: read_partition(settings.bootstrap_servers, topic, partition) for input, topic in self._topics.items()
        }
        self._last: dict[Input, Record] = {}

    def take(self, topic: Input, offset: int, leg: int) -> Record:
        """The record at ``offset``; the one before it in its queue must have been taken too."""
        last = self._last.get(topic)
        if last is None or last.offset != offset:
            last = next(self._readers[topic], None)
            if last is None or last.offset != offset:
                found = "nothing" if last is None else f"offset {last.offset}"
                raise ReplayError(
                    f"the journal of partition {self._partition} goes on with {self._topics[topic]} offset {offset}, "
                    f"but {found} comes next there: the topic has lost records; restore it from a copy"
                )
            self._last[topic] = last
        return last._replace(index=leg)
