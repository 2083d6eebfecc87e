"""The interface of a store: ordered bytes to bytes for one partition, and a stamp that says how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol


class Store(Protocol):
    """Rows of one partition. One writer; :meth:`get` may be called from several threads."""

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``, None if absent."""

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key begins with ``prefix`` and is not below ``start``, in key order."""

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]], stamp: bytes) -> None:
        """Write (or delete: None) all changes and the stamp, all or nothing, in order: the last of a key wins."""

    def stamp(self) -> bytes | None:
        """The stamp of the last :meth:`apply`; None for an empty store."""

    def wipe(self) -> None:
        """Remove everything, the stamp included."""

    def close(self) -> None:
        """Let go of files and locks."""
