"""kill -9 of everything in turn, under load, on a stack of its own; the invariants after each.

python -m tests.e2e.chaos --rounds 5
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import click

from infra.stack import Services
from streams.settings import Settings
from tests.harness.live import LiveLedger, assert_invariants

AGENTS = ("worker-0", "worker-1", "sink", "reconcile")
SERVICES = ("postgres", "kafka")
ACCOUNTS = 200
MOST_INTENTS = 200_000
PORTION, PAUSE_SECONDS = 40, 0.1
"""Intents a send, and the pause between two sends."""


@dataclass(frozen=True)
class Toll:
    """What a run of chaos did, with no violation."""

    kills: Counter[str]
    intents: int
    records: int
    checks: int

    def __str__(self) -> str:
        each = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({each}) under {self.intents:,} intents and {self.records:,} journal records: "
            f"all nine invariants held each of {self.checks} times"
        )


class Load:
    """Sends traffic in a thread until told to end."""

    def __init__(self, ledger: LiveLedger, seed: int) -> None:
        self._ledger = ledger
        self._traffic = iter(ledger.traffic(seed, MOST_INTENTS, ACCOUNTS))
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while portion := list(islice(self._traffic, PORTION)):
                self._ledger.send(portion)
                if self._ended.wait(PAUSE_SECONDS):
                    return
        except BaseException as error:
            self._failure = error

    def end(self) -> None:
        """Send no more; raises what went wrong."""
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure


def run(folder: Path, rounds: int, seed: int) -> Toll:
    """Everything is killed once in each round, in an order that the seed chooses. Raises AssertionError."""
    rng = Random(seed)
    checks = 0
    with Services(folder / "stack") as services:
        settings = Settings(
            bootstrap_servers=services.bootstrap_servers,
            registry_url=services.registry_url,
            postgres_dsn=services.postgres_dsn,
            data_dir=folder / "ledger",
        )
        with LiveLedger(settings) as ledger:
            ledger.open_accounts(seed, ACCOUNTS)
            for round_ in range(rounds):
                load = Load(ledger, seed + round_)
                try:
                    for name in rng.sample((*AGENTS, *SERVICES), len(AGENTS) + len(SERVICES)):
                        _kill(services, ledger, name, rng)
                        assert_invariants(settings, drained=False)
                        checks += 1
                finally:
                    load.end()
                ledger.wait_until_drained()
                assert_invariants(settings, drained=True)
                checks += 1
            return Toll(Counter(ledger.kills), ledger.acknowledged, ledger.counts()[2], checks)


def _kill(services: Services, ledger: LiveLedger, name: str, rng: Random) -> None:
    """Kill at a moment of its own in the middle of work, and wait until the ledger goes on."""
    before = ledger.counts()[2]
    ledger.wait_until(lambda: ledger.counts()[2] > before, "the ledger works")
    time.sleep(rng.random())
    if name in SERVICES:
        services.kill(name)
        ledger.kills.append(name)
        services.start(name)
    else:
        ledger.kill(name)
    ledger.tend()


@click.command()
@click.option("--rounds", default=1, show_default=True)
@click.option("--seed", default=1, show_default=True)
def chaos(rounds: int, seed: int) -> None:
    """Kill everything in turn and prove the books after each kill."""
    with tempfile.TemporaryDirectory(prefix="twofold-chaos-") as folder:
        click.echo(run(Path(folder), rounds, seed))


if __name__ == "__main__":
    chaos()
