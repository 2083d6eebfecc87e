"""One stack per data directory: a lock that the system frees when its holder dies, and who that was."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import IO

from infra.errors import AlreadyRunning

log = logging.getLogger("twofold.infra")


class DataDirLock:
    """Held from :meth:`acquire` to :meth:`release` or the end of the process, ``kill -9`` included."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock; raises :class:`AlreadyRunning` if a living process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        file.seek(0)
        previous = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise AlreadyRunning(
                f"a stack already runs in {self._path.parent} (pid {previous or 'unknown'}): stop it with "
                f"`twofold down --data {self._path.parent}`, or choose another directory with --data"
            ) from None
        if previous:
            log.warning("taking over %s from process %s, which ended without stopping its stack", self._path, previous)
        self._write(file, str(os.getpid()))
        self._file = file

    def release(self) -> None:
        """Give the lock back; does nothing if it is not held."""
        if self._file is None:
            return
        self._write(self._file, "")
        self._file.close()
        self._file = None

    def _write(self, file: IO[str], text: str) -> None:
        file.seek(0)
        file.truncate()
        file.write(text)
        file.flush()
