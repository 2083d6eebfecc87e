"""How long to wait before a process that died is started again."""

from __future__ import annotations

DELAYS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
STABLE_SECONDS = 30.0


class Backoff:
    """At once the first time, then longer each time up to a cap; a stable while starts it anew."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, ran_seconds: float) -> float:
        """Seconds to wait, given how long the process that has just died had run."""
        if ran_seconds >= STABLE_SECONDS:
            self._deaths = 0
        delay = DELAYS[min(self._deaths, len(DELAYS) - 1)]
        self._deaths += 1
        return delay
