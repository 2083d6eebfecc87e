"""Tables: keyed rows of one partition, read through the batch's overlay and a bounded cache of decoded rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from streams.engine.store.interface import Store

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MISSING: Any = object()
"""Distinguishes "never looked up" from "known to be absent" (None)."""


@dataclass(frozen=True)
class TableSpec(Generic[K, V]):
    """How one table is named, stored and encoded. Rows must be immutable: they are shared between batches."""

    name: str
    tag: int
    """One byte, unique in the topology, first byte of every key in store and changelog. 0 is the engine's own."""
    changelog: str
    """Full name of the compacted topic that holds the table."""
    encode_key: Callable[[K], bytes]
    decode_key: Callable[[bytes], K]
    encode: Callable[[V], bytes]
    decode: Callable[[bytes], V]
    expires: Callable[[V], int] | None = None
    """A row's absolute expiry in microseconds of partition time, 0 for never; None: rows of this table never expire.
    An expired row may be removed at any time: the handler must not see a difference between expired and absent."""
    cached: int = 100_000
    """The most decoded rows kept in memory, in each of two generations."""


Change = tuple[str, bytes, bytes | None]
"""One row to be written: changelog, key and value; None deletes it. Plain tuples: there are several per input."""


class Table(Generic[K, V]):
    """One table of one partition. Reads see the batch's own writes; writes reach the store only after the commit."""

    __slots__ = ("_old", "_overlay", "_prefix", "_store", "_young", "spec")

    def __init__(self, spec: TableSpec[K, V], store: Store) -> None:
        self.spec = spec
        self._store = store
        self._prefix = bytes((spec.tag,))
        self._overlay: dict[K, V | None] = {}
        self._young: dict[K, V | None] = {}
        self._old: dict[K, V | None] = {}

    def get(self, key: K) -> V | None:
        """The row of ``key`` as this batch sees it, None if there is none."""
        row: V | None = self._overlay.get(key, MISSING)
        if row is MISSING:
            row = self._young.get(key, MISSING)
            if row is MISSING:
                row = self._look_up(key)
        return row

    def put(self, key: K, row: V) -> None:
        """Write the row in this batch; the last of several wins, and is encoded once."""
        self._overlay[key] = row

    def delete(self, key: K) -> None:
        """Remove the row in this batch; a key that was never committed leaves no trace in the changelog."""
        self._overlay[key] = None

    def items(self) -> Iterator[tuple[K, V]]:
        """Every row as this batch sees it. A full scan: meant for building indices after a restore."""
        spec = self.spec
        for raw_key, raw in self._store.scan(self._prefix):
            key = spec.decode_key(raw_key[1:])
            if key not in self._overlay:
                yield key, spec.decode(raw)
        for key, row in list(self._overlay.items()):
            if row is not None:
                yield key, row

    def committed(self, key: K) -> V | None:
        """The committed row, whatever the running batch has written. For views: may be called from another thread."""
        row: V | None = self._young.get(key, MISSING)
        if row is MISSING:
            raw = self._store.get(self._prefix + self.spec.encode_key(key))
            row = None if raw is None else self.spec.decode(raw)
        return row

    def store_rows(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The stored rows as bytes, in key order, from ``start`` on; keys carry the tag."""
        return self._store.scan(self._prefix, start)

    def evict(self, raw_key: bytes) -> None:
        """The store's row of that key (with the tag) was removed behind the cache."""
        key = self.spec.decode_key(raw_key[1:])
        self._young.pop(key, None)
        self._old.pop(key, None)

    def changes(self) -> Iterator[Change]:
        """What the batch has written, encoded for changelog and store alike."""
        spec, prefix = self.spec, self._prefix
        encode_key, encode, changelog = spec.encode_key, spec.encode, spec.changelog
        for key, row in self._overlay.items():
            if row is not None:
                yield changelog, prefix + encode_key(key), encode(row)
            elif self._was_committed(key):
                yield changelog, prefix + encode_key(key), None

    def settle(self) -> None:
        """After the store has them: the batch's rows are the committed ones."""
        self._young.update(self._overlay)
        self._overlay.clear()
        self._turn()

    def drop(self) -> None:
        """The batch was aborted: nothing of it remains."""
        self._overlay.clear()

    def forget(self) -> None:
        """Empty the cache: the store was changed behind it."""
        self._overlay.clear()
        self._young.clear()
        self._old.clear()

    def _was_committed(self, key: K) -> bool:
        row = self._young.get(key, MISSING)
        if row is MISSING:
            row = self._look_up(key)
        return row is not None

    def _look_up(self, key: K) -> V | None:
        row: V | None = self._old.get(key, MISSING)
        if row is MISSING:
            raw = self._store.get(self._prefix + self.spec.encode_key(key))
            row = None if raw is None else self.spec.decode(raw)
        self._young[key] = row
        if len(self._young) > 2 * self.spec.cached:
            self._turn()
        return row

    def _turn(self) -> None:
        # Two generations: what was not touched while the young one filled up is dropped with the old one.
        if len(self._young) > self.spec.cached:
            self._old = self._young
            self._young = {}


class PartitionTables:
    """All tables of one partition over one store: they commit, or are dropped, together."""

    def __init__(self, partition: int, specs: Sequence[TableSpec[Any, Any]], store: Store) -> None:
        self.partition = partition
        self.store = store
        self._tables: dict[str, Table[Any, Any]] = {spec.name: Table(spec, store) for spec in specs}

    def table(self, name: str) -> Table[Any, Any]:
        """The table of that name. Raises KeyError for a name that the topology does not have."""
        return self._tables[name]

    def changes(self) -> list[Change]:
        """What the running batch has written in all tables."""
        return [change for table in self._tables.values() for change in table.changes()]

    def commit(self, changes: Sequence[Change], stamp: bytes) -> None:
        """Apply committed changes and the new changelog position to the store in one atomic write."""
        self.store.apply(((key, value) for _, key, value in changes), stamp)
        for table in self._tables.values():
            table.settle()

    def drop(self) -> None:
        """Forget what the running batch has written."""
        for table in self._tables.values():
            table.drop()

    def forget(self) -> None:
        """Empty all caches."""
        for table in self._tables.values():
            table.forget()

    def __iter__(self) -> Iterator[Table[Any, Any]]:
        return iter(self._tables.values())
