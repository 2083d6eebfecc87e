"""Intents to bytes with the registry's own serializer: confluent-kafka's AvroSerializer, one a record type.

Any producer in any language does the same: serializer of the registry, subject name strategy TopicRecordName, no
automatic registration (``twofold schemas apply`` registers).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.catalogue import subject, text
from schemas.errors import NotRegistered, RegistryAway
from streams.ledger.intents import Intent

Serializer = Callable[[Intent], bytes]
NOT_FOUND = 404


def registry_serializer(registry_url: str, topic: str) -> Serializer:
    """A serializer of intents for one topic. Raises NotRegistered, RegistryAway."""
    client = SchemaRegistryClient({"url": registry_url})
    context = SerializationContext(topic, MessageField.VALUE)
    serializers: dict[str, AvroSerializer] = {}

    def serializer(record: str) -> AvroSerializer:
        if record not in serializers:
            serializers[record] = AvroSerializer(
                client,
                text(record),
                to_dict=lambda intent, _: as_avro(intent),
                conf={"auto.register.schemas": False, "subject.name.strategy": topic_record_subject_name_strategy},
            )
        return serializers[record]

    def serialize(intent: Intent) -> bytes:
        record = type(intent).__name__
        try:
            value = serializer(record)(intent, context)
        except SchemaRegistryError as error:
            if error.http_status_code != NOT_FOUND:
                raise RegistryAway(f"{registry_url}: {error}") from None
            raise NotRegistered(f"{subject(topic, record)}: {error}; run `twofold schemas apply`") from None
        except (httpx2.HTTPError, OSError) as error:
            raise RegistryAway(f"no answer from the registry at {registry_url}: {error}") from None
        return value or b""

    return serialize


def as_avro(intent: Any) -> dict[str, Any]:
    """An intent, or a leg in it, as the dict that Avro libraries take."""
    fields: dict[str, Any] = intent._asdict()
    fields.pop("wire", None)
    for name, value in fields.items():
        if hasattr(value, "_asdict"):
            fields[name] = as_avro(value)
    if "metadata" in fields:
        fields["metadata"] = dict(fields["metadata"])
    return fields
