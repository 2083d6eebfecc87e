"""The stores of one worker, by partition: kept open from one assignment to the next."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from streams.engine.store.disk import DiskStore
from streams.engine.store.interface import Store
from streams.engine.store.memory import MemoryStore


class Rack:
    """Opens, keeps and closes stores. ``folder`` None: in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stores: dict[int, Store] = {}

    def open(self, partition: int) -> Store:
        """The partition's store, as it was left."""
        store = self._stores.get(partition)
        if store is None:
            store = MemoryStore() if self._folder is None else DiskStore(self._folder / str(partition))
            self._stores[partition] = store
        return store

    def keep(self, partitions: Collection[int]) -> None:
        """Close the stores of all other partitions: another worker has them now."""
        for number in [number for number in self._stores if number not in partitions]:
            self._stores.pop(number).close()

    def close(self) -> None:
        """Close all."""
        self.keep(())
