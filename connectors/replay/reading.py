"""One partition of a topic, read in order from its start to the end that it had when the reading began."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.record import Record

ANSWER_SECONDS = 30.0
AT_ONCE = 5_000


class ReplayError(Exception):
    """The topics do not tell one story, or cannot be read; the message says where and what to do."""


def read_partition(bootstrap_servers: str, topic: str, partition: int) -> Iterator[Record]:
    """The committed records, in offset order. Raises ReplayError when Kafka cannot be read."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "twofold-replay",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
        }
    )
    where = TopicPartition(topic, partition)
    try:
        low, end = consumer.get_watermark_offsets(where, timeout=ANSWER_SECONDS)
        consumer.assign([TopicPartition(topic, partition, low)])
        yield from _until(consumer, end)
    except KafkaException as error:
        raise ReplayError(f"cannot read {topic} partition {partition}: {error}") from None
    finally:
        consumer.close()


def _until(consumer: Consumer, end: int) -> Iterator[Record]:
    """End of partition is only told after the last record or control record, so it is what the loop waits for."""
    while True:
        for message in consumer.consume(AT_ONCE, 1.0):
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return
                raise KafkaException(error)
            offset = message.offset()
            assert offset is not None
            if offset >= end:
                return
            yield _record(message.topic() or "", message.partition() or 0, offset, message)


def _record(topic: str, partition: int, offset: int, message: object) -> Record:
    kind, timestamp = message.timestamp()  # type: ignore[attr-defined]
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        raise ReplayError(f"{topic} partition {partition} offset {offset} has no append time; no worker took it either")
    return Record(topic, partition, offset, timestamp, message.key(), message.value())  # type: ignore[attr-defined]
