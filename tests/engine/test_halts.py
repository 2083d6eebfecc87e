"""What stops a queue, a partition or a worker on a real Kafka, and what goes on beside it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka.admin import NewPartitions

from infra.stack import Services
from tests.engine.lab import Lab, wait_until

pytestmark = pytest.mark.stack

HALTED = 3
FENCED = 4


def test_a_poison_record_does_not_stop_the_others(lab: Lab) -> None:
    """An exception of the handler: abort, isolate by splitting, halt that queue; all others go on."""
    lab.send(10, partition=0)
    lab.send(1, b"poison after writing", partition=0)
    lab.send(5, partition=0)
    lab.send(20, partition=1)
    worker = lab.start().wait_ready()
    # 10 + 20 intents and their legs: what is behind the poison waits, the partition's legs go on.
    lab.wait_settled(60)
    assert len(lab.journal()) == 60
    assert f"HALTED {lab.toy.topology.intents} partition 0 at offset 10" in worker.log
    assert lab.committed_offsets()[(lab.toy.topology.intents, 0)] == 10


def test_a_leg_that_cannot_be_applied_halts_its_queue_and_not_the_intents(lab: Lab) -> None:
    """Others' money is in a leg: its queue waits at (offset, sub-record), across a restart, until it can be applied."""
    lab.send_legs(0, b":x bad y", b":z")
    lab.send(10, b"no leg", partition=0)
    worker = lab.start().wait_ready()
    lab.wait_settled(11)
    assert worker.stop() == 0
    worker = lab.start().wait_ready()
    halt = f"HALTED {lab.toy.topology.legs} partition 0 at offset 0, sub-record 1"
    wait_until(lambda: halt in worker.log, "the halt")
    assert len(lab.journal()) == 11
    assert worker.stop() == 0
    lab.start(away=True)
    lab.wait_settled(14)
    assert lab.changelog_counters(0)["from-bad"] == 1
    assert lab.changelog_counters(0)["from-x"] == 1


def test_a_record_without_the_brokers_append_time_halts_the_worker(new_lab: Callable[..., Lab]) -> None:
    """A record dated by its producer could be 40 days old, and retention would delete live keys."""
    lab = new_lab(config={"message.timestamp.type": "CreateTime"})
    lab.send(1)
    worker = lab.start()
    assert worker.wait_exit() == HALTED
    assert "LogAppendTime" in worker.log


def test_partitions_that_were_added_do_not_move_accounts(lab: Lab) -> None:
    """The partition count is stored with the tables: with another one, accounts would be looked for elsewhere."""
    lab.send(10)
    worker = lab.start().wait_ready()
    lab.wait_settled()
    assert worker.stop() == 0
    for future in lab.admin.create_partitions([NewPartitions(t, 3) for t in lab.toy.topology.topics]).values():
        future.result()
    worker = lab.start()
    assert worker.wait_exit() == HALTED
    assert "the topics had 2 partitions and now have 3" in worker.log
    assert len(lab.journal()) == 20
    # A partition that is new has no tables that remember: the worker's setting does.
    lab.partitions = 3
    worker = lab.start(expected_partitions=2)
    assert worker.wait_exit() == HALTED
    assert "must have 2 partitions" in worker.log


def test_different_partition_counts_halt_at_the_start(lab: Lab) -> None:
    """Inputs, journal and changelogs are co-partitioned, or nothing is where it is looked for."""
    for future in lab.admin.create_partitions([NewPartitions(lab.toy.topology.legs, 3)]).values():
        future.result()
    worker = lab.start()
    assert worker.wait_exit() == HALTED
    assert "must have the same number of partitions" in worker.log


def test_an_input_topic_created_anew_is_not_taken_for_the_old_one(lab: Lab) -> None:
    """Kafka's topic ids are kept with the positions: the same name with other records halts."""
    lab.send(10)
    worker = lab.start().wait_ready()
    lab.wait_settled()
    assert worker.stop() == 0
    lab.delete_topics([lab.toy.topology.intents])
    lab.create_topics([lab.toy.topology.intents])
    lab.delete_offsets()
    worker = lab.start()
    assert worker.wait_exit() == HALTED
    assert "is not the one these tables were made from" in worker.log


def test_a_call_that_hangs_while_the_coordinator_is_away_ends_the_worker(lab: Lab, services: Services) -> None:
    """send_offsets_to_transaction ignores its timeout while the coordinator is away: the deadline guard does not."""
    lab.send(20)
    worker = lab.start(point="produced", nth=1, action="wait", transaction_timeout_ms=2_000, deadline_seconds=3.0)
    wait_until(worker.signal_file.exists, "a batch to be produced")
    services.pause("kafka")
    try:
        worker.signal_file.unlink()
        assert worker.wait_exit() == FENCED
    finally:
        services.resume("kafka")
    lab.start().wait_ready()
    lab.wait_settled()
    lab.check()
