"""Faulty but honest traffic raises no false alarm: aborts, delays, stops and restarts are not breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from streams.settings import Settings
from tests.conftest import AnyServices
from tests.reconciliation.audit import Office
from tests.reconciliation.town import Batch

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(900)]

INTENTS = 3_600
"""One a second of partition time: an hour."""
ROUNDS = 90


class Process:
    """``twofold reconcile --json`` and the reports that it has printed."""

    def __init__(self, settings: Settings) -> None:
        self.reports: list[dict[str, Any]] = []
        self.log = settings.data_dir / "reconcile.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "twofold", "reconcile", "--json"],
                env={**_environment(), **settings.to_env(), "TWOFOLD_WEB_PORT": "0"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.reports.append(json.loads(line))

    @property
    def latest(self) -> dict[str, Any]:
        """The newest report, or an empty one. A process that has ended by itself is a failure."""
        assert self.process.poll() is None, self.log.read_text()
        return self.reports[-1] if self.reports else {"verdict": "", "positions": []}

    def end(self, kill: bool = False) -> int:
        """Stop it (or kill it); its exit code."""
        (self.process.kill if kill else self.process.terminate)()
        code = self.process.wait(60)
        self._thread.join(10)
        return code


def _environment() -> dict[str, str]:
    import os

    return {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """Every reconciliation that the test started; none is left behind."""
    started: list[Process] = []
    yield started
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
            process.process.wait(30)


def test_an_hour_of_faulty_but_honest_traffic_raises_no_false_alarm(
    office: Office, services: AnyServices, processes: list[Process]
) -> None:
    """Transactions abort and stay open, the sink stops, Kafka and Postgres restart, reconciliation is killed twice."""
    town, r = office.town, office.town.random
    processes.append(Process(office.settings))
    office.start_sink(batch=200)
    waiting: list[Batch] = []
    for round_ in range(ROUNDS):
        town.live(INTENTS // ROUNDS)
        for partition in range(len(town.states)):
            _batch(office, partition, waiting)
        if round_ % 9 == 4:
            _commit(office, waiting)
            office.stop_sink()
        if round_ % 9 == 7:
            office.start_sink(batch=r.choice((50, 500)))
        if round_ in (ROUNDS // 3, 2 * ROUNDS // 3):
            processes[-1].end(kill=True)
            processes.append(Process(office.settings))
        if round_ in (ROUNDS // 2, 4 * ROUNDS // 5):
            _commit(office, waiting)
            services.restart("postgres" if round_ == ROUNDS // 2 else "kafka")
    _commit(office, waiting)
    town.settle()
    office.stop_sink()
    office.start_sink()
    office.wait_until(lambda: _agreed(processes[-1], office), "the books balance at the journal's end")
    reports = [report for process in processes for report in process.reports]
    alarms = [report for report in reports if report["verdict"] == "BREAK"]
    assert alarms == []
    assert {"BALANCED", "BEHIND"} == {report["verdict"] for report in reports}
    assert town.aborted > ROUNDS / 4
    assert processes[-1].end() == 0


def _commit(office: Office, waiting: list[Batch]) -> None:
    """Commit what is open, before something that may outlast the transactions' timeout."""
    while waiting:
        office.town.commit(waiting.pop(0))


def _batch(office: Office, partition: int, waiting: list[Batch]) -> None:
    """A batch that is committed at once, or after an abort, or stays open while the others go on."""
    town = office.town
    open_here = next((batch for batch in waiting if batch.partition % 2 == partition % 2), None)
    if open_here is not None:
        if town.random.random() < 0.5:
            return
        waiting.remove(open_here)
        town.commit(open_here)
    if town.random.random() < 0.1:
        batch = town.decide(partition, most=60)
        if batch.journal:
            town.write(batch)
            waiting.append(batch)
    else:
        town.run(partition, most=town.random.choice((5, 60, 200)), abort=0.15)


def _agreed(process: Process, office: Office) -> bool:
    ends = [records[-1].sequence if records else 0 for records in office.town.records]
    report = process.latest
    return report["verdict"] == "BALANCED" and all(
        (p["journal"], p["tables"], p["sink"]) == (end, end, end)
        for p, end in zip(report["positions"], ends, strict=True)
    )


def test_a_break_is_found_while_no_worker_runs_and_its_repair_too(
    sunk: Office, processes: list[Process], tmp_path: Path
) -> None:
    """The agent runs alone, alerts when Postgres is tampered with, and takes the alert back after the repair."""
    import dataclasses

    settings = dataclasses.replace(sunk.settings, data_dir=tmp_path)
    process = Process(settings)
    processes.append(process)
    sunk.wait_until(lambda: process.latest["verdict"] == "BALANCED", "balanced at first")
    where = "WHERE account = 'EUR-0003'"
    sunk.tamper("account_balances", f"UPDATE ledger_1.account_balances SET debits_posted = debits_posted + 7 {where}")
    sunk.wait_until(lambda: process.latest["verdict"] == "BREAK", "the break")
    (b,) = (b for b in process.latest["breaks"] if b["kind"] == "postgres_balance_differs")
    assert b["account"] == "EUR-0003"
    sunk.tamper("account_balances", f"UPDATE ledger_1.account_balances SET debits_posted = debits_posted - 7 {where}")
    sunk.wait_until(lambda: process.latest["verdict"] == "BALANCED", "balanced again")
    verdicts = sunk.query("SELECT verdict FROM twofold.reconciliation_reports ORDER BY id")
    assert [v for n, (v,) in enumerate(verdicts) if n == 0 or verdicts[n - 1] != (v,)][-3:] == [
        "BALANCED",
        "BREAK",
        "BALANCED",
    ]
    assert process.end() == 0
