"""A deadline for calls that may never return. librdkafka's ``send_offsets_to_transaction`` ignores its own timeout
while the group's coordinator is away; a worker that hangs there holds its partitions and stalls everyone."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator

from streams.engine.errors import EXIT_FENCED

log = logging.getLogger("twofold.engine")

TICK_SECONDS = 0.25


class DeadlineGuard:
    """Ends the process when a guarded call overruns. One guarded call at a time, from one thread."""

    def __init__(self, seconds: float, end: Callable[[int], object] = os._exit) -> None:
        self._seconds = seconds
        self._end = end
        self._running: tuple[str, float] | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, name="deadline-guard", daemon=True).start()

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Guard the calls in the block."""
        self._running = (name, time.monotonic() + self._seconds)
        try:
            yield
        finally:
            self._running = None

    def stop(self) -> None:
        """End the watching thread."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            running = self._running
            if running and time.monotonic() > running[1]:
                log.critical(
                    "%s has not returned for %.0f s: this worker ends itself, so that another can take its partitions",
                    running[0],
                    self._seconds,
                )
                logging.shutdown()
                self._end(EXIT_FENCED)
                return
