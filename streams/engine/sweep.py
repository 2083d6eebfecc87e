"""Garbage collection: rows whose expiry has passed are removed from the store, a few at a time, between batches.

Expiry itself is a comparison at lookup, so nobody can tell whether a row was removed yet. Hence no tombstones: the
changelog forgets by its own retention, and a row that a restore brings back is as expired as before.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from streams.engine.processor import Partition
from streams.engine.table import Table

MICROS = 1000


class Sweeper:
    """Goes round and round one partition's tables."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._tables = [table for table in partition.tables if table.spec.expires is not None]
        self._at = 0
        self._start = b""

    def sweep(self, limit: int) -> int:
        """Look at the next ``limit`` rows of one table; returns how many were removed."""
        if not self._tables:
            return 0
        table = self._tables[self._at]
        seen = list(islice(table.store_rows(self._start), limit))
        if len(seen) < limit:
            self._at = (self._at + 1) % len(self._tables)
            self._start = b""
        else:
            self._start = seen[-1][0] + b"\0"
        time = self._partition.positions.time_ms * MICROS
        expired = [raw_key for raw_key, raw in seen if _is_expired(table, raw, time)]
        if expired:
            stamp = self._partition.stamp.encode()
            self._partition.tables.store.apply([(raw_key, None) for raw_key in expired], stamp)
            for raw_key in expired:
                table.evict(raw_key)
        return len(expired)


def _is_expired(table: Table[Any, Any], raw: bytes, time: int) -> bool:
    spec = table.spec
    assert spec.expires is not None
    expires = spec.expires(spec.decode(raw))
    return 0 < expires <= time
