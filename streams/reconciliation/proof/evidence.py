"""Everything that the invariants are judged by: topics and tables, taken in an order in which causes come last.

Postgres and the changelogs are read first, then the journal, then the inputs: whatever is in one of them has its cause
in those read after it, while the ledger goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from schemas.codec import Codec
from schemas.errors import BadRecord
from schemas.registry import Registry
from streams.reconciliation.model import Delivered
from streams.reconciliation.model.memory import COMPARED
from streams.reconciliation.proof.books import Books, read_books
from streams.reconciliation.proof.topics import CannotRead, Raw, Topics
from streams.settings import Settings
from streams.topics import ACCOUNTS_CHANGELOG, INTENTS, JOURNAL, LEGS, TRANSFERS_CHANGELOG

INTENT_RECORDS = frozenset(COMPARED)
NOT_BUSINESS = ("occurred_at", "request_id")
MAX_INTENT = 256 * 1024
PARTITION, ACCOUNT, HOLD, PARKED, OPEN_TRANSFER, FINAL_TRANSFER, SETTLED = 1, 2, 5, 6, 7, 8, 9
"""Tags of the changelog's keys."""
TAGS = frozenset((PARTITION, ACCOUNT, HOLD, PARKED, OPEN_TRANSFER, FINAL_TRANSFER, SETTLED))
CATCH_UP_SECONDS = 20

Say = Callable[[str], None]
Record = dict[str, Any]
Table = dict[tuple[int, bytes], tuple[bytes, int]]
"""(tag, key) -> (the newest row's bytes, its offset)."""


@dataclass
class Leg:
    """A leg as it stands in the legs topic."""

    source: int
    number: int
    """Among the legs from its source to this partition."""
    fields: Mapping[str, Any]


@dataclass
class Evidence:
    """All of it. Lists are indexed by partition."""

    settings: Settings
    books: Books
    intents: list[dict[int, Delivered]]
    legs: list[dict[tuple[int, int], Leg]]
    """(offset, leg index) -> leg."""
    journal: list[list[Record]]
    offsets: list[list[int]]
    """Offset of each journal record."""
    hashes: dict[tuple[int, int], bytes]
    """(partition, offset) -> SHA-256 of the journal records that Postgres' positions name."""
    tables: list[Table]
    rows_at: list[int]
    """Journal sequence at which the tables of each partition are."""
    unreadable: list[str] = field(default_factory=list)
    """What could not be decoded where everything must be."""
    decode: Callable[[bytes], dict[str, Any]] = Codec.offline().decode

    def where(self, partition: int, sequence: int) -> str:
        """A journal record's place, for people."""
        offsets = self.offsets[partition]
        offset = str(offsets[sequence - 1]) if 0 < sequence <= len(offsets) else "none"
        return f"{self.settings.topic(JOURNAL.name)}[{partition}] offset {offset} (sequence {sequence})"

    def where_intent(self, partition: int, offset: int) -> str:
        """An intent's place, for people."""
        return f"{self.settings.topic(INTENTS.name)}[{partition}] offset {offset}"

    def where_leg(self, partition: int, offset: int, leg: int) -> str:
        """A leg's place, for people."""
        return f"{self.settings.topic(LEGS.name)}[{partition}] offset {offset} leg {leg}"

    @property
    def quiet(self) -> bool:
        """Whether the tables of every partition stand at the journal's end."""
        return self.rows_at == [len(journal) for journal in self.journal]


class Collector:
    """Reads the evidence of one ledger."""

    def __init__(self, settings: Settings, say: Say) -> None:
        registry = Registry(settings.registry_url)
        self._settings = settings
        self._say = say
        self._topics = Topics(settings)
        self._codec = Codec(registry.all_ids(settings.topic_prefix), registry.writer_schema)
        self._count = settings.partitions
        self._unreadable: list[str] = []

    def collect(self) -> Evidence:
        """Read it all. Raises CannotRead, CannotReadBooks, RegistryAway."""
        self._unreadable = []
        self._say("reading Postgres")
        books = read_books(self._settings)
        self._say("reading the changelogs")
        tables = self._tables()
        rows_at = [self._row_sequence(table) for table in tables]
        self._say("reading the journal")
        journal, offsets, hashes = self._journal(books, rows_at)
        self._say(f"reading the inputs of {sum(map(len, journal)):,} journal records")
        legs = self._legs()
        intents = self._intents()
        decode = self._codec.decode
        return Evidence(
            self._settings, books, intents, legs, journal, offsets, hashes, tables, rows_at, self._unreadable, decode
        )

    def has_moved(self, evidence: Evidence) -> bool:
        """Whether the journal or the inputs have grown since the evidence was read, or were growing meanwhile."""
        if not evidence.quiet or [p.sequence for _, p in sorted(evidence.books.positions.items())] != evidence.rows_at:
            return True
        ends = self._topics.ends(JOURNAL.name)
        return any(ends[p] > (offsets[-1] + 2 if offsets else 0) for p, offsets in enumerate(evidence.offsets))

    def _tables(self) -> list[Table]:
        tables: list[Table] = [{} for _ in range(self._count)]
        for topic in (ACCOUNTS_CHANGELOG.name, TRANSFERS_CHANGELOG.name):
            for raw in self._topics.read(topic, self._topics.ends(topic)):
                key = raw.key
                if not key or key[0] not in TAGS:
                    continue
                table, name = tables[raw.partition], (key[0], key[1:])
                if raw.value is None:
                    table.pop(name, None)
                else:
                    table[name] = (raw.value, raw.offset)
        return tables

    def _row_sequence(self, table: Table) -> int:
        row = table.get((PARTITION, b""))
        return 0 if row is None else int(self._codec.decode(row[0])["sequence"])

    def _journal(
        self, books: Books, rows_at: list[int]
    ) -> tuple[list[list[Record]], list[list[int]], dict[tuple[int, int], bytes]]:
        journal: list[list[Record]] = [[] for _ in range(self._count)]
        offsets: list[list[int]] = [[] for _ in range(self._count)]
        hashes: dict[tuple[int, int], bytes] = {}
        wanted = {(partition, position.offset) for partition, position in books.positions.items()}
        starts: dict[int, int] = {}
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while True:
            ends = self._topics.ends(JOURNAL.name)
            for raw in self._topics.read(JOURNAL.name, ends, starts):
                if (raw.partition, raw.offset) in wanted:
                    hashes[raw.partition, raw.offset] = sha256(raw.value or b"").digest()
                record = self._journal_record(raw)
                if record is not None:
                    journal[raw.partition].append(record)
                    offsets[raw.partition].append(raw.offset)
            starts = ends
            reached = all(len(records) >= at for records, at in zip(journal, rows_at, strict=True))
            if reached or time.monotonic() > deadline:
                return journal, offsets, hashes
            time.sleep(0.05)

    def _journal_record(self, raw: Raw) -> Record | None:
        record = self._must_decode(JOURNAL.name, raw, raw.value)
        if record is not None:
            record["input"] = tuple(record["input"].values())
            record["trigger"] = tuple(record["trigger"].values())
            first = record["first"]
            if first is not None:
                first["input"] = tuple(first["input"].values())
        return record

    def _must_decode(self, topic: str, raw: Raw, value: bytes | None) -> Record | None:
        try:
            return self._codec.decode(value or b"")
        except BadRecord as error:
            where = f"{self._settings.topic(topic)}[{raw.partition}] offset {raw.offset}"
            self._unreadable.append(f"{where} cannot be decoded: {error}")
            return None

    def _legs(self) -> list[dict[tuple[int, int], Leg]]:
        legs: list[dict[tuple[int, int], Leg]] = [{} for _ in range(self._count)]
        for raw in self._topics.read(LEGS.name, self._topics.ends(LEGS.name)):
            packed = self._must_decode(LEGS.name, raw, raw.value)
            if packed is not None:
                for index, fields in enumerate(packed["legs"]):
                    legs[raw.partition][raw.offset, index] = Leg(packed["source"], packed["first"] + index, fields)
        return legs

    def _intents(self) -> list[dict[int, Delivered]]:
        intents: list[dict[int, Delivered]] = [{} for _ in range(self._count)]
        for raw in self._topics.read(INTENTS.name, self._topics.ends(INTENTS.name)):
            intents[raw.partition][raw.offset] = self._delivered(raw)
        return intents

    def _delivered(self, raw: Raw) -> Delivered:
        value = raw.value
        if value is None:
            if raw.key is None:
                return Delivered(raw.time, None, None)
            return self._bad(raw, b"", "null_value")
        if len(value) > MAX_INTENT:
            return self._bad(raw, value, "too_large")
        try:
            name = self._codec.record_of(value)
            if name not in INTENT_RECORDS:
                return self._bad(raw, value, "not_an_intent")
            body = self._codec.decode(value)
        except BadRecord as error:
            return self._bad(raw, value, error.reason)
        for other in NOT_BUSINESS:
            body.pop(other, None)
        for operators in ("Configure", "Resolve"):
            if name == operators:
                body.setdefault("account", "")
        return Delivered(raw.time, raw.key, value, name, body)

    def _bad(self, raw: Raw, value: bytes, reason: str) -> Delivered:
        return Delivered(raw.time, raw.key, value, "", None, reason, len(value), sha256(value).digest())


__all__ = ["CannotRead", "Collector", "Evidence", "Leg"]
