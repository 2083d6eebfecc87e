"""The batch protocol in the test driver: no broker, the engine's own code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.engine.driver import Crashed, TestDriver
from streams.engine.errors import Fenced, Halted
from streams.engine.record import Queue
from tests.engine.toy import Toy, check_journal, counters

TOY = Toy()
INTENTS, LEGS, JOURNAL = TOY.topology.intents, TOY.topology.legs, TOY.topology.journal


def driver_of(partitions: int = 1, batch_records: int = 4000) -> tuple[Toy, TestDriver]:
    toy = Toy(partitions=partitions)
    return toy, TestDriver(toy.topology, partitions, batch_records)


def check(driver: TestDriver) -> None:
    """Nothing lost or repeated, and the tables are what a restore from nothing gives."""
    for number in range(driver.identity.partitions):
        check_journal([record.value for record in driver.records(JOURNAL, number)])
    live = [counters(driver.tables(number)) for number in range(driver.identity.partitions)]
    driver.restart(wipe=True)
    assert [counters(driver.tables(number)) for number in range(driver.identity.partitions)] == live


@pytest.mark.parametrize("point", ["produced", "offsets_sent", "committed", "store_written"])
@pytest.mark.parametrize("wipe", [False, True])
def test_a_crash_at_any_point_neither_loses_nor_repeats_a_record(point: str, wipe: bool) -> None:
    """The store is never ahead of Kafka: a batch happens once, whether the worker dies before or after its commit."""
    _, driver = driver_of(partitions=2, batch_records=3)
    for i in range(10):
        driver.send(INTENTS, b"k%d" % (i % 3), b"add")
    driver.run(batches=1)
    driver.crash_at(point)
    with pytest.raises(Crashed):
        driver.run()
    driver.restart(wipe=wipe)
    driver.run()
    entries = [record for record in driver.records(JOURNAL)]
    assert len(entries) == 20
    check(driver)


def test_a_poison_record_is_isolated_and_halts_its_queue_alone() -> None:
    """An exception of the handler is a bug: abort, split, halt that queue before the record; all others go on."""
    _, driver = driver_of(partitions=2)
    for i in range(9):
        driver.send(INTENTS, b"a", b"add" if i != 4 else b"poison after writing", partition=0)
        driver.send(INTENTS, b"b", b"add", partition=1)
    driver.run()
    assert counters(driver.tables(0)) == {"a": 4, "from-b": 9}
    assert counters(driver.tables(1)) == {"b": 9, "from-a": 4}
    assert list(driver.metrics.halts) == [Queue(INTENTS, 0)]
    assert driver.offsets[Queue(INTENTS, 0)] == 4
    check(driver)


def test_a_halted_leg_queue_keeps_its_sub_records_position_and_its_partitions_intents_go_on() -> None:
    """A leg that cannot be applied halts its queue at (offset, index); a retry goes on from there."""
    toy, driver = driver_of()
    driver.send(LEGS, None, b":x y bad z", partition=0)
    driver.send(LEGS, None, b":x", partition=0)
    driver.send(INTENTS, b"a", b"no leg", partition=0)
    driver.run()
    assert counters(driver.tables(0)) == {"from-x": 1, "from-y": 1, "a": 1}
    assert driver.offsets[Queue(LEGS, 0)] == 0
    driver.restart(wipe=True)
    driver.run()
    assert counters(driver.tables(0)) == {"from-x": 1, "from-y": 1, "a": 1}
    toy.away = True
    driver.send(INTENTS, b"a", b"retry", partition=0)
    driver.run()
    assert counters(driver.tables(0))["from-z"] == 1
    assert counters(driver.tables(0))["from-x"] == 2
    check(driver)


def test_something_away_pauses_one_queue_and_is_no_halt() -> None:
    """A registry that is away delays the partition that needs it; when it is back, the records are processed."""
    toy, driver = driver_of(partitions=2)
    toy.away = True
    driver.send(INTENTS, b"a", b"away", partition=0)
    driver.send(INTENTS, b"b", b"add", partition=1)
    driver.run()
    assert not driver.metrics.halts
    assert driver.records(JOURNAL, 1)
    toy.away = False
    driver.now_ms += 10_000
    driver.run()
    assert counters(driver.tables(0))["a"] == 1
    check(driver)


def test_an_aborted_transaction_is_repeated_whole() -> None:
    """Abort before the commit: drop the overlay, rewind, try again."""
    _, driver = driver_of()
    driver.send(INTENTS, b"a", b"add")
    driver.abort_next()
    driver.run()
    assert not driver.records(JOURNAL)
    driver.now_ms += 1_000
    driver.run()
    assert counters(driver.tables(0)) == {"a": 1, "from-a": 1}
    check(driver)


def test_a_record_hours_ahead_pauses_its_queue_until_the_clock_gets_there() -> None:
    """An append time over two hours ahead is a delay with an alert, not a decision; legs' times do not matter."""
    _, driver = driver_of()
    driver.send(INTENTS, b"a", b"add")
    driver.send(INTENTS, b"a", b"add", timestamp_ms=driver.now_ms + 3 * 3_600_000)
    driver.send(LEGS, None, b":x", partition=0, timestamp_ms=driver.now_ms + 30 * 3_600_000)
    driver.run()
    assert counters(driver.tables(0)) == {"a": 1, "from-a": 1, "from-x": 1}
    driver.now_ms += 3_600_001
    driver.run()
    assert counters(driver.tables(0))["a"] == 2


def test_a_halt_of_the_worker_passes_through() -> None:
    """What the handler cannot do at all (a rules version it lacks) is not isolated: it ends the worker."""
    _, driver = driver_of()
    driver.send(INTENTS, b"a", b"halt the worker")
    with pytest.raises(Halted, match="upgrade this worker"):
        driver.run()
    assert not driver.records(JOURNAL)


def test_a_lost_changelog_does_not_decide_everything_twice() -> None:
    """Only an empty journal may start with empty tables; the halt names the repair."""
    _, driver = driver_of()
    driver.send(INTENTS, b"a", b"add")
    driver.run()
    for changelog in driver.topology.changelogs:
        driver.logs[Queue(changelog, 0)].clear()
    driver.offsets.clear()
    with pytest.raises(Halted, match="twofold replay tables --restore --partition 0"):
        driver.restart(wipe=True)


def test_deleted_group_offsets_change_nothing_and_different_ones_halt() -> None:
    """Input positions are state; the group's offsets only fence."""
    _, driver = driver_of()
    driver.send(INTENTS, b"a", b"add")
    driver.run()
    driver.offsets.clear()
    driver.restart(wipe=True)
    driver.send(INTENTS, b"a", b"add")
    driver.run()
    assert counters(driver.tables(0))["a"] == 2
    driver.offsets[Queue(INTENTS, 0)] = 1
    with pytest.raises(Halted, match="committed offset"):
        driver.restart()


def test_a_rebalance_between_batches_changes_nothing() -> None:
    """Revoked drops what was consumed; assigned restores."""
    _, driver = driver_of(partitions=2, batch_records=2)
    for i in range(10):
        driver.send(INTENTS, b"k%d" % i, b"add")
        driver.run(batches=1)
        driver.rebalance()
    driver.run()
    assert len(driver.records(JOURNAL)) == 20
    check(driver)


@pytest.mark.parametrize("failing", ["hook", "store"])
def test_a_failure_after_the_commit_never_repeats_the_batch(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a commit was asked for, only repeat it or exit: what fails behind it ends the worker, which restores."""
    toy = Toy()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    topology = replace(toy.topology, on_committed=fail) if failing == "hook" else toy.topology
    driver = TestDriver(topology)
    if failing == "store":
        monkeypatch.setattr(driver.tables(0).store, "apply", fail)
    driver.send(INTENTS, b"a", b"no leg")
    with pytest.raises(Fenced, match="after a commit"):
        driver.run()
    assert len(driver.records(JOURNAL)) == 1
    monkeypatch.undo()
    driver.topology = toy.topology
    driver.restart()
    driver.run()
    assert counters(driver.tables(0)) == {"a": 1}
    check(driver)
