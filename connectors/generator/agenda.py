"""What happens later: captures of holds, reversals, numbers that fill a gap."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from connectors.generator.generated import Generated

Follow = Callable[[], Generated | None]
"""Makes the record when its time has come, or None if there is nothing left to do."""


class Agenda:
    """A queue by the number of the intent after which something happens."""

    def __init__(self) -> None:
        self.now = 0
        self._queue: list[tuple[int, int, Follow]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._queue)

    def later(self, after: int, follow: Follow) -> None:
        """Let something happen ``after`` so many intents."""
        self._added += 1
        heapq.heappush(self._queue, (self.now + after, self._added, follow))

    def due(self) -> Follow | None:
        """Take what is due first, if anything is."""
        if self._queue and self._queue[0][0] <= self.now:
            return self.first()
        return None

    def first(self) -> Follow:
        """Take what comes first, due or not."""
        return heapq.heappop(self._queue)[2]
