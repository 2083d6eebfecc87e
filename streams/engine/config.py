"""The engine's own settings. Every figure is a bound or a deadline on which a rule of docs/engine.md stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EngineConfig:
    """How one worker runs."""

    bootstrap_servers: str
    slot: int = 0
    """Fixes the transactional id ``<group>-<slot>``: a worker started again in its slot ends what the dead one left."""
    partitions: int | None = None
    """What the topics must have; None: only that all have the same. Tables remember theirs, new partitions cannot."""
    store: str = "disk"
    """``disk`` or ``memory``."""
    store_dir: Path = Path("stores")
    """Where on-disk stores live, one folder a partition. Not shared between slots."""
    batch_ms: int = 5
    """How long a batch gathers input while more keeps arriving."""
    batch_records: int = 4000
    """The most input records of a batch; packed legs count by their bytes."""
    session_timeout_ms: int = 6_000
    transaction_timeout_ms: int = 10_000
    """How long a dead worker's open transaction can hide others' committed records."""
    deadline_seconds: float = 20.0
    """How long one call of the commit sequence may take before the worker ends itself."""
    legs_bound: int = 400
    """Unread legs records of a partition above which its intents pause."""
    client: dict[str, str] = field(default_factory=dict)
    """librdkafka settings for every client, such as security.protocol and sasl.*."""

    def __post_init__(self) -> None:
        if self.store not in ("disk", "memory"):
            raise ValueError(f"store must be disk or memory, not {self.store!r}")
        if self.batch_records < 1:
            raise ValueError(f"batch_records must be at least 1, not {self.batch_records}")
        if self.deadline_seconds * 1000 <= self.transaction_timeout_ms:
            raise ValueError("deadline_seconds must be longer than transaction_timeout_ms")

    def clients(self) -> dict[str, Any]:
        """Settings that every Kafka client of the worker shares."""
        return {"bootstrap.servers": self.bootstrap_servers, "log_level": 4, **self.client}
