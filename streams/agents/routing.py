"""Which partition an account lives in."""

from __future__ import annotations

from streams.engine.partitioner import partition_of

MOST_REMEMBERED = 1 << 20


class Routes(dict[str, int]):
    """account -> partition, as Kafka's murmur2 partitioner gives it; worked out once for each account.

    Bounded: when a million accounts are remembered it starts afresh.
    """

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self.partitions = partitions

    def __missing__(self, account: str) -> int:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        partition = partition_of(account.encode(), self.partitions)
        self[account] = partition
        return partition
