"""Garbage collection of expired rows."""

from __future__ import annotations

from streams.engine.driver import TestDriver
from streams.engine.sweep import Sweeper
from tests.engine.toy import Toy, counters


def test_expired_rows_go_without_tombstones_and_nobody_can_tell() -> None:
    """A row's absolute expiry is in the row; a sweep removes it from the store alone, and the rest stays."""
    toy = Toy()
    driver = TestDriver(toy.topology)
    for n in range(10):
        driver.now_ms += 1
        driver.send(toy.topology.intents, b"k%d" % n, b"no leg")
    driver.run()
    partition = driver.processor.partitions[0]
    written = len(driver.records(toy.topology.changelogs[1]))
    notes = partition.tables.table("notes")
    assert len(dict(notes.items())) == 10
    sweeper = Sweeper(partition)
    # The toy's notes expire when they are written, so all of them have expired; three at a time.
    removed = [sweeper.sweep(3) for _ in range(5)]
    assert removed == [3, 3, 3, 1, 0]
    assert dict(notes.items()) == {}
    assert notes.get("k1") is None
    assert len(driver.records(toy.topology.changelogs[1])) == written
    assert counters(partition.tables) == {f"k{n}": 1 for n in range(10)}


def test_rows_that_have_not_expired_stay() -> None:
    """The partition's time is that of its intents, never this machine's clock."""
    toy = Toy()
    driver = TestDriver(toy.topology)
    driver.send(toy.topology.intents, b"k", b"no leg")
    driver.run()
    partition = driver.processor.partitions[0]
    partition.positions = partition.positions._replace(time_ms=partition.positions.time_ms - 1)
    assert Sweeper(partition).sweep(100) == 0
    assert partition.tables.table("notes").get("k") is not None
