"""How fast one worker process settles transfers through to the journal.

    python -m bench.throughput --transfers 200000 --accounts 10000

All intents are produced first, to accounts that are open; then one real worker process starts. The rate is that of
POSTED records (a transfer's third and last step) by their append times in the journal, between the first and the last.
CPU is that of the worker and of the broker over the same stretch.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from bench.cluster import Cluster, cluster, encoded, wait_for
from streams.ledger.intents import Intent, OpenAccount, Transfer
from streams.ledger.vocabulary import Outcome

STILL_S = 3.0
"""A journal that has not grown for so long is complete."""


def open_accounts(ledger: Cluster, accounts: int) -> list[str]:
    """Accounts of the outside world, opened: no transfer between them is ever refused."""
    names = [f"account-{n}" for n in range(accounts)]
    ledger.produce(encoded(ledger.codec, (OpenAccount(name, "open", "EUR", minimum_balance=None) for name in names)))
    with ledger.worker():
        wait_for(lambda: ledger.journal_end() >= accounts)
    return names


def intents(transfers: int, names: list[str], seed: int) -> Iterator[Intent]:
    """Transfers between any two of the accounts."""
    draw = random.Random(seed)
    for n in range(transfers):
        payer, payee = draw.sample(names, 2)
        yield Transfer(payer, f"t{n}", payee, draw.randint(1, 10_000), "EUR")


def produce_transfers(ledger: Cluster, transfers: int, accounts: int, seed: int = 1) -> None:
    """Open the accounts and put all transfers on the topic, with no worker running."""
    names = open_accounts(ledger, accounts)
    ledger.produce(encoded(ledger.codec, intents(transfers, names, seed)))


def run_worker(ledger: Cluster, transfers: int) -> dict[str, object]:
    """Run a worker until all is settled, and read the journal."""
    idle = ledger.journal_end()
    with ledger.worker() as worker:
        wait_for(lambda: ledger.journal_end() > idle)
        moving = list(_while_it_grows(ledger, worker, idle + 3 * transfers))
        times = _posted(ledger, transfers)
        memory = worker.memory_info().rss
    start, end = moving[0], moving[-1]
    seconds = (max(times) - min(times)) / 1000
    done = transfers * (end.journal - start.journal) / (end.journal - idle)
    return {
        "transfers": transfers,
        "seconds": round(seconds, 2),
        "transfers_per_second": round(transfers / seconds),
        "worker_cpu_us_per_transfer": round((end.worker - start.worker) / done * 1e6, 1),
        "broker_cpu_us_per_transfer": round((end.broker - start.broker) / done * 1e6, 1),
        "worker_memory_mib": memory >> 20,
    }


def measure(ledger: Cluster, transfers: int, accounts: int, seed: int) -> dict[str, object]:
    """Both, one after the other."""
    produce_transfers(ledger, transfers, accounts, seed)
    return run_worker(ledger, transfers)


class Sample(NamedTuple):
    """The journal's end and what CPU the processes have used, in seconds."""

    journal: int
    worker: float
    broker: float


def _while_it_grows(ledger: Cluster, worker: psutil.Process, expected: int) -> Iterator[Sample]:
    """Samples for as long as the journal's end moves."""
    end, moved = 0, time.monotonic()
    while end < expected or time.monotonic() < moved + STILL_S:
        sample = Sample(ledger.journal_end(), _cpu(worker), _cpu(ledger.broker))
        if sample.journal > end:
            yield sample
            end, moved = sample.journal, time.monotonic()
        time.sleep(0.2)


def _cpu(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


def _posted(ledger: Cluster, expected: int) -> list[int]:
    """Append times of all POSTED records, in milliseconds."""
    reader = ledger.journal_reader()
    times: list[int] = []
    while len(times) < expected:
        for message in reader.consume(10_000, 1.0):
            if ledger.codec.decode_journal(message.value() or b"").outcome is Outcome.POSTED:
                times.append(message.timestamp()[1])
    reader.close()
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transfers", type=int, default=200_000)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--batch-records", type=int, default=8_000)
    parser.add_argument("--store", choices=("disk", "memory"), default="disk")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with cluster(given.partitions, batch_records=given.batch_records, store=given.store) as ledger:
        print(json.dumps(measure(ledger, given.transfers, given.accounts, given.seed), indent=2))


if __name__ == "__main__":
    main()
