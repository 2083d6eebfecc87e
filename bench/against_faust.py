"""The transfer job in Twofold and in plain Faust, side by side: the same intents, broker, codec and machine.

    python -m bench.against_faust --transfers 100000 --faust-transfers 6000 --rounds 3

The two take turns, each on its own topics with one worker process; the slower one gets fewer transfers. The rate is
that of POSTED journal records by their append times, and the ratio that of the medians. What the Faust peer leaves
out is said in ``bench/peers/plain_faust.py``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from sys import executable

import psutil

from bench.cluster import Cluster, cluster
from bench.throughput import measure
from schemas.registry import Registry
from streams import admin
from streams.agents.codec import LedgerCodec


@dataclasses.dataclass
class FaustCluster(Cluster):
    """The same, with plain Faust as the worker."""

    @contextmanager
    def worker(self) -> Iterator[psutil.Process]:
        """One Faust worker process; stopped at the end."""
        settings = self.settings
        variables = {
            "PEER_PREFIX": settings.topic_prefix,
            "PEER_PARTITIONS": str(settings.partitions),
            "PEER_GROUP": settings.topic_prefix + "faust",
            "PEER_BROKER": settings.bootstrap_servers,
            "PEER_REGISTRY": settings.registry_url,
            "PEER_PORT": str(_free_port()),
            "PEER_DATA": str(settings.data_dir / "faust"),
        }
        faust = Path(executable).with_name("faust")
        with (settings.data_dir / "faust.log").open("ab") as log:
            process = subprocess.Popen(
                [faust, "-A", "bench.peers.plain_faust", "worker", "-l", "error"],
                env={**os.environ, **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield psutil.Process(process.pid)
            finally:
                process.terminate()
                process.wait(30)


def _free_port() -> int:
    """For Faust's web server, which cannot be told to take any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def turn(ledger: Cluster, name: str, transfers: int, accounts: int) -> dict[str, object]:
    """One measurement on fresh topics."""
    kind = FaustCluster if name.startswith("faust") else Cluster
    folder = ledger.settings.data_dir / name
    folder.mkdir()
    settings = dataclasses.replace(ledger.settings, topic_prefix=name + ".", group=name, data_dir=folder)
    admin.apply(settings)
    Registry(settings.registry_url).register_all(settings.topic_prefix)
    codec = LedgerCodec.connect(settings.registry_url, settings.topic_prefix)
    try:
        return measure(kind(settings, codec, ledger.broker), transfers, accounts, seed=1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure in turns and print every figure, then the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transfers", type=int, default=100_000)
    parser.add_argument("--faust-transfers", type=int, default=6_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rates: dict[str, list[float]] = {"twofold": [], "faust": []}
    with cluster() as ledger:
        for number in range(given.rounds):
            for name, transfers in (("twofold", given.transfers), ("faust", given.faust_transfers)):
                figures = turn(ledger, f"{name}-{number}", transfers, given.accounts)
                rates[name].append(float(str(figures["transfers_per_second"])))
                print(json.dumps({"run": f"{name}-{number}", **figures}), flush=True)
    twofold, faust = median(rates["twofold"]), median(rates["faust"])
    print(json.dumps({"twofold": twofold, "faust": faust, "ratio": round(twofold / faust, 1)}))


if __name__ == "__main__":
    main()
