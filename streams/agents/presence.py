"""Who is here: each worker's file ``DATA/workers/<slot>.json`` with its process, the port of its views, its partitions.

Views are bound to loopback, so the workers that can be asked are those of this machine and this data directory: a
file says all there is to say, and needs no round trip to the broker. A worker that was killed leaves its file; so the
file names the process, and a file without a living process counts as none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Worker:
    """What a worker says of itself."""

    pid: int
    port: int
    """Of its views, on 127.0.0.1."""
    since: str
    """Start of the process, ISO 8601."""
    group: str
    topic_prefix: str
    partitions: tuple[int, ...] = ()
    """The partitions whose tables it has, restored and complete."""


class Presence:
    """This worker's file, and the others'."""

    def __init__(self, data_dir: Path, slot: int, port: int, group: str, topic_prefix: str) -> None:
        self._folder = data_dir / "workers"
        self._path = self._folder / f"{slot}.json"
        self._port = port
        self._group = group
        self._prefix = topic_prefix
        self._since = datetime.now(UTC).isoformat(timespec="seconds")

    def announce(self, partitions: Sequence[int]) -> None:
        """Write this worker's file, whole or not at all."""
        worker = Worker(os.getpid(), self._port, self._since, self._group, self._prefix, tuple(sorted(partitions)))
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(asdict(worker)) + "\n")
        beside.replace(self._path)

    def withdraw(self) -> None:
        """Remove this worker's file, unless another process has taken the slot."""
        worker = _read(self._path)
        if worker is not None and worker.pid == os.getpid():
            self._path.unlink(missing_ok=True)

    def owner(self, partition: int) -> Worker | None:
        """The living worker of the same ledger that says it has the partition, other than this one."""
        for worker in self._others():
            if partition in worker.partitions and psutil.pid_exists(worker.pid):
                return worker
        return None

    def _others(self) -> Iterator[Worker]:
        for path in sorted(self._folder.glob("[0-9]*.json")):
            worker = _read(path)
            if worker is None or worker.pid == os.getpid():
                continue
            if (worker.group, worker.topic_prefix) == (self._group, self._prefix):
                yield worker


def _read(path: Path) -> Worker | None:
    """A worker's file; None if it is gone or another kind of service wrote it."""
    try:
        fields = json.loads(path.read_text())
        return Worker(**{**fields, "partitions": tuple(fields.get("partitions", ()))})
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
