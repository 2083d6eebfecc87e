"""Feeds the books and asks the questions: the I/O of reconciliation, whoever runs it (the Faust app, ``--once``).

What blocks runs in threads; the books are touched on the event loop's thread alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from confluent_kafka import KafkaException, Producer

from schemas.codec import Codec
from schemas.errors import RegistryAway, UnknownSchema
from schemas.registry import Registry
from streams.reconciliation import report as reports
from streams.reconciliation.books import Books
from streams.reconciliation.drill import Drill
from streams.reconciliation.follow import Follower, Read
from streams.reconciliation.journal import WANTED
from streams.reconciliation.snapshot import Ledger
from streams.reconciliation.tables import ACCOUNT_FIELDS, ACCOUNTS_TAG, PARTITION_FIELDS, PARTITION_TAG
from streams.reconciliation.wire import HEADER, Decoder, UnreadableRecord, decoder, schema_id, schema_name
from streams.settings import Settings
from streams.topics import ACCOUNTS_CHANGELOG, JOURNAL, REPORTS

log = logging.getLogger(__name__)

MOST_RECORDS = 5000
WAIT_SECONDS = 0.2
"""A read gathers up to this many records for up to this long: one call for many records is what makes it cheap."""
FOLD_SECONDS = 5.0
"""How long a snapshot of Postgres waits for the fold to pass its positions."""
RETRY_SECONDS = 1.0


class Auditor:
    """One ledger's books with their sources and the places of the reports."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.books = Books(settings.partitions)
        group = f"{settings.group}-reconciliation"
        self.journal = Follower(settings, JOURNAL.name, group)
        self.changelog = Follower(settings, ACCOUNTS_CHANGELOG.name, group)
        self.latest: reports.Report | None = None
        self._registry = Registry(settings.registry_url)
        self._ledger = Ledger(settings)
        self._producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "enable.idempotence": True})
        self._drill = Drill(settings, self.books.journal.decoders)
        self._codec: Codec | None = None
        self._sink: dict[int, int] = {}
        self._changelog_then: list[int] = []
        """Where the changelog ended at the start."""
        self._number = 0
        self._turn = asyncio.Lock()
        self.started = asyncio.Event()

    async def start(self) -> None:
        """Begin to read. Raises CannotFollow."""
        await asyncio.to_thread(self.journal.start)
        await asyncio.to_thread(self.changelog.start)
        self._changelog_then = await self._retried(self.changelog)
        self.books.remember(await self._retried(self.journal))
        self.started.set()

    def settled(self) -> bool:
        """Whether everything that was there at the start has been compared, and no question about it is open."""
        read = zip(self.books.changelog_read, self._changelog_then, strict=True)
        return all(have >= end for have, end in read) and self.books.settled()

    async def read_journal(self) -> Read:
        """Read what has arrived of the journal; the decoders that it needs are there then."""
        read = await self._read(self.journal)
        await self._learn(read, self.books.journal.decoders, "JournalRecord", WANTED)
        return read

    async def read_changelog(self) -> Read:
        """Read what has arrived of the changelog, but no more of a partition than may wait for the journal."""
        self.changelog.hold_back(self.books.tables.full)
        read = await self._read(self.changelog)
        for tag, record, wanted in (
            (ACCOUNTS_TAG, "AccountRow", ACCOUNT_FIELDS),
            (PARTITION_TAG, "PartitionRow", PARTITION_FIELDS),
        ):
            await self._learn(read, self.books.tables.decoders[tag], record, wanted, tag)
        return read

    async def round(self) -> reports.Report:
        """One round of questions: to the topics' ends and to Postgres. Gives the report; rounds never overlap."""
        async with self._turn:
            notices: list[str] = []
            try:
                await self._ask_kafka()
            except KafkaException as error:
                notices.append(f"Kafka does not answer: {error}")
            try:
                await self._ask_postgres(notices)
            except psycopg.Error as error:
                notices.append(f"Postgres does not answer: {str(error).strip() or error!r}")
            except KafkaException as error:
                notices.append(f"the journal could not be read again: {error}")
            self._number += 1
            self.latest = reports.make(self.books, self._number, notices)
            return self.latest

    async def publish(self, report: reports.Report) -> None:
        """Send the report to the topic and add it to Postgres; a place that is away gets the next one."""
        async with self._turn:
            await self._publish(report)

    async def _publish(self, report: reports.Report) -> None:
        try:
            await asyncio.to_thread(self._produce, report)
        except (KafkaException, BufferError, RegistryAway) as error:
            log.warning("report %d was not sent to Kafka: %s", report["number"], error)
        try:
            with self._ledger.forgetting():
                await asyncio.to_thread(self._ledger.report, report["verdict"], report["breaks_total"], report)
        except psycopg.Error as error:
            log.warning("report %d was not written to Postgres: %s", report["number"], error)

    def close(self) -> None:
        """Leave Kafka and Postgres."""
        self.journal.close()
        self.changelog.close()
        self._ledger.close()
        self._producer.flush(5)

    async def _read(self, follower: Follower) -> Read:
        while True:
            try:
                return await asyncio.to_thread(follower.read, MOST_RECORDS, WAIT_SECONDS)
            except KafkaException as error:
                log.warning("%s: %s; trying again", follower.topic, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _learn(
        self, read: Read, decoders: dict[bytes, Decoder], record: str, wanted: tuple[str, ...], tag: int | None = None
    ) -> None:
        """Get the decoders of writers' schemas that were not seen before; wait while the registry is away."""
        headers = {
            value[:HEADER]
            for records in read.records.values()
            for _, key, value in records
            if value is not None and (tag is None or (key and key[0] == tag))
        }
        for header in headers - decoders.keys():
            while True:
                try:
                    decoders[header] = await asyncio.to_thread(self._decoder, header, record, wanted)
                except (UnknownSchema, UnreadableRecord) as error:
                    log.warning("a %s cannot be read: %s", record, error)
                except RegistryAway as error:
                    log.warning("waiting for the registry: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                break

    def _decoder(self, header: bytes, record: str, wanted: tuple[str, ...]) -> Decoder:
        schema: Mapping[str, Any] = self._registry.writer_schema(schema_id(header))
        if schema_name(schema) != record:
            raise UnreadableRecord(f"its schema is that of {schema_name(schema)}")
        return decoder(schema, wanted)

    async def _retried(self, follower: Follower) -> list[int]:
        while True:
            try:
                return await asyncio.to_thread(follower.ends)
            except KafkaException as error:
                log.warning("%s: %s; trying again", follower.topic, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _ask_kafka(self) -> None:
        books = self.books
        books.catch_up()
        books.waves.answer(books.journal_read, books.changelog_read)
        questions = books.waves.questions(self._sink) if books.rebuilt() else None
        ends = await asyncio.to_thread(self.journal.ends)
        books.remember(ends)
        if questions is not None:
            books.waves.ask(questions, ends, await asyncio.to_thread(self.changelog.ends))

    async def _ask_postgres(self, notices: list[str]) -> None:
        postgres, ledger = self.books.postgres, self._ledger
        with ledger.forgetting():
            self._sink = positions = await asyncio.to_thread(ledger.begin)
            if not self.books.rebuilt():
                return
            patience = time.monotonic() + FOLD_SECONDS
            while not postgres.far_enough(positions):
                if time.monotonic() > patience:
                    notices.append("Postgres: is ahead of what was read of the journal")
                    return
                await asyncio.sleep(0.05)
            wanted = postgres.wanted(positions)
            begun = time.monotonic()
            found = await asyncio.to_thread(ledger.read, wanted)
            for part in postgres.compare(found, time.monotonic() - begun):
                for both in await asyncio.to_thread(self._drill.down, part, ledger):
                    postgres.name(both.table, part, both.expected, both.found)

    def _produce(self, report: reports.Report) -> None:
        if self._codec is None:
            ids = self._registry.ids(REPORTS.name, self.settings.topic_prefix)
            self._codec = Codec(ids, self._registry.writer_schema)
        self._producer.produce(self.settings.topic(REPORTS.name), self._codec.encode("ReconciliationReport", report))
        self._producer.flush(5)
