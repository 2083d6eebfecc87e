"""What the tests of reconciliation do around a town: sink, tamper, audit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psycopg

from connectors.cli.reconcile import compare_once
from streams.reconciliation.auditor import Auditor
from streams.reconciliation.report import Report
from streams.settings import Settings
from tests.reconciliation.town import Town
from tests.sinks.house import JournalSource as Source
from tests.sinks.house import RunningSink, Sink

PATIENCE_S = 60.0


class Office:
    """One ledger's sink, database and audits."""

    def __init__(self, settings: Settings, town: Town) -> None:
        self.settings = settings
        self.town = town
        self._sink: RunningSink | None = None

    def start_sink(self, batch: int = 1000) -> RunningSink:
        """A sink that runs until :meth:`stop_sink`."""
        source = Source(self.settings.bootstrap_servers, self.settings.topic("journal"))
        sink = Sink(self.settings.postgres_dsn, self.settings.sink_epoch, source, self.town.codec, batch)
        self._sink = RunningSink(sink, source)
        return self._sink

    def stop_sink(self) -> None:
        """Stop it after the batch under way."""
        if self._sink is not None:
            self._sink.stop()
            self._sink = None

    def drain(self) -> None:
        """Run the sink until the whole journal is in Postgres."""
        running = self.start_sink()
        self.wait_until(lambda: running.error is not None or self.sunk() >= self.town.count())
        assert running.error is None, running.error
        self.stop_sink()

    def sunk(self) -> int:
        """How many journal records Postgres has."""
        return int(self.query("SELECT coalesce(sum(sequence), 0) FROM ledger_1.sink_positions")[0][0])

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask Postgres as its superuser."""
        with psycopg.connect(self.settings.postgres_dsn) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()

    def tamper(self, table: str, sql: str, *parameters: object) -> None:
        """Change rows that nobody may change, as someone who owns the database can: with the triggers off."""
        with psycopg.connect(self.settings.postgres_dsn) as connection:
            connection.execute(f"ALTER TABLE ledger_1.{table} DISABLE TRIGGER ALL".encode())
            changed = connection.execute(sql.encode(), parameters).rowcount
            connection.execute(f"ALTER TABLE ledger_1.{table} ENABLE TRIGGER ALL".encode())
        assert changed > 0, "the tampering changed nothing"

    def audit(self, until: str = "") -> Report:
        """``twofold reconcile --once``, in this process; or only until a break of this kind is found."""

        def enough(report: Report) -> bool:
            return until in found(report)

        async def once() -> Report:
            auditor = Auditor(self.settings)
            try:
                return await compare_once(auditor, PATIENCE_S, enough if until else None)
            finally:
                await asyncio.to_thread(auditor.close)

        return asyncio.run(once())

    def wait_until(self, holds: Callable[[], bool], what: str = "") -> None:
        """Wait for a state, not for a time."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
            time.sleep(0.02)

    def close(self) -> None:
        """Stop what runs."""
        self.stop_sink()


def found(report: Report) -> set[str]:
    """The kinds of the breaks of a report."""
    return {b["kind"] for b in report["breaks"]}
