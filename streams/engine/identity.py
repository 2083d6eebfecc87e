"""Who a table's rows belong to: the cluster, the topics by Kafka's own ids, the partition count, the time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple


class Identity(NamedTuple):
    """What a worker found when it connected."""

    cluster_id: str
    topic_ids: dict[str, str]
    """Kafka's id of every topic of the topology, by full name."""
    partitions: int


class Stamp(NamedTuple):
    """How far a store is: the last thing written to it, in the same atomic write as the rows."""

    cluster_id: str
    changelogs: dict[str, tuple[str, int]]
    """By changelog topic: Kafka's topic id and the next offset that the store lacks."""
    time_ms: int
    """This worker's clock when the store was written, in milliseconds."""

    def encode(self) -> bytes:
        """The stamp's bytes."""
        return json.dumps(list(self), separators=(",", ":")).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Stamp:
        """Read :meth:`encode`'s bytes."""
        cluster_id, changelogs, time_ms = json.loads(raw)
        return cls(cluster_id, {topic: (id, position) for topic, (id, position) in changelogs.items()}, time_ms)

    def advanced(self, ends: Mapping[str, int], time_ms: int) -> Stamp:
        """The stamp after the changelogs in ``ends`` have grown to those positions."""
        changelogs = {topic: (id, ends.get(topic, position)) for topic, (id, position) in self.changelogs.items()}
        return Stamp(self.cluster_id, changelogs, time_ms)


def fresh_stamp(identity: Identity, changelogs: tuple[str, ...], time_ms: int) -> Stamp:
    """The stamp of an empty store."""
    return Stamp(identity.cluster_id, {topic: (identity.topic_ids[topic], 0) for topic in changelogs}, time_ms)
