"""A store in memory: restored from the changelogs at every start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class MemoryStore:
    """A dict with a stamp."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._stamp: bytes | None = None

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        first = max(prefix, start)
        for key in sorted(key for key in self._rows if key.startswith(prefix) and key >= first):
            yield key, self._rows[key]

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]], stamp: bytes) -> None:
        rows = self._rows
        for key, value in changes:
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        self._stamp = stamp

    def stamp(self) -> bytes | None:
        return self._stamp

    def wipe(self) -> None:
        self._rows.clear()
        self._stamp = None

    def close(self) -> None:
        """Nothing to let go of: the rows stay for the partition's next assignment to this worker."""
