"""A ledger of one's own on the shared services: topics made, schemas registered, nothing running."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.registry import Registry
from streams import admin
from streams.settings import Settings
from streams.topics import INTENTS


@pytest.fixture
def ledger(kafka: str, registry: str, unique: str) -> Settings:
    """Settings of a ledger with four partitions, whose topics and schemas exist."""
    settings = Settings(
        bootstrap_servers=kafka, registry_url=registry, topic_prefix=f"{unique}.", group=unique, partitions=4
    )
    admin.apply(settings)
    Registry(registry).register_all(settings.topic_prefix)
    return settings


@pytest.fixture
def committed() -> Callable[[Settings], list[Message]]:
    """Reads every committed record of a ledger's intents, partition by partition."""

    def read(settings: Settings) -> list[Message]:
        consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": f"{settings.group}-reader",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "enable.auto.commit": False,
            }
        )
        topic = settings.topic(INTENTS.name)
        consumer.assign([TopicPartition(topic, p, 0) for p in range(settings.partitions)])
        found, ended = [], 0
        while ended < settings.partitions:
            message = consumer.poll(30)
            assert message is not None, "the broker says nothing"
            if message.error():
                ended += 1
            else:
                found.append(message)
        consumer.close()
        return found

    return read
