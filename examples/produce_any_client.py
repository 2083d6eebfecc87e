"""Pay with a stock Kafka client and the registry's serializer: nothing here is Twofold's own code.

python examples/produce_any_client.py   prints the partition and the offset that the intent was written to
"""

import os

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

TOPIC = "payment-intents"
PAYER = "alice"
TRANSFER = {"account": PAYER, "idempotency_key": "order-18", "payee": "shop", "amount": 7_50, "currency": "EUR"}


def acknowledged(error: KafkaError | None, message: Message) -> None:
    """Kafka's answer: where the intent is, by which the journal will name it."""
    if error:
        raise KafkaException(error)
    print(message.partition(), message.offset())


registry = SchemaRegistryClient({"url": os.environ["TWOFOLD_REGISTRY_URL"]})
serialize = AvroSerializer(
    registry,
    registry.get_latest_version(f"{TOPIC}-twofold.Transfer").schema,
    conf={
        "auto.register.schemas": False,
        "use.latest.version": True,
        "subject.name.strategy": topic_record_subject_name_strategy,
    },
)
producer = Producer(
    {
        "bootstrap.servers": os.environ["TWOFOLD_BOOTSTRAP_SERVERS"],
        "partitioner": "murmur2_random",  # librdkafka's own default is another: its intents are refused as misrouted
        "enable.idempotence": True,
    }
)
value = serialize(TRANSFER, SerializationContext(TOPIC, MessageField.VALUE))
producer.produce(TOPIC, key=PAYER.encode(), value=value, on_delivery=acknowledged)
producer.flush()
