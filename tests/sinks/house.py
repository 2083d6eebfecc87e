"""What the sink's tests stand on: produce a journal, run sinks over it, and compare Postgres with the journal."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from sinks.sink import Sink
from sinks.source import JournalSource
from streams.agents.codec import LedgerCodec
from streams.ledger.journal import JournalRecord
from streams.topics import JOURNAL
from tests.sinks.journals import Ledger

PARTITIONS = 4
PATIENCE_S = 60


class RunningSink:
    """A sink in a thread; ``error`` is what it halted with."""

    def __init__(self, sink: Sink, source: JournalSource) -> None:
        self.sink = sink
        self.source = source
        self.error: Exception | None = None
        self.ready = 0
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.sink.run(self._is_ready)
        except Exception as error:
            self.error = error

    def _is_ready(self) -> None:
        self.ready += 1

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> Exception | None:
        """Wait until it ends by itself; what it halted with."""
        self._thread.join(PATIENCE_S)
        assert not self.alive, "the sink did not end"
        return self.error

    def stop(self) -> None:
        self.sink.stop()
        self._thread.join(PATIENCE_S)
        assert not self.alive, "the sink did not stop"
        self.source.close()


class House:
    """A journal topic and a database, and sinks between them."""

    def __init__(self, kafka: str, codec: LedgerCodec, dsn: str, prefix: str) -> None:
        self.kafka = kafka
        self.codec = codec
        self.dsn = dsn
        self.prefix = prefix
        self.topic = prefix + JOURNAL.name
        self.lives = 0
        self.ledger = Ledger(PARTITIONS, codec.encode_intent)
        self._produced = 0
        self._running: list[RunningSink] = []
        self._producer: Producer | None = None

    def create_topic(self, name: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka})
        made = admin.create_topics([NewTopic(name, PARTITIONS, 1, config=JOURNAL.config)])
        for future in made.values():
            future.result()

    def produce(self, records: Sequence[tuple[int, JournalRecord]] | None = None, topic: str = "") -> None:
        """Append records in one Kafka transaction; by default those of the ledger that are not in the journal yet."""
        if records is None:
            records = self.ledger.records[self._produced :]
            self._produced = len(self.ledger.records)
        producer = self._transactional()
        producer.begin_transaction()
        for partition, record in records:
            self.put(producer, partition, self.codec.encode_journal(record), topic or self.topic)
        producer.commit_transaction()

    def put(self, producer: Producer, partition: int, value: bytes, topic: str) -> None:
        """Append one value, waiting while the producer's queue is full."""
        while True:
            try:
                producer.produce(topic, value, partition=partition)
                return
            except BufferError:
                producer.poll(0.1)

    def produce_and_abort(self, records: Sequence[tuple[int, JournalRecord]]) -> None:
        """Append records in a Kafka transaction that is then aborted."""
        producer = self._transactional()
        producer.begin_transaction()
        for partition, record in records:
            self.put(producer, partition, self.codec.encode_journal(record), self.topic)
        producer.flush()
        producer.abort_transaction()

    def reconnect(self) -> None:
        """Produce by a new client: the old one's transaction may have died with its broker."""
        self._producer = None

    def produce_raw(self, partition: int, value: bytes) -> None:
        """Append bytes that are no journal record."""
        producer = self._transactional()
        producer.begin_transaction()
        self.put(producer, partition, value, self.topic)
        producer.commit_transaction()

    def _transactional(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    "bootstrap.servers": self.kafka,
                    "transactional.id": uuid.uuid4().hex,
                    "transaction.timeout.ms": 10_000,
                    "log_level": 2,
                }
            )
            self._producer.init_transactions()
        return self._producer

    def start_sink(self, batch: int = 1000, dsn: str = "", topic: str = "", epoch: int = 1) -> RunningSink:
        source = JournalSource(self.kafka, topic or self.topic)
        running = RunningSink(Sink(dsn or self.dsn, epoch, source, self.codec, batch), source)
        self._running.append(running)
        return running

    def drain(self, **options: Any) -> None:
        """Run a sink until all that was produced is in Postgres."""
        running = self.start_sink(**options)
        self.wait_until_sunk()
        running.stop()

    def wait_until_sunk(self, records: int | None = None) -> None:
        """Wait until Postgres has as many journal records as were produced (or as many as told)."""
        wanted = self._produced if records is None else records
        self.wait_until(lambda: self.sunk() >= wanted)

    def wait_until_sunk_by(self, running: RunningSink) -> None:
        """The same, by this sink; others may have halted."""
        self.wait_until(lambda: self.sunk() >= self._produced, [running])

    def wait_until(self, holds: Callable[[], bool], sinks: Sequence[RunningSink] | None = None) -> None:
        """Wait; a sink (of all, or of those given) that halts meanwhile ends the wait."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"not within {PATIENCE_S} s; in Postgres: {self.sunk()} records"
            for running in self._running if sinks is None else sinks:
                assert running.error is None, f"a sink halted: {running.error}"
            time.sleep(0.02)

    def sunk(self) -> int:
        """How many journal records Postgres has, by its positions; -1 while it does not answer."""
        try:
            return int(self.query("SELECT coalesce(sum(sequence), 0) FROM twofold.sink_positions")[0][0])
        except psycopg.OperationalError:
            return -1

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def stop(self) -> None:
        for running in self._running:
            if running.alive:
                running.stop()

    def check_books(self, records: Sequence[tuple[int, JournalRecord]] | None = None) -> None:
        """Postgres holds exactly what the records say: each once, in every table and view."""
        records = self.ledger.records if records is None else records
        events = self.query("SELECT partition, sequence, outcome, kind, transfer, amount FROM twofold.transfer_events")
        assert sorted(events, key=lambda e: e[:2]) == sorted(
            (p, r.sequence, r.outcome, r.kind, r.transfer and uuid.UUID(bytes=r.transfer), r.amount) for p, r in records
        )
        postings = self.query("SELECT partition, sequence, line, account, side, amount, currency FROM twofold.postings")
        assert sorted(postings) == sorted(
            (p, r.sequence, line, posting.account, posting.side[0], posting.amount, posting.currency)
            for p, r in records
            for line, posting in enumerate(r.entry or ())
        )
        figures = {r.account: (*r.figures, r.sequence) for _, r in records if r.figures is not None}
        for table in ("account_balances", "derived_balances"):
            rows = self.query(
                f"SELECT account, debits_pending, debits_posted, credits_posted, version FROM twofold.{table}"
            )
            assert {row[0]: row[1:] for row in rows} == figures, table
        summed = "sum(change) OVER (PARTITION BY account ORDER BY sequence)"
        wrong = self.query(
            f"SELECT * FROM (SELECT balance, {summed} AS summed FROM twofold.statement_lines) s WHERE balance <> summed"
        )
        assert wrong == []
        for debits, credits in self.query("SELECT debits, credits FROM twofold.trial_balance"):
            assert debits == credits
