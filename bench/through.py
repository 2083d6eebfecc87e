"""How fast transfers go all the way: Kafka, one worker, the sink and Postgres, with the reconciliation agent on.

    python -m bench.through --transfers 60000 --accounts 5000

Everything runs on this machine. All intents are produced first; then the processes start. The rate is that of POSTED
rows in Postgres, from a tenth of them to all, by looking at the table; and the reconciliation agent must find the
books balanced when all are there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.cluster import Cluster, wait_for
from bench.throughput import produce_transfers
from infra.stack import Services
from schemas.registry import Registry
from sinks.migrate import migrate
from streams import admin
from streams.agents.codec import LedgerCodec
from streams.settings import Settings

POSTED = "SELECT count(*) FROM twofold.transfer_events WHERE outcome = 'POSTED'"
VERDICT = "SELECT verdict, report FROM twofold.reconciliation_reports ORDER BY id DESC LIMIT 1"


@contextmanager
def agents(settings: Settings, names: tuple[str, ...]) -> Iterator[None]:
    """The real processes, stopped at the end; their output in the data directory."""
    running = []
    for name in names:
        with (settings.data_dir / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "twofold", name]
            environment = {**os.environ, **settings.to_env()}
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def run(settings: Settings, transfers: int) -> dict[str, object]:
    """Start all agents and watch Postgres until every transfer is there and proved."""
    with agents(settings, ("worker", "sink", "reconcile")), psycopg.connect(settings.postgres_dsn) as connection:
        connection.autocommit = True

        def posted() -> int:
            row = connection.execute(POSTED).fetchone()
            return 0 if row is None else int(row[0])

        wait_for(lambda: posted() >= transfers // 10)
        first, began = posted(), time.monotonic()
        while (found := posted()) < transfers:
            time.sleep(0.2)
        seconds = time.monotonic() - began
        wait_for(lambda: _balanced(connection))
        proved = time.monotonic() - began - seconds
    return {
        "transfers": found,
        "seconds": round(seconds, 2),
        "transfers_per_second": round((found - first) / seconds),
        "proved_seconds_later": round(proved, 1),
    }


def _balanced(connection: psycopg.Connection) -> bool:
    row = connection.execute(VERDICT).fetchone()
    return row is not None and row[0] == "BALANCED" and row[1]["in_flight"] == 0 and row[1]["lag"] == 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transfers", type=int, default=60_000)
    parser.add_argument("--accounts", type=int, default=5_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder:
        os.chmod(folder, 0o755)
        with Services(Path(folder) / "stack") as services:
            settings = dataclasses.replace(
                Settings(),
                bootstrap_servers=services.bootstrap_servers,
                registry_url=services.registry_url,
                postgres_dsn=services.postgres_dsn,
                data_dir=Path(folder),
            )
            admin.apply(settings)
            Registry(settings.registry_url).register_all()
            migrate(settings.postgres_dsn, settings.sink_epoch)
            codec = LedgerCodec.connect(settings.registry_url)
            produce_transfers(Cluster(settings, codec, None), given.transfers, given.accounts)
            print(json.dumps(run(settings, given.transfers), indent=2))


if __name__ == "__main__":
    main()
