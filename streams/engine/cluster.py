"""Questions about topics and their ends, asked of the cluster with an AdminClient."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from streams.engine.config import EngineConfig
from streams.engine.errors import Halted
from streams.engine.identity import Identity
from streams.engine.record import Queue

log = logging.getLogger("twofold.engine")

ATTEMPT_SECONDS = 10
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 0.2
DAY_MS = 86_400_000


class Cluster:
    """An AdminClient. Calls are repeated while brokers are away, for a minute at most."""

    def __init__(self, config: EngineConfig) -> None:
        self._partitions = config.partitions
        self._settings = config.clients()
        self._admin = AdminClient(self._settings, logger=log)

    def identity(self, topics: Collection[str]) -> Identity:
        """Who the cluster and topics are. Raises :class:`Halted` if a topic is missing or differs in partitions."""
        names = list(topics)
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                cluster = self._admin.describe_cluster(request_timeout=ATTEMPT_SECONDS).result()
                futures = self._admin.describe_topics(TopicCollection(names), request_timeout=ATTEMPT_SECONDS)
                found = [future.result() for future in futures.values()]
                break
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise Halted(
                        f"a topic of {', '.join(names)} does not exist: {error}", "twofold topics apply"
                    ) from None
                if time.monotonic() > until:
                    raise
                log.warning("Kafka does not answer yet: %s", error)
        counts = {topic.name: len(topic.partitions) for topic in found}
        if set(counts.values()) != {self._partitions or counts[names[0]]}:
            wanted = f"have {self._partitions} partitions" if self._partitions else "have the same number of partitions"
            raise Halted(
                f"inputs, journal and changelogs must {wanted}, not {counts}",
                "create them anew with twofold topics apply, or correct TWOFOLD_TOPIC_PREFIX",
            )
        return Identity(cluster.cluster_id, {topic.name: str(topic.topic_id) for topic in found}, counts[names[0]])

    def ends(self, queues: Collection[Queue]) -> dict[Queue, int]:
        """Each log's end, open transactions and control records included.

        Not the last stable offset, which read_committed clients are given: what lies behind it may yet be committed.
        """
        return self._offsets(queues, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def starts(self, queues: Collection[Queue]) -> dict[Queue, int]:
        """Each log's first offset."""
        return self._offsets(queues, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def tombstones_kept_ms(self, topics: Collection[str]) -> int:
        """The shortest ``delete.retention.ms`` among the topics: how long a deletion stays visible."""
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        futures = self._admin.describe_configs(resources, request_timeout=ATTEMPT_SECONDS)
        return min(int(future.result()["delete.retention.ms"].value) for future in futures.values())

    def _offsets(self, queues: Collection[Queue], spec: OffsetSpec) -> dict[Queue, int]:
        wanted = {TopicPartition(*queue): spec for queue in queues}
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                futures = self._admin.list_offsets(
                    wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ATTEMPT_SECONDS
                )
                return {Queue(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}
            except KafkaException as error:
                if time.monotonic() > until:
                    raise
                log.warning("Kafka does not say where its logs end: %s", error)
                # After a restart of its broker a client can keep a stale leader epoch for ever: ask with a new one.
                self._admin = AdminClient(self._settings, logger=log)
                time.sleep(PAUSE_SECONDS)
