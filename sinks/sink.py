"""The sink: journal in, Postgres out, exactly once.

Its whole memory is ``sink_positions``. It may be killed at any instruction, lose Postgres in the middle of a commit,
meet a Postgres that was put back to an older copy, or run twice: each time it reads the positions again, checks them
against the journal, and goes on after them.

    connect ──► positions ──► verify against the journal ──► read ──► write ──► read ──► ...
       ▲  lost connection, deadlock, serialization   │         │         │
       └─────────────────────────────────────────────┴─────────┴─────────┤  another sink was faster: positions again
                                                                         ▼
                       gap, fork, figures that disagree, a refusal by Postgres: halt, for an operator
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import psycopg

from sinks.batch import decode_batch
from sinks.errors import Overtaken, SinkHalted
from sinks.positions import SinkPosition, read_positions
from sinks.source import JournalAway, JournalSource
from sinks.writer import connect, write
from streams.ledger.intents import Intent
from streams.ledger.journal import JournalRecord

log = logging.getLogger("twofold.sink")

BATCH_RECORDS = 10_000
"""The most journal records of one transaction: large enough that a commit's cost vanishes, some 200 ms of work."""
TRIED_AGAIN = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # Postgres ended a sink that had been frozen; no OperationalError in psycopg's eyes.
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    JournalAway,
    ConnectionError,
)
"""Lost connections, deadlocks, serialization failures, a full disk, a Kafka or registry that is away: they pass."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0


def _nothing() -> None:
    """What is done on being ready again."""


class Codec(Protocol):
    """What the sink needs of the codec."""

    def decode_journal(self, value: bytes) -> JournalRecord:
        """The record of a journal value."""

    def decode_intent(self, value: bytes) -> Intent:
        """The intent of its wire bytes."""


@dataclass
class Progress:
    """What a running sink has done since it started."""

    batches: int = 0
    records: int = 0
    reconnects: int = 0
    overtaken: int = 0


class Sink:
    """One sink process over all partitions of the journal."""

    def __init__(
        self, dsn: str, epoch: int, source: JournalSource, codec: Codec, batch_records: int = BATCH_RECORDS
    ) -> None:
        self._dsn = dsn
        self._epoch = epoch
        self._source = source
        self._codec = codec
        self._batch_records = batch_records
        self._stop = Event()
        self._on_ready: Callable[[], None] = _nothing
        self.progress = Progress()

    def stop(self) -> None:
        """End after the batch under way; safe to call from a signal handler."""
        self._stop.set()

    def run(self, on_ready: Callable[[], None] = _nothing) -> None:
        """Run until :meth:`stop`. ``on_ready`` is called once, when the positions are verified for the first time.

        Raises SinkHalted when an operator has to act.
        """
        pause = FIRST_PAUSE_S
        self._on_ready = on_ready
        while not self._stop.is_set():
            before = self.progress.batches
            try:
                self._run_connected()
            except TRIED_AGAIN as error:
                pause = FIRST_PAUSE_S if self.progress.batches > before else min(2 * pause, LONGEST_PAUSE_S)
                log.warning("will try again in %.2f s: %s", pause, str(error).strip())
                self.progress.reconnects += 1
                self._stop.wait(pause)
                if isinstance(error, JournalAway):
                    self._source.reopen()
            except psycopg.Error as error:
                raise SinkHalted(_refusal(error)) from error

    def _run_connected(self) -> None:
        with connect(self._dsn, self._epoch) as connection:
            while not self._stop.is_set():
                positions = read_positions(connection, self._epoch, self._source.partitions())
                self._source.go_to(positions, self._codec.decode_journal)
                self._say_ready()
                try:
                    self._follow(connection, positions)
                except Overtaken as error:
                    log.info("another sink writes here too: %s", error)
                    self.progress.overtaken += 1
                    # The faster one goes on; this one is its reserve, and need not race it.
                    self._stop.wait(LONGEST_PAUSE_S / 10)

    def _say_ready(self) -> None:
        self._on_ready()
        self._on_ready = _nothing

    def _follow(self, connection: psycopg.Connection, positions: dict[int, SinkPosition]) -> None:
        while not self._stop.is_set():
            messages = self._source.read(self._batch_records, wait_s=0.5)
            if not messages:
                # Finds a lost connection while nothing happens, so that its cause is known before money waits for it.
                connection.execute("SELECT 1")
                continue
            codec = self._codec
            batch = decode_batch(positions, messages, codec.decode_journal, codec.decode_intent)
            started = time.perf_counter()
            write(connection, self._epoch, batch)
            positions = batch.positions
            self.progress.batches += 1
            self.progress.records += batch.records
            log.debug("%d records in %.0f ms", batch.records, (time.perf_counter() - started) * 1000)


def _refusal(error: psycopg.Error) -> str:
    told = str(error).strip()
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        return f"Postgres lacks the sink's tables: run `twofold migrate`. ({told})"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"Postgres denies what the sink does: grant its user the role twofold_writer. ({told})"
    return f"Postgres refuses the journal's rows ({error.sqlstate}): {told}"
