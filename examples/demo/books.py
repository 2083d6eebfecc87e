"""What the demo reads while it runs: outcomes and reports in Postgres, ends of topics in Kafka."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Any, NamedTuple

import psycopg

from streams.reconciliation.proof.topics import Topics
from streams.settings import Settings
from streams.topics import JOURNAL

FINAL = ("POSTED", "COMPENSATED", "REJECTED", "APPLIED", "DUPLICATE", "DEAD_LETTERED")
RECONCILED_WITHIN = 30.0


class Counts(NamedTuple):
    """How many of what is in Postgres."""

    final: int
    settled: int
    pending: int
    """Transfers begun and not ended."""
    records: int

    def minus(self, before: Counts) -> Counts:
        """What came since."""
        return Counts(*(now - then for now, then in zip(self, before, strict=True)))


class AgentWord(NamedTuple):
    """The reconciliation agent's newest report."""

    verdict: str
    breaks: int
    report: dict[str, Any]


class Books:
    """Postgres under the reader's role, and Kafka's ends."""

    def __init__(self, settings: Settings) -> None:
        self._topics = Topics(settings)
        self._connection = psycopg.connect(
            settings.postgres_dsn, autocommit=True, options="-c role=twofold_reader", application_name="twofold demo"
        )

    def __enter__(self) -> Books:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def counts(self) -> Counts:
        """Count the outcomes."""
        rows = self._connection.execute(
            "SELECT outcome, count(*) FROM twofold.transfer_events GROUP BY outcome"
        ).fetchall()
        outcomes = Counter[str](dict(rows))
        pending = outcomes["PENDING"] - outcomes["POSTED"] - outcomes["COMPENSATED"]
        return Counts(sum(outcomes[name] for name in FINAL), outcomes["SETTLED"], pending, outcomes.total())

    def lag(self) -> int:
        """Journal positions that are committed and not in Postgres yet."""
        rows = self._connection.execute("SELECT partition, kafka_offset FROM twofold.sink_positions").fetchall()
        reached: dict[int, int] = dict(rows)
        ends = self._topics.ends(JOURNAL.name)
        # the last position of a partition is a transaction's end marker, which no reader sees
        return sum(max(0, end - reached.get(partition, -1) - 2) for partition, end in ends.items() if end)

    def reconciliation(self) -> AgentWord | None:
        """The newest report."""
        row = self._connection.execute(
            "SELECT verdict, breaks, report FROM twofold.reconciliation_reports ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return None if row is None else AgentWord(*row)

    def wait_for_reconciliation(self) -> AgentWord | None:
        """A report that is younger than this call: BALANCED or BREAK, or the last one when patience ends."""
        last = self._connection.execute("SELECT max(id) FROM twofold.reconciliation_reports").fetchone()
        before = (last and last[0]) or 0
        until = time.monotonic() + RECONCILED_WITHIN
        while time.monotonic() < until:
            row = self._connection.execute(
                "SELECT verdict, breaks, report FROM twofold.reconciliation_reports "
                "WHERE id > %s AND verdict <> 'BEHIND' ORDER BY id DESC LIMIT 1",
                (before,),
            ).fetchone()
            if row is not None:
                return AgentWord(*row)
            time.sleep(0.2)
        return self.reconciliation()
