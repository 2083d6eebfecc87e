"""How long from producing an intent until its SETTLED record is visible to a read_committed consumer.

    python -m bench.latency --rate 100 --seconds 30

One worker process; payer and payee always live in different partitions, so every transfer crosses the legs topic.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time

from confluent_kafka import Producer

from bench.cluster import Cluster, cluster, encoded, wait_for
from streams.engine.partitioner import partition_of
from streams.ledger.ids import transfer_id
from streams.ledger.intents import OpenAccount, Transfer
from streams.ledger.vocabulary import Outcome
from streams.topics import INTENTS

WARM_UP = 200
"""Transfers that are sent first and not counted."""


class Sender(threading.Thread):
    """Sends transfers at a steady rate, each flushed on its own, and notes when."""

    def __init__(self, ledger: Cluster, pairs: list[tuple[str, str]], count: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.sent: dict[bytes, float] = {}
        self._ledger = ledger
        self._pairs = pairs
        self._count = count
        self._rate = rate

    def run(self) -> None:
        """Send."""
        settings = self._ledger.settings
        servers = settings.bootstrap_servers
        producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random", "linger.ms": 0})
        began = time.perf_counter()
        for n in range(self._count):
            payer, payee = self._pairs[n % len(self._pairs)]
            value = self._ledger.codec.encode_intent(Transfer(payer, f"t{n}", payee, 1, "EUR"))
            time.sleep(max(0.0, began + n / self._rate - time.perf_counter()))
            self.sent[transfer_id(payer, f"t{n}")] = time.perf_counter()
            producer.produce(settings.topic(INTENTS.name), value, payer.encode())
            producer.poll(0)
        producer.flush()


def pairs(ledger: Cluster, count: int) -> list[tuple[str, str]]:
    """Pairs of accounts in different partitions."""
    found = []
    for n in range(count):
        payer = f"payer-{n}"
        others = (f"payee-{n}-{m}" for m in range(1000))
        here = partition_of(payer.encode(), ledger.settings.partitions)
        found.append((payer, next(o for o in others if partition_of(o.encode(), ledger.settings.partitions) != here)))
    return found


def measure(ledger: Cluster, rate: float, seconds: float) -> dict[str, object]:
    """Send, and match what the journal shows with what was sent."""
    accounts = pairs(ledger, 100)
    opens = [OpenAccount(name, "open", "EUR", minimum_balance=None) for pair in accounts for name in pair]
    count = WARM_UP + int(rate * seconds)
    with ledger.worker():
        ledger.produce(encoded(ledger.codec, opens))
        wait_for(lambda: ledger.journal_end() >= len(opens))
        reader = ledger.journal_reader()
        sender = Sender(ledger, accounts, count, rate)
        sender.start()
        seen: dict[bytes, float] = {}
        while len(seen) < count:
            message = reader.poll(1.0)
            if message is None:
                continue
            now, record = time.perf_counter(), ledger.codec.decode_journal(message.value() or b"")
            if record.outcome is Outcome.SETTLED and record.transfer is not None:
                seen[record.transfer] = now
        reader.close()
    latencies = [(seen[id_] - sent) * 1000 for id_, sent in list(sender.sent.items())[WARM_UP:]]
    cuts = statistics.quantiles(latencies, n=1000)
    return {
        "transfers": len(latencies),
        "p50_ms": round(cuts[499], 1),
        "p99_ms": round(cuts[989], 1),
        "max_ms": round(max(latencies), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100, help="intents per second")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--partitions", type=int, default=8)
    given = parser.parse_args()
    with cluster(given.partitions) as ledger:
        print(json.dumps(measure(ledger, given.rate, given.seconds), indent=2))


if __name__ == "__main__":
    main()
