"""A store on disk: RocksDB through rocksdict, chosen by measurement (docs/stores.md)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from streams.engine.errors import Halted

STAMP_KEY = b"\xff\xff-stamp"
"""Above every table's keys, whose first byte is the table's tag."""
LOCK_SECONDS = 10.0
"""How long a predecessor that is just ending may still hold the files."""


class DiskStore:
    """One RocksDB in one folder. Not synced at each write: after a crash of the machine, what is missing is restored
    from the changelogs, and its write-ahead log keeps rows and stamp together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._db = self._open()

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        rows: Iterator[Any] = self._db.items(from_key=max(prefix, start))
        for key, value in rows:
            if not key.startswith(prefix):
                return
            yield key, value

    def apply(self, changes: Sequence[tuple[bytes, bytes | None]], stamp: bytes) -> None:
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in changes:
            if value is None:
                delete(key)
            else:
                put(key, value)
        put(STAMP_KEY, stamp)
        self._db.write(batch, WriteOptions())

    def stamp(self) -> bytes | None:
        return self.get(STAMP_KEY)

    def wipe(self) -> None:
        self._db.close()
        shutil.rmtree(self._folder)
        self._db = self._open()

    def close(self) -> None:
        self._db.close()

    def _open(self) -> Rdict:
        """Open the folder; files that RocksDB calls damaged are thrown away: the changelogs have everything."""
        self._folder.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                return Rdict(str(self._folder), options=_options(), access_type=AccessType.read_write())
            except Exception as error:
                if "lock" not in str(error).lower():
                    shutil.rmtree(self._folder)
                    self._folder.mkdir(parents=True)
                    return Rdict(str(self._folder), options=_options(), access_type=AccessType.read_write())
                if time.monotonic() > until:
                    raise Halted(
                        f"the store {self._folder} is in use by another worker",
                        "give every worker its own slot (TWOFOLD_SLOT)",
                    ) from error
                time.sleep(0.2)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    return options
