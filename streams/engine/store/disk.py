"""A store on disk: RocksDB through rocksdict, chosen by measurement (docs/stores.md)."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch

from streams.engine.errors import Fenced, Halted

log = logging.getLogger("twofold.engine")

STAMP_KEY = b"\xff\xff-stamp"
"""Beside the tables' keys, which begin with the table's tag: a tag is at most 254."""
DAMAGED = "DAMAGED"
"""A file of this name beside the database: it gave a read error, and is thrown away when next opened."""
LOCK_SECONDS = 10.0
"""How long a predecessor that is just ending may still hold the files."""
WRITE_BUFFER_BYTES = 32 << 20
BLOCK_CACHE_BYTES = 128 << 20
BLOOM_BITS = 10

_block_cache: list[Cache] = []
"""One block cache for all stores of the process."""


class DiskStore:
    """One RocksDB in one folder.

    Writes are not synced: what a crash of the machine takes is restored from the changelogs, and the write-ahead log
    keeps rows and stamp together, so the store is always some committed past.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = folder.with_name(folder.name + "." + DAMAGED)
        self._db = self._open()

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._damaged(error) from error
        return value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        try:
            rows: Iterator[Any] = self._db.items(from_key=max(prefix, start))
            for key, value in rows:
                if not key.startswith(prefix):
                    return
                yield key, value
        except Exception as error:
            raise self._damaged(error) from error

    def apply(self, changes: Iterable[tuple[bytes, bytes | None]], stamp: bytes) -> None:
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in changes:
            if value is None:
                delete(key)
            else:
                put(key, value)
        put(STAMP_KEY, stamp)
        self._db.write(batch)

    def stamp(self) -> bytes | None:
        return self.get(STAMP_KEY)

    def wipe(self) -> None:
        self._db.close()
        shutil.rmtree(self._folder)
        self._db = self._open()

    def close(self) -> None:
        self._db.close()

    def _damaged(self, error: Exception) -> Fenced:
        """A read failed: nothing of this store can be believed any more, and no decision may be made from it."""
        self._mark.touch()
        return Fenced(f"the store {self._folder} cannot be read ({error}); it is restored anew at the next start")

    def _open(self) -> Rdict:
        """Open the folder; files that are damaged are thrown away: the changelogs have everything."""
        if self._mark.exists():
            log.warning("the store %s was damaged: thrown away, to be restored", self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._mark.unlink()
        until = time.monotonic() + LOCK_SECONDS
        while True:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                return Rdict(str(self._folder), options=_options())
            except Exception as error:
                if "lock" not in str(error).lower():
                    log.warning("the store %s cannot be opened (%s): thrown away, to be restored", self._folder, error)
                    shutil.rmtree(self._folder)
                elif time.monotonic() > until:
                    raise Halted(
                        f"the store {self._folder} is in use by another worker",
                        "give every worker its own slot (TWOFOLD_SLOT)",
                    ) from error
                else:
                    time.sleep(0.2)


def _options() -> Options:
    if not _block_cache:
        _block_cache.append(Cache(BLOCK_CACHE_BYTES))
    table = BlockBasedOptions()
    table.set_block_cache(_block_cache[0])
    # Most lookups of idempotency keys find nothing: the filter answers them without touching a block.
    table.set_bloom_filter(BLOOM_BITS, False)
    table.set_cache_index_and_filter_blocks(False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    # ... and this one those of what was written lately: a miss costs 0.8 instead of 3.2 microseconds.
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    return options
