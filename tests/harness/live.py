"""The whole product as real processes on real services: to start, kill, feed, wait for, and judge."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import psycopg

from connectors.generator import Generated, generate, opening
from connectors.producer import Producer
from schemas.errors import RegistryAway
from schemas.registry import Registry
from sinks.migrate import migrate
from streams import admin
from streams.agents.codec import LedgerCodec
from streams.ledger.intents import Intent
from streams.reconciliation.invariants import Verdict, verify_all
from streams.reconciliation.proof.topics import CannotRead
from streams.settings import Settings

T = TypeVar("T")

PATIENCE_SECONDS = 180.0
HALTED = 3
COUNTS = """SELECT
    count(*) FILTER (WHERE outcome IN ('POSTED', 'COMPENSATED', 'REJECTED', 'APPLIED', 'DUPLICATE', 'DEAD_LETTERED')),
    count(*) FILTER (WHERE outcome = 'PENDING') - count(*) FILTER (WHERE outcome IN ('POSTED', 'COMPENSATED')),
    count(*) FROM twofold.transfer_events"""


def set_up(settings: Settings) -> None:
    """Topics, schemas and tables of a new ledger."""
    admin.apply(settings)
    patiently(lambda: Registry(settings.registry_url).register_all(settings.topic_prefix), RegistryAway)
    migrate(settings.postgres_dsn, settings.sink_epoch)


def patiently(action: Callable[[], T], *errors: type[Exception]) -> T:
    """Do it, again and again while it fails in an expected way and patience lasts."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return action()
        except errors:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def assert_invariants(settings: Settings, *, drained: bool = True) -> list[Verdict]:
    """All nine hold; else the counter-examples are shown."""
    verdicts = patiently(lambda: verify_all(settings, drained=drained), CannotRead, RegistryAway)
    broken = [f"{verdict}\n    " + "\n    ".join(verdict.examples) for verdict in verdicts if not verdict.holds]
    assert not broken, "\n".join(broken)
    return verdicts


class LiveLedger:
    """Real processes by name: ``worker-0``, ``worker-1``, ..., ``sink``, ``reconcile``. What dies is started again."""

    def __init__(self, settings: Settings, workers: int = 2, others: Sequence[str] = ("sink", "reconcile")) -> None:
        set_up(settings)
        self.settings = settings
        self.codec = LedgerCodec.connect(settings.registry_url, settings.topic_prefix)
        self.acknowledged = 0
        self.kills: list[str] = []
        self.ends: list[tuple[str, int]] = []
        """(name, exit code) of processes that ended without having been told to."""
        self._producer = Producer(settings, serialize=self.codec.encode_intent)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for name in (*(f"worker-{slot}" for slot in range(workers)), *others):
            self.start(name)

    # processes

    def __enter__(self) -> LiveLedger:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, name: str) -> None:
        """Start one process; its output goes to ``log(name)``."""
        word, _, slot = name.partition("-")
        command = [sys.executable, "-m", "twofold", word, *(["--slot", slot] if slot else [])]
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, env={**os.environ, **self.settings.to_env()}, stdout=log, stderr=subprocess.STDOUT
            )

    def log(self, name: str) -> Path:
        """The file of a process' output."""
        return self.settings.data_dir / f"{name}.log"

    def kill(self, name: str) -> None:
        """kill -9; ``tend`` starts it again."""
        self._running[name].kill()
        self._running[name].wait()
        self.kills.append(name)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self._running[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self._running[name].send_signal(signal.SIGCONT)

    def tend(self) -> None:
        """Start again what has ended; a process that halted fails the test with the end of its log."""
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            assert code != HALTED, f"{name} halted:\n{self.log(name).read_text(errors='replace')[-3000:]}"
            self.ends.append((name, code))
            self.start(name)

    def stop(self) -> None:
        """End all that was started."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    # intents

    def send(self, several: Iterable[Generated | Intent]) -> None:
        """Produce, and wait until all are acknowledged."""
        for one in several:
            generated = one if isinstance(one, Generated) else Generated(one, "given")
            key, value = generated.encoded(self.codec.encode_intent)
            self._producer.send_raw(key, value, generated.partition)
        self._producer.flush()
        self.acknowledged = self._producer.delivered

    def open_accounts(self, seed: int, accounts: int) -> None:
        """Open the generator's accounts and give them money."""
        every = list(opening(seed, accounts))
        for money in (False, True):
            self.send(g for g in every if (g.label == "starting_money") == money)
            self.wait_until_drained()

    def traffic(self, seed: int, count: int, accounts: int) -> Iterable[Generated]:
        """The generator's traffic for those accounts."""
        return generate(seed, count, accounts, partitions=self.settings.partitions)

    # waiting

    def counts(self) -> tuple[int, int, int]:
        """(final outcomes, transfers under way, journal records) in Postgres."""
        with psycopg.connect(self.settings.postgres_dsn, connect_timeout=5) as connection:
            row = connection.execute(COUNTS).fetchone()
        assert row is not None
        return int(row[0]), int(row[1]), int(row[2])

    def wait_until_drained(self) -> None:
        """Every acknowledged intent is final in Postgres."""
        self.wait_until(self._is_drained, "every intent has its outcome in Postgres")

    def _is_drained(self) -> bool:
        final, pending, _ = self.counts()
        return final >= self.acknowledged and not pending

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Tend the processes and look until it holds; what cannot be looked at now is looked at again."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.tend()
            try:
                if holds():
                    return
            except (psycopg.OperationalError, CannotRead):
                pass  # a service is down: that is what such a test is about
            assert time.monotonic() < until, f"waited in vain until {what}: {self._state()}"
            time.sleep(0.1)

    def _state(self) -> str:
        tails = {name: self.log(name).read_text(errors="replace")[-800:] for name in self._running}
        return "\n".join(f"--- {name}\n{tail}" for name, tail in tails.items())
