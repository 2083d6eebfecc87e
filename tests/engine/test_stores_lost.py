"""Stores, offsets and changelogs that are gone, damaged or old."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition

from streams.engine.identity import Stamp
from streams.engine.store.disk import DiskStore
from tests.engine.lab import Lab

pytestmark = pytest.mark.stack

HALTED = 3
DAY_MS = 86_400_000


def settled(lab: Lab, count: int = 60, *, kill: bool = False) -> list[Path]:
    """Given a ledger that has settled intents and stopped (or was killed); returns its stores."""
    lab.send(count)
    worker = lab.start().wait_ready()
    lab.wait_settled()
    if kill:
        worker.kill()
    else:
        assert worker.stop() == 0
    return [lab.folder / "stores-0" / str(number) for number in range(lab.partitions)]


def goes_on(lab: Lab) -> str:
    """Started again, it settles more, and nothing was lost or repeated. Returns the worker's log."""
    lab.send(20)
    worker = lab.start().wait_ready()
    lab.wait_settled()
    lab.check()
    assert worker.stop() == 0
    return worker.log


def test_a_deleted_store_is_restored(lab: Lab) -> None:
    """A store is a cache of Kafka."""
    for store in settled(lab):
        shutil.rmtree(store)
    goes_on(lab)


@pytest.mark.parametrize("suffix", [".log", ".sst", "MANIFEST"])
def test_a_truncated_store_is_restored(lab: Lab, suffix: str) -> None:
    """Files cut short: RocksDB refuses them or gives an earlier past; either way the changelog has the rest."""
    cut = 0
    # Only a store that was not closed has rows in its write-ahead log.
    for store in settled(lab, kill=suffix == ".log"):
        for file in store.iterdir():
            if suffix in file.name and file.stat().st_size:
                with file.open("r+b") as stream:
                    stream.truncate(file.stat().st_size // 2)
                cut += 1
    assert cut
    goes_on(lab)


def test_a_store_brought_back_after_three_days_does_not_revive_deleted_rows(lab: Lab) -> None:
    """Older than half of delete.retention.ms: deletions may be gone from the changelog, so the store is wiped."""
    for folder in settled(lab):
        store = DiskStore(folder)
        stamp = Stamp.decode(store.stamp() or b"")
        old = stamp._replace(time_ms=int(time.time() * 1000) - 3 * DAY_MS)
        # A row that was deleted meanwhile and whose tombstone is compacted away.
        store.apply([(b"\x01ghost", (99).to_bytes(8, "big"))], old.encode())
        store.close()
    log = goes_on(lab)
    assert "wiped and restored from nothing" in log
    for folder in [lab.folder / "stores-0" / str(number) for number in range(lab.partitions)]:
        store = DiskStore(folder)
        assert store.get(b"\x01ghost") is None
        store.close()


def test_deleted_group_offsets_change_nothing(lab: Lab) -> None:
    """Input positions are state: without any committed offsets the worker goes on from its tables."""
    settled(lab)
    assert lab.committed_offsets()
    lab.delete_offsets()
    assert not lab.committed_offsets()
    goes_on(lab)


def test_offsets_that_differ_from_the_positions_halt(lab: Lab) -> None:
    """Someone reset the group's offsets: to follow them would repeat or skip; the halt names the repair."""
    settled(lab)
    topology = lab.toy.topology
    moved = [TopicPartition(topology.intents, number, 1) for number in range(lab.partitions)]
    request = ConsumerGroupTopicPartitions(topology.group, moved)
    for future in lab.admin.alter_consumer_group_offsets([request]).values():
        future.result()
    worker = lab.start()
    assert worker.wait_exit() == HALTED
    assert "twofold offsets forget" in worker.log


@pytest.mark.parametrize("offsets", ["with", "without"])
def test_a_lost_changelog_does_not_decide_everything_twice(lab: Lab, offsets: str) -> None:
    """Only an empty journal may start with empty tables: the changelog deleted, with its offsets or without."""
    settled(lab)
    before = lab.journal()
    lab.delete_topics(lab.toy.topology.changelogs)
    lab.create_topics(lab.toy.topology.changelogs)
    if offsets == "without":
        lab.delete_offsets()
    worker = lab.start()
    assert worker.wait_exit() == HALTED
    assert "twofold replay tables --restore --partition" in worker.log
    assert lab.journal() == before


def test_a_journal_that_ends_in_aborted_records_is_looked_at_further_back(lab: Lab) -> None:
    """The last committed record may lie far behind the end: the partition is neither taken for empty nor halted."""
    settled(lab)
    times = {"transaction.timeout.ms": 10_000, "linger.ms": 0}
    producer = Producer({"bootstrap.servers": lab.bootstrap, "transactional.id": lab.prefix, **times})
    producer.init_transactions(30)
    producer.begin_transaction()
    for _ in range(1_000):
        producer.produce(lab.toy.topology.journal, b"never happened", None, 0)
    producer.flush(30)
    producer.abort_transaction(30)
    goes_on(lab)


def test_a_missing_topic_halts_by_name(lab: Lab) -> None:
    """Nothing is created on the way: with other settings it would lose records later."""
    lab.delete_topics([lab.toy.topology.journal])
    worker = lab.start()
    assert worker.wait_exit() == HALTED
    assert "twofold topics apply" in worker.log
