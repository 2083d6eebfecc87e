"""Input positions are state: kept in the partition's tables and changelog, in the transaction that they describe.

The group's committed offsets only fence. They may expire or be deleted without anything happening; but a worker that
started from them alone would decide again, or leave out, whatever they are wrong by.
"""

from __future__ import annotations

import json
from typing import NamedTuple

POSITIONS_TAG = 0
POSITIONS_KEY = bytes((POSITIONS_TAG,)) + b"positions"


class Place(NamedTuple):
    """The next record of a queue, and the first sub-record of it that is still to be processed."""

    offset: int
    index: int = 0  # type: ignore[assignment]


START = Place(0)


class Positions(NamedTuple):
    """What a partition has consumed, of which topics, for which group."""

    group: str
    partitions: int
    """The topics' number of partitions when the partition was first processed: it can never change."""
    topic_ids: dict[str, str]
    """Kafka's ids of the input topics: an input that was created anew has the same name and other records."""
    places: dict[str, Place]
    """By input topic."""
    time_ms: int = 0
    """The partition's time: the largest append time of its intents records, in milliseconds."""

    def encode(self) -> bytes:
        """The row's bytes."""
        value = [self.group, self.partitions, self.topic_ids, self.places, self.time_ms]
        return json.dumps(value, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Positions:
        """Read :meth:`encode`'s bytes."""
        group, partitions, topic_ids, places, time_ms = json.loads(raw)
        return cls(group, partitions, topic_ids, {topic: Place(*place) for topic, place in places.items()}, time_ms)
