"""Where each journal partition stands in Postgres: the row that makes a batch happen exactly once."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import psycopg

from sinks.errors import Overtaken, SinkHalted, Superseded


class SinkPosition(NamedTuple):
    """The last record of a partition that is in Postgres; sequence 0, offset -1 and no hash: none is."""

    partition: int
    sequence: int = 0
    offset: int = -1
    hash: bytes = b""
    """SHA-256 of the record's value, as it is in Kafka."""


def fingerprint(value: bytes) -> bytes:
    """The hash that a position keeps of a journal record's value."""
    return sha256(value).digest()


def read_positions(connection: psycopg.Connection, epoch: int, partitions: int) -> dict[int, SinkPosition]:
    """The positions of partitions 0 to ``partitions`` - 1; a partition that has none yet gets a row.

    Raises Superseded when a row belongs to another epoch, SinkHalted when Postgres has more partitions than the topic.
    """
    with connection.transaction():
        connection.execute(
            "INSERT INTO sink_positions (partition, epoch, sequence, kafka_offset, hash) "
            "SELECT p, %s, 0, -1, '' FROM generate_series(0, %s) AS p ON CONFLICT (partition) DO NOTHING",
            [epoch, partitions - 1],
        )
        rows = connection.execute(
            "SELECT partition, sequence, kafka_offset, hash, epoch FROM sink_positions ORDER BY partition"
        ).fetchall()
    for partition, *_, owner in rows:
        if owner != epoch:
            raise Superseded(
                f"ledger_{epoch} is closed: partition {partition} belongs to epoch {owner}, which went live instead. "
                f"Start the sink with TWOFOLD_SINK_EPOCH={owner}."
            )
    if len(rows) != partitions:
        raise SinkHalted(
            f"Postgres holds {len(rows)} journal partitions, the journal topic has {partitions}. The number is fixed "
            "when the topics are created: check TWOFOLD_BOOTSTRAP_SERVERS and TWOFOLD_TOPIC_PREFIX."
        )
    return {row[0]: SinkPosition(row[0], row[1], row[2], bytes(row[3])) for row in rows}


ADVANCE = (
    "UPDATE sink_positions SET sequence = %s, kafka_offset = %s, hash = %s, updated_at = now() "
    "WHERE partition = %s AND sequence = %s AND epoch = %s"
)


def advance(connection: psycopg.Connection, epoch: int, moves: list[tuple[SinkPosition, SinkPosition]]) -> None:
    """The first statements of a batch: move each partition from its old position to its new one, in partition order.

    They lock the partitions; the order keeps two sinks from waiting for each other. Raises Overtaken when a row is not
    at the old position any more, or is of another epoch: the caller rolls back.
    """
    with connection.pipeline():
        updates = [
            connection.execute(ADVANCE, [new.sequence, new.offset, new.hash, new.partition, old.sequence, epoch])
            for old, new in sorted(moves)
        ]
    for (old, _), update in zip(sorted(moves), updates, strict=True):
        if update.rowcount != 1:
            raise Overtaken(f"partition {old.partition} is not at sequence {old.sequence} any more")
