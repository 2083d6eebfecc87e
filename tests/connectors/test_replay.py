"""A lost or damaged changelog: the worker halts and names the repair, the repair restores every row."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams import admin
from streams.settings import Settings
from streams.topics import ACCOUNTS_CHANGELOG, TRANSFERS_CHANGELOG
from tests.harness.live import HALTED, PATIENCE_SECONDS, LiveLedger, assert_invariants

pytestmark = pytest.mark.stack

ACCOUNTS = 40
INTENTS = 600


@pytest.fixture
def settings(kafka: str, registry: str, fresh_database: Callable[[], str], unique: str, tmp_path: Path) -> Settings:
    """A ledger of its own with memory stores: what its changelogs lack, its workers lack."""
    return Settings(
        bootstrap_servers=kafka,
        registry_url=registry,
        postgres_dsn=fresh_database(),
        data_dir=tmp_path,
        topic_prefix=unique + ".",
        group=unique,
        partitions=2,
        store="memory",
    )


def twofold(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    env = {**settings.to_env(), "PATH": "/usr/bin:/bin"}
    return subprocess.run([sys.executable, "-m", "twofold", *words], env=env, capture_output=True, text=True)


def told(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What a command printed as JSON."""
    assert result.stdout, result.stderr
    answer: list[dict[str, Any]] = json.loads(result.stdout)
    return answer


def with_traffic(settings: Settings) -> LiveLedger:
    """A ledger with one worker and a sink that has settled some of everything, its worker stopped."""
    ledger = LiveLedger(settings, workers=1, others=("sink",))
    ledger.open_accounts(7, ACCOUNTS)
    ledger.send(ledger.traffic(7, INTENTS, ACCOUNTS))
    ledger.wait_until_drained()
    ledger.stop()
    return ledger


def delete_changelogs(settings: Settings) -> None:
    """Delete both changelogs and make them anew, empty."""
    client = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    names = [settings.topic(topic.name) for topic in (ACCOUNTS_CHANGELOG, TRANSFERS_CHANGELOG)]
    for answer in client.delete_topics(names).values():
        answer.result()
    until = time.monotonic() + PATIENCE_SECONDS
    while set(names) & set(client.list_topics(timeout=10).topics):
        assert time.monotonic() < until
        time.sleep(0.1)
    while True:
        try:
            admin.apply(settings)
            return
        except KafkaException:
            assert time.monotonic() < until
            time.sleep(0.2)


def test_a_deleted_changelog_halts_the_worker_and_the_repair_it_names_restores_every_row(settings: Settings) -> None:
    """Nothing is lost: inputs and journal say everything. Halt, restore, go on; the invariants hold after it."""
    ledger = with_traffic(settings)
    delete_changelogs(settings)
    ledger.start("worker-0")
    assert ledger._running["worker-0"].wait(PATIENCE_SECONDS) == HALTED
    assert "twofold replay tables --restore" in ledger.log("worker-0").read_text()
    ledger.stop()

    restored = twofold(settings, "replay", "tables", "--restore", "--json")
    assert restored.returncode == 0, restored.stderr
    assert all(each["restored"] and each["rows"] for each in told(restored))
    compared = twofold(settings, "replay", "tables", "--json")
    assert (compared.returncode, [each["differences"] for each in told(compared)]) == (0, [0, 0])

    for name in ("worker-0", "sink"):
        ledger.start(name)
    ledger.send(ledger.traffic(8, INTENTS, ACCOUNTS))
    ledger.wait_until_drained()
    assert_invariants(settings)
    ledger.stop()


def test_a_damaged_row_of_a_changelog_is_found_and_put_right(settings: Settings) -> None:
    """A row that was written past the ledger differs from what the inputs imply; only --restore writes."""
    ledger = with_traffic(settings)
    topic = settings.topic(ACCOUNTS_CHANGELOG.name)
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    producer.produce(topic, key=b"\x02nobody", value=b"not a row", partition=1)
    producer.flush()
    found = twofold(settings, "replay", "tables", "--json")
    assert (found.returncode, [each["differences"] for each in told(found)]) == (1, [0, 1])
    restored = twofold(settings, "replay", "tables", "--restore", "--partition", "1", "--json")
    assert restored.returncode == 0, restored.stderr
    assert twofold(settings, "replay", "tables").returncode == 0
    ledger.stop()


def test_a_running_worker_forbids_a_restore_and_forgetting_offsets(settings: Settings) -> None:
    """Two writers of one changelog would undo each other."""
    with LiveLedger(settings, workers=1, others=("sink",)) as ledger:
        ledger.open_accounts(7, ACCOUNTS)
        for words in (("replay", "tables", "--restore"), ("offsets", "forget")):
            refused = twofold(settings, *words)
            assert refused.returncode == 1
            assert "stop them all first" in refused.stderr
        ledger.stop()
    until = time.monotonic() + PATIENCE_SECONDS
    while (forgotten := twofold(settings, "offsets", "forget")).returncode != 0:
        assert time.monotonic() < until, forgotten.stderr
        time.sleep(0.5)
    ledger.start("worker-0")
    ledger.start("sink")
    ledger.send(ledger.traffic(9, 50, ACCOUNTS))
    ledger.wait_until_drained()
    assert_invariants(settings)
    ledger.stop()
