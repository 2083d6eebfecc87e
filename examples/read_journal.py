"""Read the ledger's journal with a stock Kafka client: nothing here is Twofold's own code.

python examples/read_journal.py        every decision ever made, then each new one; Ctrl-C ends it
python examples/read_journal.py 3 17   what became of the intent that Kafka acknowledged in partition 3 at offset 17
"""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

FINAL = {"POSTED", "COMPENSATED", "REJECTED", "APPLIED", "DUPLICATE", "DEAD_LETTERED"}
Record = dict[str, Any]


def journal(partitions: Iterable[int] = ()) -> Iterator[Record]:
    """The decisions in these partitions of the journal (none given: in all), in the order they were made."""
    decode = AvroDeserializer(SchemaRegistryClient({"url": os.environ["TWOFOLD_REGISTRY_URL"]}))
    settings = {"group.id": "read-journal", "isolation.level": "read_committed", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": os.environ["TWOFOLD_BOOTSTRAP_SERVERS"], **settings})
    found = partitions or consumer.list_topics("journal", timeout=10).topics["journal"].partitions
    consumer.assign([TopicPartition("journal", partition, OFFSET_BEGINNING) for partition in found])
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            yield decode(message.value(), None)
    finally:
        consumer.close()


def decisions(partition: int, offset: int) -> Iterator[Record]:
    """The payer's decisions on one intent, the final one last. They stand in the intent's own partition."""
    asked = {"topic": "INTENTS", "partition": partition, "offset": offset, "leg": 0}
    first: Record | None = None
    for record in journal([partition]):
        if record["input"] == asked:
            first = record
        elif not first or (record["transfer"], record["pending"]) != (first["transfer"], first["sequence"]):
            continue
        yield record
        if record["outcome"] in FINAL:
            return


def shown(record: Record) -> str:
    """A decision as one line."""
    words = (record[name] for name in ("kind", "outcome", "account", "counterparty", "amount", "currency", "reason"))
    return " ".join(str(word) for word in words if word is not None)


if __name__ == "__main__":
    try:
        for one in decisions(*map(int, sys.argv[1:])) if sys.argv[1:] else journal():
            print(shown(one), flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
