"""Which on-disk store suits the engine: rocksdict, LMDB or SQLite, with ten million keys.

    pip install lmdb
    python -m bench.stores --keys 10000000

Random 16-byte keys, 100-byte values, as the keys of transfers are. Each store runs in a process of its own. Columns:
wall-clock rate, and CPU microseconds a row (of all threads), which a busy machine changes less. ``write batches`` is
what the engine does: 16,000 rows at once (4,000 inputs), half of them new; ``memory`` is the growth of the
process's private memory (LMDB's map lives in the page cache, and is not in it).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import psutil

VALUES = [random.Random(n).randbytes(100) for n in range(1000)]
"""Random, so that no store gains by compressing them."""
LOAD_BATCH = 20_000
READS = 200_000
WRITE_BATCHES = 50
WRITE_ROWS = 16_000

Row = tuple[bytes, bytes]


class Candidate(Protocol):
    """What is asked of a store here."""

    def write(self, rows: list[Row]) -> None: ...
    def get(self, key: bytes) -> bytes | None: ...
    def close(self) -> None: ...


class Rocks:
    """rocksdict with the options of the engine's store."""

    def __init__(self, folder: Path) -> None:
        from streams.engine.store.disk import DiskStore

        self.store = DiskStore(folder / "0")
        self.get = self.store.get
        self.close = self.store.close

    def write(self, rows: list[Row]) -> None:
        self.store.apply(rows, b"stamp")


class Lmdb:
    """py-lmdb, not synced at each commit (as RocksDB's log is not)."""

    def __init__(self, folder: Path) -> None:
        import lmdb

        self.env = lmdb.open(str(folder), map_size=16 << 30, sync=False, metasync=False, writemap=False)

    def write(self, rows: list[Row]) -> None:
        with self.env.begin(write=True) as transaction:
            transaction.cursor().putmulti(rows)

    def get(self, key: bytes) -> Any:
        with self.env.begin() as transaction:
            return transaction.get(key)

    def close(self) -> None:
        self.env.close()


class Sqlite:
    """The standard library's, WAL, not synced, 256 MB of page cache."""

    def __init__(self, folder: Path) -> None:
        self.db = sqlite3.connect(folder / "db", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=OFF", "cache_size=-262144"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute("CREATE TABLE IF NOT EXISTS t (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")

    def write(self, rows: list[Row]) -> None:
        self.db.execute("BEGIN")
        self.db.executemany("INSERT OR REPLACE INTO t VALUES (?, ?)", rows)
        self.db.execute("COMMIT")

    def get(self, key: bytes) -> bytes | None:
        row = self.db.execute("SELECT v FROM t WHERE k = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        self.db.close()


CANDIDATES: dict[str, Callable[[Path], Candidate]] = {"rocksdict": Rocks, "lmdb": Lmdb, "sqlite": Sqlite}


class Stopwatch:
    """Rates and CPU of named stretches."""

    def __init__(self) -> None:
        self.figures: dict[str, str] = {}

    def time(self, name: str, rows: int, action: Callable[[], None]) -> None:
        wall, cpu = time.perf_counter(), _cpu()
        action()
        wall, cpu = time.perf_counter() - wall, _cpu() - cpu
        self.figures[name] = f"{rows / wall:,.0f}/s, {cpu / rows * 1e6:.1f} us"


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(name: str, keys: int) -> dict[str, str]:
    """All figures of one candidate."""
    folder = Path(tempfile.mkdtemp())
    try:
        return _measure(CANDIDATES[name], keys, folder)
    finally:
        shutil.rmtree(folder)


def _measure(make: Callable[[Path], Candidate], keys: int, folder: Path) -> dict[str, str]:
    draw = random.Random(1)
    watch = Stopwatch()
    present: list[bytes] = []
    memory = psutil.Process().memory_full_info().uss
    store = make(folder)

    def load() -> None:
        for _ in range(keys // LOAD_BATCH):
            rows = [(draw.randbytes(16), draw.choice(VALUES)) for _ in range(LOAD_BATCH)]
            present.extend(key for key, _ in rows[:200])
            store.write(rows)

    watch.time("inserts", keys, load)
    _read(watch, store, "hits", [draw.choice(present) for _ in range(READS)])
    _read(watch, store, "misses", [draw.randbytes(16) for _ in range(READS)])
    batches = [_batch(draw, present) for _ in range(WRITE_BATCHES)]
    watch.time("write batches", WRITE_BATCHES * WRITE_ROWS, lambda: _write_all(store, batches))
    batches.clear()
    watch.figures["memory"] = f"{(psutil.Process().memory_full_info().uss - memory) / 2**20:,.0f} MB"
    store.close()
    watch.figures["on disk"] = f"{sum(f.stat().st_blocks * 512 for f in folder.rglob('*')) / 2**20:,.0f} MB"
    began = time.perf_counter()
    store = make(folder)
    assert store.get(present[0]) in VALUES
    watch.figures["reopen"] = f"{(time.perf_counter() - began) * 1000:,.0f} ms"
    store.close()
    return watch.figures


def _batch(draw: random.Random, present: list[bytes]) -> list[Row]:
    old = [(draw.choice(present), draw.choice(VALUES)) for _ in range(WRITE_ROWS // 2)]
    return old + [(draw.randbytes(16), draw.choice(VALUES)) for _ in range(WRITE_ROWS // 2)]


def _read(watch: Stopwatch, store: Candidate, name: str, keys: Iterable[bytes]) -> None:
    def read() -> None:
        for key in keys:
            store.get(key)

    watch.time(name, READS, read)


def _write_all(store: Candidate, batches: list[list[Row]]) -> None:
    for rows in batches:
        store.write(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--only", choices=CANDIDATES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given.keys)))
        return
    for name in CANDIDATES:
        argv = [sys.executable, "-m", "bench.stores", "--keys", str(given.keys), "--only", name]
        print(f"{name}: {subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
