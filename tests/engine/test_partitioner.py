"""Every client agrees on an account's partition."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.partitioner import murmur2, partition_of
from tests.engine.lab import read_log


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, signed: int) -> None:
    """The vectors of Kafka's own UtilsTest.testMurmur2."""
    assert murmur2(data) == signed & 0xFFFFFFFF


@given(st.binary(max_size=100), st.integers(1, 1000))
def test_a_partition_exists(key: bytes, count: int) -> None:
    """Never negative, never beyond the last."""
    assert 0 <= partition_of(key, count) < count


@pytest.mark.stack
def test_librdkafkas_murmur2_producer_agrees(kafka: str, unique: str) -> None:
    """`partitioner=murmur2_random` puts a key where `partition_of` looks for it."""
    admin = AdminClient({"bootstrap.servers": kafka})
    (future,) = admin.create_topics([NewTopic(unique, 5)]).values()
    future.result()
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    keys = [b"account-%d" % n for n in range(200)]
    for key in keys:
        producer.produce(unique, b"", key)
    assert producer.flush(30) == 0
    for partition in range(5):
        found = [key for _, key, _ in read_log(kafka, unique, partition, "read_committed")]
        assert found == [key for key in keys if partition_of(key, 5) == partition]
