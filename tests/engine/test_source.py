"""The two consumers on a real Kafka."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from streams.engine.config import EngineConfig
from streams.engine.positions import Place
from streams.engine.record import Queue, Record
from streams.engine.source import Assigned, KafkaSource
from tests.engine.lab import Lab, wait_until

pytestmark = pytest.mark.stack

BOUND = 5
TIMES = {"transaction.timeout.ms": 10_000, "linger.ms": 0}


@pytest.fixture
def source(lab: Lab) -> Iterator[KafkaSource]:
    """A source that has joined its group and was given both partitions."""
    config = EngineConfig(lab.bootstrap, batch_records=50, legs_bound=BOUND, session_timeout_ms=3_000)
    made = KafkaSource(config, lab.toy.topology, lab.partitions)
    made.subscribe()
    join(made)
    yield made
    made.close()


def join(source: KafkaSource) -> None:
    """Until partitions are assigned."""

    def assigned() -> bool:
        source.poll()
        return any(isinstance(event, Assigned) for event in source.take_events())

    wait_until(assigned, "the assignment")


def read(source: KafkaSource, records: list[Record], count: int) -> None:
    """Poll until that many have come."""

    def enough() -> bool:
        records.extend(source.poll())
        return len(records) >= count

    wait_until(enough, f"{count} records")


def place_all(lab: Lab, source: KafkaSource) -> None:
    topics = (lab.toy.topology.intents, lab.toy.topology.legs)
    source.place({Queue(topic, number): Place(0) for topic in topics for number in range(lab.partitions)})


def test_intents_wait_while_their_own_partitions_legs_pile_up(lab: Lab, source: KafkaSource) -> None:
    """Money on its way goes first: a partition with unread legs beyond the bound reads no intents; others do."""
    lab.send_legs(0, *[b":" + b"x" * 600] * 40)
    lab.send(30, partition=0)
    lab.send(30, partition=1)
    place_all(lab, source)
    batches: list[list[Record]] = []

    def all_read() -> bool:
        records = source.poll()
        batches.append(records)
        return sum(map(len, batches)) >= 100

    wait_until(all_read, "all records")
    read_legs = 0
    held = 0
    for records in batches:
        legs = [r for r in records if r.topic == lab.toy.topology.legs]
        own = [r for r in records if r.topic == lab.toy.topology.intents and r.partition == 0]
        read_legs += len(legs)
        if 0 < read_legs < 40 - BOUND - 16:
            # The watermark is known with the first leg; a chunk of legs is read before the bound is looked at.
            held += 1
            assert not own, f"intents were read with {40 - read_legs} legs unread"
    assert held, "the legs came in one batch: nothing was tested"


def test_intents_are_not_read_far_ahead(lab: Lab) -> None:
    """Two batches at the most wait inside the client: what was read early is settled late."""
    batch = 50
    fetched: list[int] = []

    def on_statistics(text: str) -> None:
        topics = json.loads(text)["topics"].values()
        fetched.append(sum(p["fetchq_cnt"] for topic in topics for p in topic["partitions"].values()))

    client: Any = {"statistics.interval.ms": 100, "stats_cb": on_statistics}
    config = EngineConfig(lab.bootstrap, batch_records=batch, session_timeout_ms=3_000, client=client)
    source = KafkaSource(config, lab.toy.topology, lab.partitions)
    for _ in range(100):
        # A fetch brings whole produce requests: these are smaller than one.
        lab.send(10, b"x" * 120)
    source.subscribe()
    join(source)
    place_all(lab, source)
    read = 0

    def half_is_read() -> bool:
        nonlocal read
        read += len(source.poll())
        time.sleep(0.1)
        return read >= 500

    wait_until(half_is_read, "half of the intents")
    source.close()
    assert max(fetched) > 0
    assert max(fetched) <= 2 * batch


def test_legs_come_before_intents_and_each_queue_in_order(lab: Lab, source: KafkaSource) -> None:
    """A batch begins with the legs of all partitions; per topic and partition offsets rise."""
    lab.send(20)
    lab.send_legs(0, *[b":x"] * 5)
    lab.send_legs(1, *[b":x"] * 5)
    place_all(lab, source)
    records: list[Record] = []

    def all_read() -> bool:
        batch = source.poll()
        kinds = [record.topic == lab.toy.topology.intents for record in batch]
        assert kinds == sorted(kinds)
        records.extend(batch)
        return len(records) >= 30

    wait_until(all_read, "all records")
    for queue in {record.queue for record in records}:
        offsets = [record.offset for record in records if record.queue == queue]
        assert offsets == list(range(len(offsets)))


def test_a_place_that_was_left_is_read_again(lab: Lab, source: KafkaSource) -> None:
    """Rewinding drops what was fetched: the same records come again, from the place given."""
    lab.send(10, partition=0)
    for start in (0, 4, 9):
        source.place({Queue(lab.toy.topology.intents, 0): Place(start)})
        records: list[Record] = []
        read(source, records, 10 - start)
        assert [record.offset for record in records] == list(range(start, 10))


def test_unread_legs_do_not_count_what_was_aborted(lab: Lab, source: KafkaSource) -> None:
    """What ends the log and is never delivered, control records and aborted ones, must not hold intents back."""
    producer = Producer({"bootstrap.servers": lab.bootstrap, "transactional.id": lab.prefix, **TIMES})
    producer.init_transactions(30)
    producer.begin_transaction()
    for _ in range(50):
        producer.produce(lab.toy.topology.legs, b":x", None, 0)
    producer.flush(30)
    producer.abort_transaction(30)
    lab.send(5, partition=0)
    place_all(lab, source)
    records: list[Record] = []
    read(source, records, 5)
    assert {record.topic for record in records} == {lab.toy.topology.intents}
