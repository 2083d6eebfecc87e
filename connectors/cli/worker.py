"""``twofold worker``: run payment workers against any Kafka and registry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import click

from connectors.cli.topics import cluster_options, settings_from
from infra.backoff import Backoff
from infra.process import LAUNCHER
from streams.settings import Settings

HALTED = 3
INTERRUPTED = 130
STOP_S = 20.0
LOOK_S = 0.2

EXIT_CODES = """
\b
Exit codes: 0 stopped by SIGTERM; 1 could not start (the message says what to do); 2 wrong usage;
3 halted: an operator has to act, starting it again changes nothing (the message says how);
4 another worker took over, or Kafka did not answer: start it again; 130 interrupted with Ctrl-C."""


@click.command(epilog=EXIT_CODES)
@cluster_options
@click.option("--registry-url", metavar="URL", help="Schema registry. [TWOFOLD_REGISTRY_URL]")
@click.option("--group", help="Consumer group, the same for all workers of a ledger. [TWOFOLD_GROUP]")
@click.option(
    "--slot",
    type=click.IntRange(0),
    help="This worker's own number, fixed: names its stores and its transactional id. [TWOFOLD_SLOT]",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Run that many workers, in slots from --slot on, and start again what dies.",
)
@click.option(
    "--data", "data_dir", type=click.Path(path_type=Path, file_okay=False), help="Data directory. [TWOFOLD_DATA_DIR]"
)
@click.option("--store", type=click.Choice(["disk", "memory"]), help="Where tables are kept. [TWOFOLD_STORE]")
@click.option("--batch-ms", type=click.IntRange(0), help="How long a batch gathers input. [TWOFOLD_BATCH_MS]")
@click.option("--batch-records", type=click.IntRange(1), help="The most records of a batch. [TWOFOLD_BATCH_RECORDS]")
@click.option(
    "--web-port",
    type=click.IntRange(0, 65535),
    help="Port of the views on 127.0.0.1; 0: any free one. [TWOFOLD_WEB_PORT]",
)
def worker(processes: int, **given: Any) -> None:
    """Decide payment intents: read intents and legs, write the journal, keep the tables.

    Workers of one group share the partitions out among themselves. Each has a slot of its own.
    Views on 127.0.0.1: /accounts/ID, /health, /metrics; the port is in DATA/workers/SLOT.json.

    \b
    twofold worker                                  one worker in slot 0
    twofold worker --processes 2                    two workers, in slots 0 and 1
    twofold worker --slot 5 --bootstrap-servers kafka:9092 --registry-url http://registry:8081
    """
    settings = settings_from(**given)
    if processes == 1:
        sys.exit(_run(settings))
    sys.exit(Crew(settings, processes).run())


def _run(settings: Settings) -> int:
    # The app is made when its module is imported, from the variables: as `faust -A streams.app` finds it.
    os.environ.update(settings.to_env())
    from streams.app import run_worker

    return run_worker()


class Crew:
    """Several workers, each a process; one that dies is started again, one that halts is not."""

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self._slots = range(settings.slot, settings.slot + count)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._began: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self._backoff = {slot: Backoff() for slot in self._slots}
        self._signal = 0

    def run(self) -> int:
        """Until a signal comes or all have halted; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for slot in self._slots:
            self._start(slot)
        while not self._signal and (self._running or self._due):
            self._look()
            time.sleep(LOOK_S)
        self._stop()
        if self._signal:
            return INTERRUPTED if self._signal == signal.SIGINT else 0
        return HALTED

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = self._signal or number

    def _start(self, slot: int) -> None:
        self._due.pop(slot, None)
        self._began[slot] = time.monotonic()
        dies_with_us = [sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), str(int(signal.SIGTERM)), "-", "--"]
        self._running[slot] = subprocess.Popen(
            [*dies_with_us, sys.executable, "-m", "twofold", "worker", "--slot", str(slot)],
            env={**os.environ, **self._settings.to_env(), "TWOFOLD_SLOT": str(slot), "TWOFOLD_WEB_PORT": "0"},
            # A Ctrl-C in the terminal reaches the crew alone, which then stops its workers in order.
            start_new_session=True,
        )

    def _look(self) -> None:
        now = time.monotonic()
        for slot, process in list(self._running.items()):
            code = process.poll()
            if code is None:
                continue
            del self._running[slot]
            if code == HALTED:
                click.echo(f"worker {slot} has halted and is not started again; the others go on", err=True)
                continue
            delay = self._backoff[slot].after(now - self._began[slot])
            click.echo(f"worker {slot} ended with {code}: starting it again in {delay:g} s", err=True)
            self._due[slot] = now + delay
        for slot in [slot for slot, due in self._due.items() if due <= now]:
            self._start(slot)

    def _stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        until = time.monotonic() + STOP_S
        for process in self._running.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
