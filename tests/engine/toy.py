"""A toy application for the engine's tests: a counter per key, a numbered journal, and a leg to a neighbour.

An intent `add` counts its key up and sends a leg to the next partition, where the key `from-<key>` counts up. Every
processed input leaves one journal record: sequence, input, key and the new count. So whatever is lost or repeated
shows: the journal has a gap or names an input twice, or a counter is not the number of inputs.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from streams.engine.batch import Batch
from streams.engine.errors import Halted, Unavailable
from streams.engine.record import Record
from streams.engine.table import PartitionTables, TableSpec
from streams.engine.topology import Topology


class Entry(NamedTuple):
    """A journal record."""

    sequence: int
    topic: str
    offset: int
    index: int  # type: ignore[assignment]
    key: str
    count: int  # type: ignore[assignment]

    @classmethod
    def read(cls, value: bytes | None) -> Entry:
        return cls(*json.loads(value or b""))


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _plain_number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


class Toy:
    """The handler, and switches for what goes wrong."""

    def __init__(self, prefix: str = "", partitions: int = 1, group: str = "toy") -> None:
        self.partitions = partitions
        self.away = False
        changelog = prefix + "accounts-changelog"
        counters: TableSpec[str, int] = TableSpec(
            "counters", 1, changelog, str.encode, bytes.decode, _number, _plain_number
        )
        meta: TableSpec[bytes, int] = TableSpec("meta", 2, changelog, bytes, bytes, _number, _plain_number)
        notes: TableSpec[str, int] = TableSpec(
            "notes",
            3,
            prefix + "transfers-changelog",
            str.encode,
            bytes.decode,
            _number,
            _plain_number,
            expires=lambda row: row,
        )
        self.topology = Topology(
            group=group,
            intents=prefix + "payment-intents",
            legs=prefix + "transfer-legs",
            journal=prefix + "journal",
            tables=(counters, meta, notes),
            handle=self.handle,
            journal_sequence=lambda value: Entry.read(value).sequence,
            table_sequence=lambda tables: tables.table("meta").get(b"") or 0,
        )

    def handle(self, batch: Batch) -> None:
        for record in batch:
            if record.topic == self.topology.legs:
                self._legs(batch, record)
            else:
                self._intent(batch, record)

    def _intent(self, batch: Batch, record: Record) -> None:
        key = (record.key or b"").decode()
        value = record.value or b""
        if value == b"poison":
            raise ZeroDivisionError("a bug")
        if value == b"poison after writing":
            self._count(batch, record, key, 0)
            raise ZeroDivisionError("a bug")
        if value == b"away" and self.away:
            raise Unavailable("the registry is away", record.queue)
        if value == b"halt the worker":
            raise Halted("unknown rules version", "upgrade this worker")
        if value == b"retry":
            batch.retry(self.topology.legs, record.partition)
        self._count(batch, record, key, 0)
        if value != b"no leg":
            batch.emit(self.topology.legs, (record.partition + 1) % self.partitions, value + b":" + key.encode())

    def _legs(self, batch: Batch, record: Record) -> None:
        """A leg record packs keys, separated by spaces; `bad` among them halts the queue there until `away` is set."""
        _, _, names = (record.value or b"").partition(b":")
        for index, name in enumerate(names.decode().split()):
            if index < record.index:
                continue
            if name == "bad" and not self.away:
                batch.halt(record, index, "cannot be applied")
                return
            self._count(batch, record, "from-" + name, index)

    def _count(self, batch: Batch, record: Record, key: str, index: int) -> None:
        tables = batch.tables(record.partition)
        sequence = (tables.table("meta").get(b"") or 0) + 1
        count = (tables.table("counters").get(key) or 0) + 1
        tables.table("meta").put(b"", sequence)
        tables.table("counters").put(key, count)
        tables.table("notes").put(key, record.timestamp_ms * 1000)
        entry = [sequence, record.topic, record.offset, index, key, count]
        batch.emit(self.topology.journal, record.partition, json.dumps(entry).encode())


def counters(tables: PartitionTables) -> dict[str, int]:
    return dict(tables.table("counters").items())


def check_journal(values: list[bytes | None]) -> list[Entry]:
    """The entries of one partition's journal, after checking that nothing was lost, repeated or torn."""
    entries = [Entry.read(value) for value in values]
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1)), "the journal has a gap"
    inputs = [entry[1:4] for entry in entries]
    assert len(set(inputs)) == len(inputs), "an input was decided twice"
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.key] = counts.get(entry.key, 0) + 1
        assert entry.count == counts[entry.key], f"the counter of {entry.key} forgot what was committed"
    return entries
